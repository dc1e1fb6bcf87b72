import { NonNegative, Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { dpo, exact, simpo } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import { type AnyObjective, largestDistance, onAnswers, trained } from "../testbeds/sequences.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"
import * as textChecks from "../testbeds/textChecks.ts"

const exactObjective = simpo({ beta: 2.5, gammaBetaRatio: 0.5 })
const baseline = dpo({ beta: 0.1 })
const seeds = { over: Checks.seeds(12) }

const accuracy = (output: string) => Checks.estimate(output, "gold/accuracies")
/** The gold reward that pairs are labelled by: four times the mean worth of a symbol. */
const gold =
  (output: string, of: "policy" | "reference" = "policy") =>
  (run: Checks.Run) =>
    4 * Checks.estimate(output, `reward_per_symbol/${of}`)(run)

/** A pair of three and four tokens, and the same with both answers said twice. */
const once = {
  chosen: { policy: [-0.5, -1, -0.3], reference: [-0.7, -0.9, -0.8] },
  rejected: { policy: [-0.2, -0.9, -1.1, -0.6], reference: [-0.4, -0.8, -0.5, -0.9] }
}
const said = (answer: typeof once.chosen) => ({
  policy: [...answer.policy, ...answer.policy],
  reference: [...answer.reference, ...answer.reference]
})
const twice = { chosen: said(once.chosen), rejected: said(once.rejected) }
const margin = (objective: AnyObjective, pair: typeof once) => {
  const { rewards } = onAnswers(objective, pair)
  return rewards.chosen - rewards.rejected
}

export default Pipeline.make(
  "simpo",
  {
    description:
      "Simple Preference Optimization towards positive sentiment: no reference, length-normalized, with a margin",
    paper: { title: "SimPO: Simple Preference Optimization with a Reference-Free Reward", arxiv: "2405.14734" },
    claim:
      "The policy's own mean log-probability, with a target margin, is reward enough: no reference model is needed",
    family: "direct",
    testbed: ["text", "sequences"],
    params: {
      /** Scale of the implicit reward, and the margin as a share of it. */
      beta: Positive.pipe(withDefault(2.5)),
      gammaBetaRatio: NonNegative.pipe(withDefault(0.5)),
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      textChecks.judgeGains(0.05),
      textChecks.moves,
      textChecks.heldOutAccuracy,
      Checks.exact({
        name: "another reference changes nothing",
        expected: "no parameter differs between trainings under two references",
        outputs: ["oneReference", "otherReference"],
        value: ({ outputs }) => largestDistance(outputs.oneReference.theta, outputs.otherReference.theta),
        below: Number.MIN_VALUE
      }),
      Checks.exact({
        name: "answers said twice cost what they cost once",
        expected: "loss the same to 1e-12, where DPO's margin doubles",
        outputs: [],
        value: () =>
          Math.max(
            Math.abs(onAnswers(exactObjective, twice).loss - onAnswers(exactObjective, once).loss),
            Math.abs(margin(baseline, twice) - 2 * margin(baseline, once))
          ),
        below: 1e-12
      }),
      ...(["train", "heldOut"] as const).map((split) =>
        Checks.onAverage({
          ...seeds,
          name: `mean log-probability orders ${split === "train" ? "the training" : "held-out"} pairs better than DPO's policy`,
          expected: "accuracy by gold at least 0.05 above that of DPO's policy, 95 % interval of the mean included",
          outputs: [`${split}Simpo`, `${split}Dpo`],
          value: Checks.difference(accuracy(`${split}Simpo`), accuracy(`${split}Dpo`)),
          above: 0.05
        })
      ),
      Checks.onAverage({
        ...seeds,
        name: "answers are shorter than DPO's",
        expected: "expected length at most DPO's less 0.5 symbols, 95 % interval of the mean included",
        outputs: ["exactSimpo", "exactDpo"],
        value: Checks.difference(
          Checks.estimate("exactSimpo", "length/policy"),
          Checks.estimate("exactDpo", "length/policy")
        ),
        below: -0.5
      }),
      Checks.onAverage({
        ...seeds,
        name: "gold is not below DPO's",
        expected: "expected gold at least DPO's less 0.1, 95 % interval of the mean included",
        outputs: ["exactSimpo", "exactDpo"],
        value: Checks.difference(gold("exactSimpo"), gold("exactDpo")),
        above: -0.1
      }),
      Checks.onAverage({
        ...seeds,
        name: "gold rises",
        expected: "expected gold more than 0.8 above the reference's, 95 % interval of the mean included",
        outputs: ["exactSimpo"],
        value: Checks.difference(gold("exactSimpo"), gold("exactSimpo", "reference")),
        above: 0.8
      })
    ]
  },
  ({ baseSteps, beta, gammaBetaRatio, ...scale }) => ({
    ...Text.experiment({
      from: Text.policy({ steps: baseSteps }),
      objective: simpo({ beta, gammaBetaRatio }),
      ...scale
    }),
    ...underReferences(),
    ...outputs(compared()),
    ...lengthLoving(compared(0.15))
  })
)

/** Pairs labelled by a reward that does not care for length, or likes it so much a symbol. */
const sequences = (lengthWeight = 0) => {
  const world = exact.world({ world: exact.sequences() })
  const labelled = { count: 300, perToken: true, scale: 4, lengthWeight }
  const pairs = world.pipe(exact.comparisons(labelled))
  const heldOut = world.pipe(exact.comparisons({ ...labelled, stream: "held-out" }))
  return { world, pairs, heldOut }
}

const minimizer = { by: "adam", steps: 300, learningRate: 0.01 } as const

/** SimPO and DPO on the same sequences; what ranks pairs is the mean log-probability for both. */
const compared = (lengthWeight?: number) => {
  const { heldOut, pairs, world } = sequences(lengthWeight)
  const arm = (objective: AnyObjective, as: string) => {
    const policy = trained(world, pairs, { objective, ...minimizer, as })
    return {
      exact: Tabular.judged(world, policy, { as }),
      train: pairs.pipe(exact.preference({ policy, objective: simpo() })),
      heldOut: heldOut.pipe(exact.preference({ policy, objective: simpo() }))
    }
  }
  return { simpo: arm(exactObjective, "simpo"), dpo: arm(baseline, "dpo") }
}

const outputs = ({ dpo, simpo }: ReturnType<typeof compared>) => ({
  exactSimpo: simpo.exact,
  exactDpo: dpo.exact,
  trainSimpo: simpo.train,
  trainDpo: dpo.train,
  heldOutSimpo: simpo.heldOut,
  heldOutDpo: dpo.heldOut
})

const lengthLoving = ({ dpo, simpo }: ReturnType<typeof compared>) => ({
  lengthLovingSimpo: simpo.heldOut,
  lengthLovingDpo: dpo.heldOut
})

/** The same training under the world's reference and under one that has nothing to do with it. */
const underReferences = () => {
  const { pairs, world } = sequences()
  const unrelated = exact.world({ world: exact.sequences(), stream: "unrelated" })
  const from = world.pipe(exact.start())
  const under = (reference: typeof from) =>
    pairs.pipe(exact.optimize({ from, reference, objective: exactObjective, ...minimizer }))
  return { oneReference: under(from), otherReference: under(unrelated.pipe(exact.start())) }
}
