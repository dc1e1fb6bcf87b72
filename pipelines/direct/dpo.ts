import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { dpo, exact, labelSmoothingField } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"
import * as textChecks from "../testbeds/textChecks.ts"

export default Pipeline.make(
  "dpo",
  {
    description: "Direct Preference Optimization towards positive sentiment, from a model trained from nothing",
    paper: {
      title: "Direct Preference Optimization: Your Language Model is Secretly a Reward Model",
      arxiv: "2305.18290"
    },
    claim:
      "A classification loss on pairs solves the KL-constrained reward problem: the policy gains reward, and beta sets how far it moves",
    family: "direct",
    testbed: ["text", "tabular"],
    params: {
      /** Strength of the KL constraint. */
      beta: Positive.pipe(withDefault(0.1)),
      labelSmoothing: labelSmoothingField,
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      textChecks.judgeGains(0.05),
      textChecks.moves,
      textChecks.heldOutAccuracy,
      textChecks.lowerBetaMovesFurther([0.1, 0.5]),
      ...(["uniform", "reference"] as const).map((sampling) =>
        Checks.exact({
          name: `the population loss is minimal at the optimum of reward and KL, pairs from ${sampling}`,
          expected: "largest error of a probability below 1e-4",
          outputs: [`${sampling}Pairs`],
          value: Checks.estimate(`${sampling}Pairs`, "target/max_error"),
          below: 1e-4
        })
      ),
      Checks.exact({
        name: "implicit rewards are the rewards, up to a constant of the context",
        expected: "spread of their difference below 1e-3",
        outputs: ["uniformPairs"],
        value: Checks.estimate("uniformPairs", "implicit_reward/spread"),
        below: 1e-3
      }),
      Checks.exact({
        name: "the optimum is worth beta ln Z",
        expected: "difference to the closed form's E r - beta KL below 1e-4",
        outputs: ["uniformPairs", "optimum"],
        value: (run) =>
          Math.abs(
            Checks.difference(Checks.estimate("optimum", "value"), Checks.estimate("uniformPairs", "value"))(run)
          ),
        below: 1e-4
      }),
      Checks.inEverySeed({
        name: "ten times the pairs come closer to the optimum",
        expected: "what is missing of beta ln Z shrinks at least 3-fold from 5,000 to 50,000 pairs",
        outputs: ["fewPairs", "manyPairs", "optimum"],
        value: (run) => {
          const missing = (output: string) =>
            Checks.difference(Checks.estimate("optimum", "value"), Checks.estimate(output, "value"))(run)
          return missing("fewPairs") / missing("manyPairs")
        },
        above: 3
      })
    ]
  },
  ({ baseSteps, beta, labelSmoothing, ...scale }) => ({
    ...Text.experiment({
      from: Text.policy({ steps: baseSteps }),
      objective: dpo({ beta, labelSmoothing }),
      ...scale
    }),
    ...solved()
  })
)

const BETA = 0.5

/** Where DPO ends in a world that can be solved: with all pairs as often as they occur, and with some that were sampled. */
const solved = () => {
  const world = Tabular.world()
  const objective = dpo({ beta: BETA })
  const reference = world.pipe(exact.start())
  const target = world.pipe(exact.solve({ solution: exact.klOptimum({ beta: BETA }) }))
  const population = (sampling: "uniform" | "reference") =>
    Tabular.judged(world, Tabular.populationOptimum(world, { objective, sampling }), {
      target,
      beta: BETA,
      as: `population-${sampling}`
    })
  const sampled = (count: number) =>
    Tabular.judged(
      world,
      world.pipe(exact.comparisons({ count }), exact.optimize({ from: reference, reference, objective })),
      { target, beta: BETA, as: `${count}-pairs` }
    )
  return {
    uniformPairs: population("uniform"),
    referencePairs: population("reference"),
    optimum: Tabular.judged(world, target, { beta: BETA, as: "optimum" }),
    fewPairs: sampled(5000),
    manyPairs: sampled(50_000)
  }
}
