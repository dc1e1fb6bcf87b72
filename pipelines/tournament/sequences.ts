/** The tournament on short sequences: answers have lengths, and a judge who wants good symbols rather than many. */
import type { ScoredGroup } from "../../dsl/artifacts.ts"
import { Count, Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { exact, flip as flipped, sft } from "../../stages/index.ts"
import { trained } from "../testbeds/sequences.ts"
import * as Tabular from "../testbeds/tabular.ts"
import { entrants, fields, laidOut } from "./entrants.ts"
import { type Measures, meanOf, type Parts } from "./measures.ts"
import { budgetFields } from "./tabular.ts"

export const pipeline = Pipeline.make(
  "tournament-sequences",
  {
    description: "Methods against each other on sequences of symbols that dynamic programming solves",
    family: "tournament",
    testbed: ["sequences"],
    params: {
      ...fields,
      ...budgetFields,
      steps: Count.pipe(withDefault(100)),
      /** Comparisons that methods are trained on; pairs of equal answers make none. */
      pairs: Count.pipe(withDefault(400)),
      /** Log-odds of a preference for a symbol's worth of mean reward. */
      sharpness: Positive.pipe(withDefault(5)),
      /** Answers of each policy that win rate and gold reward are estimated from. */
      answers: Count.pipe(withDefault(1000))
    }
  },
  ({ answers, by, flip, heldOutPairs, learningRate, methods, pairs, sharpness, steps, strengths }) => {
    const world = exact.world({ world: exact.sequences() })
    const label = { perToken: true, scale: sharpness }
    const clean = world.pipe(exact.comparisons({ count: pairs, ...label }))
    const sides = { clean, flipped: clean.pipe(flipped({ rate: flip })) }
    const unseen = world.pipe(exact.comparisons({ count: heldOutPairs, ...label, as: "held-out" }))
    const drawn = { groups: answers, perGroup: 1, perToken: true, as: "judged" }
    const seen = { objective: sft() }
    const own = laidOut(entrants("sequences", { flip, methods, strengths }), ({ contestant, labels, strength }) => {
      const objective = contestant.objective(strength)
      const policy = trained(world, sides[labels], { objective, by, steps, learningRate })
      return {
        policy,
        report: Tabular.judged(world, policy),
        answers: world.pipe(exact.answers({ ...drawn, policy })),
        heldOut: unseen.pipe(exact.preference({ ...seen, policy }))
      }
    })
    const start = world.pipe(exact.start())
    return {
      ...own,
      "start/answers": world.pipe(exact.answers({ ...drawn, policy: start })),
      "start/heldOut": unseen.pipe(exact.preference({ ...seen, policy: start }))
    }
  }
)

export default pipeline

/** KL and length are exact; gold is the mean reward of an answer's symbols, over answers that were drawn. */
export const measure = (own: Parts, start: Parts): Measures => {
  const of = (name: string) => meanOf(own["report"], name)
  const [ours, theirs] = [scoresOf(own["answers"]), scoresOf(start["answers"])]
  return {
    winRate: winRate(ours, theirs),
    gain: average(ours) - average(theirs),
    kl: of("kl"),
    length: of("length/policy") - of("length/reference"),
    displacement: meanOf(own["heldOut"], "logps/chosen") - meanOf(start["heldOut"], "logps/chosen")
  }
}

const scoresOf = (groups: unknown): ReadonlyArray<number> =>
  (groups as ReadonlyArray<ScoredGroup>).flatMap(({ completions }) => completions.map(({ score }) => score))

const average = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0) / values.length

/** The share of all pairs of one's and another's scores that one wins, ties half. */
export const winRate = (ours: ReadonlyArray<number>, theirs: ReadonlyArray<number>): number => {
  const sorted = theirs.toSorted((a, b) => a - b)
  /** How many of theirs are below `x`, or not above it. */
  const below = (x: number, inclusive: boolean) => {
    let [low, high] = [0, sorted.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (sorted[middle]! < x || (inclusive && sorted[middle]! === x)) low = middle + 1
      else high = middle
    }
    return low
  }
  return average(ours.map((x) => (below(x, false) + below(x, true)) / 2 / sorted.length))
}
