/** An evaluation as a table: what the reference did, what the policy does, and whether the difference is one. */
import type { Estimate, Evaluation } from "../../dsl/artifacts.ts"
import * as Format from "./format.ts"
import type { Style } from "./Output.ts"

/** Lines for people, indented by two. */
export const render = ({ estimates, examples }: Evaluation, style: Style, width: number): string =>
  [compared(estimates, style), single(estimates), quoted(examples, style, width)]
    .filter((part) => part !== "")
    .join("\n\n")

/** Estimates named `<metric>/policy` and `<metric>/reference`, with `<metric>/gain` where it was measured by prompt. */
const compared = (estimates: Evaluation["estimates"], style: Style): string => {
  const metrics = comparedIn(estimates)
  if (metrics.length === 0) return ""
  const rows = metrics.map((metric) => {
    const [before, after, gain] = sides(metric).map((name) => estimates[name])
    const change = gain === undefined ? Format.signed(after!.mean - before!.mean) : interval(gain, Format.signed)
    return [metric, interval(before!), interval(after!), change, gain === undefined ? "" : verdict(metric, gain, style)]
  })
  return Format.table([["", "reference", "policy", "change", ""], ...rows])
}

/** The names of a metric's estimates: before, after, and their difference. */
export const sides = (metric: string) => [`${metric}/reference`, `${metric}/policy`, `${metric}/gain`]

/** What was trained on first, then what was measured with a gain, then the rest. */
export const comparedIn = (estimates: Evaluation["estimates"]): ReadonlyArray<string> => {
  const rank = (metric: string) => (metric === "reward" ? 0 : Object.hasOwn(estimates, `${metric}/gain`) ? 1 : 2)
  return pairedIn(estimates).toSorted((a, b) => rank(a) - rank(b))
}

const pairedIn = (estimates: Evaluation["estimates"]) =>
  Object.keys(estimates).flatMap((name) => {
    const metric = name.endsWith("/policy") ? name.slice(0, -"/policy".length) : undefined
    return metric !== undefined && Object.hasOwn(estimates, `${metric}/reference`) ? [metric] : []
  })

/** Metrics of which more is better. */
export const isMerit = (metric: string): boolean => /^(rewards?|judge|win_rate)(\/|$)/.test(metric)

/** What a change of a metric comes to, by its interval; in colour where it is to be welcomed or not. */
export const verdict = (metric: string, { high, low }: Pick<Estimate, "low" | "high">, style: Style): string => {
  const plain = (text: string) => text
  const [good, bad] = isMerit(metric) ? [style.green, style.red] : [plain, plain]
  return low > 0 ? good("higher") : high < 0 ? bad("lower") : style.dim("no clear change")
}

/** What metrics are that have no two sides. */
export const meanings: Readonly<Record<string, string>> = {
  win_rate: "share of answers that score above the reference's; 0.5 is no difference",
  "judge/win_rate": "share that the judge, which nothing was trained on, scores above the reference's",
  kl: "nats per answer that the policy has moved away from the reference"
}

const single = (estimates: Evaluation["estimates"]): string => {
  const shown = new Set(comparedIn(estimates).flatMap(sides))
  const rest = Object.entries(estimates).filter(([name]) => !shown.has(name))
  return Format.table(rest.map(([name, estimate]) => [name, interval(estimate), meanings[name] ?? ""]))
}

/** `0.540 [0.500, 0.580]`; the mean alone where it has no interval. */
const interval = ({ high, low, mean }: Estimate, text = Format.number): string =>
  low === high ? text(mean) : `${text(mean)} [${text(low)}, ${text(high)}]`

const quoted = (examples: Evaluation["examples"], style: Style, width: number): string => {
  const reward = (x: number) => Format.number(x).padStart(8)
  const rest = Math.max(width - 22, 20)
  return examples
    .map(({ policy, policyReward, prompt, reference, referenceReward }) =>
      [
        `  ${style.bold(quote(prompt, Math.max(width - 4, 20)))}`,
        `    before ${reward(referenceReward)}  ${style.dim(quote(reference, rest))}`,
        `    after  ${reward(policyReward)}  ${quote(policy, rest)}`
      ].join("\n")
    )
    .join("\n")
}

const quote = (text: string, width: number) => Format.oneLine(Format.visible(text), width)
