/** The tournament in a contextual bandit of which everything is known, its best reward at every KL among it. */
import { Schema } from "effect"
import { Count, Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { exact, flip as flipped, mismatch, sft } from "../../stages/index.ts"
import { trained } from "../testbeds/sequences.ts"
import * as Tabular from "../testbeds/tabular.ts"
import { entrants, fields, laidOut } from "./entrants.ts"
import { type Measures, meanOf, type Parts } from "./measures.ts"

/** The betas at which the best that a policy can do is computed. */
export const OPTIMUM_BETAS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10] as const

/** Outputs named `optimum/<beta>` are the solutions of reward less beta times KL, evaluated. */
export const optimumName = (beta: number) => `optimum/${beta}`

/** How exact policies are trained: the budget that all methods share. */
export const budgetFields = {
  /** Full-batch updates. */
  steps: Count.pipe(withDefault(200)),
  by: Schema.Literals(["adam", "gradient-descent", "lbfgs"]).pipe(withDefault("adam")),
  learningRate: Positive.pipe(withDefault(0.1)),
  heldOutPairs: Count.pipe(withDefault(400))
}

export const pipeline = Pipeline.make(
  "tournament-tabular",
  {
    description: "Methods against each other in a bandit that can be solved",
    family: "tournament",
    testbed: ["tabular"],
    params: {
      ...fields,
      ...budgetFields,
      /** Comparisons that methods are trained on; pairs of equal answers make none. */
      pairs: Count.pipe(withDefault(600)),
      /** `population`: all pairs as often as they occur, without sampling noise, in place of `pairs` of them. */
      data: Schema.Literals(["sampled", "population"]).pipe(withDefault("sampled"))
    }
  },
  ({ by, data, flip, heldOutPairs, learningRate, methods, pairs, steps, strengths }) => {
    const world = Tabular.world()
    const given =
      data === "population"
        ? (rate: number) => world.pipe(exact.population({ flip: rate }))
        : (rate: number) => {
            const clean = world.pipe(exact.comparisons({ count: pairs }))
            return rate === 0 ? clean : clean.pipe(flipped({ rate }))
          }
    const sides = { clean: given(0), flipped: given(flip) }
    const unseen = world.pipe(exact.comparisons({ count: heldOutPairs, as: "held-out" }))
    const seen = { objective: sft() }
    const own = laidOut(entrants("tabular", { flip, methods, strengths }), ({ contestant, labels, strength }) => {
      const trainedOn = contestant.needs === "mismatched" ? sides[labels].pipe(mismatch()) : sides[labels]
      const policy = trained(world, trainedOn, { objective: contestant.objective(strength), by, steps, learningRate })
      return {
        policy,
        report: Tabular.judged(world, policy),
        heldOut: unseen.pipe(exact.preference({ ...seen, policy }))
      }
    })
    const optima = OPTIMUM_BETAS.map((beta) => {
      const optimum = world.pipe(exact.solve({ solution: exact.klOptimum({ beta }) }))
      return [optimumName(beta), Tabular.judged(world, optimum)] as const
    })
    return {
      ...own,
      "start/heldOut": unseen.pipe(exact.preference({ ...seen, policy: world.pipe(exact.start()) })),
      ...Object.fromEntries(optima)
    }
  }
)

export default pipeline

/** From the evaluations of a policy in the world and on held-out pairs. */
export const measure = (own: Parts, start: Parts): Measures => {
  const of = (name: string) => meanOf(own["report"], name)
  return {
    winRate: of("win_rate"),
    gain: of("reward/policy") - of("reward/reference"),
    kl: of("kl"),
    length: of("length/policy") - of("length/reference"),
    displacement: meanOf(own["heldOut"], "logps/chosen") - meanOf(start["heldOut"], "logps/chosen")
  }
}
