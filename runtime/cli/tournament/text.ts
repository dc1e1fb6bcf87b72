/** A tournament's table, for the terminal and, as plain cells, for the page. */
import * as Format from "../format.ts"
import type { Style } from "../Output.ts"
import type { Spread, Standing, Tournament } from "./Tournament.ts"

/** What a column shows, and what it means. */
export interface Column {
  readonly name: string
  readonly meaning: string
  readonly cell: (standing: Standing) => string
}

/** What stands where nothing was measured, or a frontier does not reach. */
export const NOTHING = "—"

export const columns = ({ flip, matchedKl, optimum }: Tournament): ReadonlyArray<Column> => {
  const best = (show: (best: NonNullable<Standing["best"]>) => string) => (standing: Standing) =>
    standing.best === null ? NOTHING : show(standing.best)
  const flips: ReadonlyArray<Column> = [
    {
      name: `win rate, ${percent(flip)} flipped`,
      meaning: "the same after training on labels of which that share is flipped",
      cell: ({ flipped }) => (flipped === null ? NOTHING : interval(flipped.winRate))
    },
    {
      name: "change",
      meaning: "its difference to clean labels, same seeds",
      cell: ({ flipped }) => (flipped === null ? NOTHING : Format.signed(flipped.change.mean))
    }
  ]
  return [
    { name: "method", meaning: "", cell: ({ method }) => method },
    {
      name: "strength",
      meaning: "the one chosen of those that were tried",
      cell: (standing) =>
        standing.parameter === null ? "" : best(({ strength }) => `${standing.parameter} ${strength}`)(standing)
    },
    {
      name: "win rate",
      meaning: "against the start, mean over seeds [95 % interval]; 0.5 is no difference",
      cell: best(({ winRate }) => interval(winRate))
    },
    {
      name: "to the first",
      meaning: "its win rate less the first one's, seed by seed [95 % interval]",
      cell: ({ behind }) => (behind === null ? "" : interval(behind, Format.signed))
    },
    {
      name: "gold gain",
      meaning: "gold reward less the start's",
      cell: best(({ gain }) => interval(gain, Format.signed))
    },
    { name: "KL", meaning: "nats from the start, an answer", cell: best(({ kl }) => Format.number(kl.mean)) },
    {
      name: matchedKl === null ? "gain at matched KL" : `gain at KL ${Format.number(matchedKl)}`,
      meaning: `on the method's own frontier, linear in the root of KL; ${NOTHING} where that does not reach it${optimum.length === 0 ? "" : "; the dotted line of the plot is the most that is possible"}`,
      cell: ({ gainAtMatchedKl }) => (gainAtMatchedKl === null ? NOTHING : Format.signed(gainAtMatchedKl))
    },
    { name: "length", meaning: "tokens of an answer, less the start's", cell: best(({ length }) => change(length)) },
    {
      name: "displacement",
      meaning: "change of the log-likelihood of held-out chosen answers, nats",
      cell: best(({ displacement }) => change(displacement))
    },
    ...(flip > 0 ? flips : []),
    {
      name: "time",
      meaning: "of one training when it was computed, mean over strengths and seeds",
      cell: ({ cost }) => (cost.trainingMs === null ? NOTHING : Format.duration(cost.trainingMs))
    },
    {
      name: "passes",
      meaning: "answers through the policy for each pair and step + once through the reference",
      cell: ({ cost }) => `${cost.policyAnswers} + ${cost.referenceAnswers}`
    }
  ]
}

/** `20 %`. */
export const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`

/** `0.540 [0.500, 0.580]`. */
export const interval = ({ high, low, mean }: Spread, text = Format.number): string =>
  low === null || high === null ? text(mean) : `${text(mean)} [${text(low)}, ${text(high)}]`

/** A sum of many numbers that should be 0 is not told with its rounding errors. */
const change = ({ mean }: Spread) => (Math.abs(mean) < 1e-9 ? "0" : Format.signed(mean))

export const render = (tournament: Tournament, style: Style): string => {
  const { gold, selection, standings, summary } = tournament
  const shown = columns(tournament)
  const rows = standings.map((standing) => shown.map(({ cell }) => cell(standing)))
  const head = shown.map(({ name }) => style.dim(name))
  const problems = standings.flatMap(({ method, problems }) => problems.map((problem) => `${method}: ${problem}`))
  return [
    Format.table([head, ...rows]),
    style.dim([`gold: ${gold}`, `strength: ${selection}`].map((text) => `  ${text}`).join("\n")),
    ...(problems.length === 0 ? [] : [problems.map((text) => `  ${style.red("failed")} ${text}`).join("\n")]),
    ...(summary.length === 0 ? [] : [summary.map((sentence) => `  ${sentence}`).join("\n")])
  ].join("\n\n")
}
