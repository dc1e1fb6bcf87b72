import type { Prompts } from "../../dsl/artifacts.ts"
import type * as Check from "../../dsl/Check.ts"
import type { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import type { ExactPolicy, World } from "../../dsl/exactArtifacts.ts"
import type * as Node from "../../dsl/Node.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import {
  bestWorst,
  bradleyTerry,
  distinct,
  dpo,
  exact,
  filter,
  load,
  logProbs,
  optimize,
  pair,
  preferenceAccuracy,
  sample,
  score
} from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import { trained } from "../testbeds/sequences.ts"
import * as Text from "../testbeds/text.ts"

const BETA = 0.5
const GOLD = 0.8

const accuracy = (output: string) => Checks.estimate(output, "rewards/accuracies")
/** By how much the explicit model orders a set of pairs better than the implicit one. */
const drop = (pairs: string) => Checks.difference(accuracy(`${pairs}Explicit`), accuracy(`${pairs}Implicit`))

const logSoftmax = (logits: ReadonlyArray<number>) => {
  const top = Math.max(...logits)
  const logZ = top + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - top), 0))
  return logits.map((x) => x - logZ)
}

/** What each model thinks of a symbol: the explicit one's weights, the implicit one's `beta ln (policy / reference)`. */
const symbolRewards = ({ outputs }: Checks.Run) => {
  const [policy, reference] = [outputs.implicit, outputs.reference].map(({ theta }: ExactPolicy) => logSoftmax(theta))
  return {
    explicit: (outputs.explicit as World).tokenRewards ?? [],
    implicit: policy!.map((logProb, v) => BETA * (logProb - reference![v]!)),
    reference: reference!
  }
}

/** `-beta ln sum_v reference(v) exp(w(v) / beta)`: what the implicit model adds to the explicit weights of each symbol. */
const offset = (weights: ReadonlyArray<number>, logReference: ReadonlyArray<number>, beta: number) =>
  -beta * Math.log(weights.reduce((sum, w, v) => sum + Math.exp(logReference[v]! + w / beta), 0))

const seeds = { over: Checks.seeds(10) }

/** What differs from the training pairs of the text world, one thing at a time. */
const SHIFTS = ["otherPrompts", "hotter", "colder", "truncated", "otherGenerator"] as const
const textOutputs = (sets: ReadonlyArray<string>) => sets.flatMap((set) => [`${set}Explicit`, `${set}Implicit`])

export default Pipeline.make(
  "reward-models",
  {
    description:
      "DPO's implicit reward model beside an explicit one trained on the same pairs, in and out of distribution",
    paper: {
      title:
        "On the Limited Generalization Capability of the Implicit Reward Model Induced by Direct Preference Optimization",
      arxiv: "2409.03650"
    },
    claim: "The implicit reward model fits training preferences as well, but generalizes less well under shift",
    family: "direct",
    testbed: ["sequences", "text"],
    params: {
      beta: Positive.pipe(withDefault(0.1)),
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      Checks.exact({
        ...seeds,
        name: "both models learn the same weights of symbols",
        expected: "centred weights within 1e-3",
        outputs: ["explicit", "implicit", "reference"],
        value: (run) => {
          const { explicit, implicit } = symbolRewards(run)
          return Math.max(
            ...explicit.map((w, v) =>
              Math.abs(w - Checks.average(explicit) - (implicit[v]! - Checks.average(implicit)))
            )
          )
        },
        below: 1e-3
      }),
      ...(["inDistribution", "promptShift"] as const).map((pairs) =>
        Checks.exact({
          ...seeds,
          name: `both models order pairs of equal length alike: ${pairs === "promptShift" ? "of another source" : "of the training distribution"}`,
          expected: "accuracies within 0.002",
          outputs: [`${pairs}Explicit`, `${pairs}Implicit`],
          value: (run) => Math.abs(drop(pairs)(run)),
          below: 0.002
        })
      ),
      Checks.exact({
        ...seeds,
        name: "implicit rewards are normalized in every context",
        expected: "sum_v reference(v) exp(u(v) / beta) within 1e-6 of 1",
        outputs: ["explicit", "implicit", "reference"],
        value: (run) => {
          const { implicit, reference } = symbolRewards(run)
          return Math.abs(implicit.reduce((sum, u, v) => sum + Math.exp(reference[v]! + u / BETA), 0) - 1)
        },
        below: 1e-6
      }),
      Checks.exact({
        ...seeds,
        name: "the implicit model charges for every symbol",
        expected: "the mean implicit reward of symbols below the mean explicit one",
        outputs: ["explicit", "implicit", "reference"],
        value: (run) => {
          const { explicit, implicit } = symbolRewards(run)
          return Checks.average(implicit) - Checks.average(explicit)
        },
        below: 0
      }),
      Checks.exact({
        ...seeds,
        name: "the charge is what the normalization asks for",
        expected:
          "mean difference of implicit and explicit weights within 1e-3 of -beta ln sum reference exp(w / beta)",
        outputs: ["explicit", "implicit", "reference"],
        value: (run) => {
          const { explicit, implicit, reference } = symbolRewards(run)
          return Math.abs(Checks.average(implicit) - Checks.average(explicit) - offset(explicit, reference, BETA))
        },
        below: 1e-3
      }),
      Checks.exact({
        name: "the charge of two equally likely symbols of weights 1 and -1 at beta 1",
        expected: "-ln cosh 1 = -0.4337808305 to 1e-9",
        outputs: [],
        value: () => Math.abs(offset([1, -1], [-Math.LN2, -Math.LN2], 1) + 0.4337808305),
        below: 1e-9
      }),
      Checks.inEverySeed({
        ...seeds,
        name: "under a shift of lengths the implicit model loses",
        expected: "accuracy at least 0.1 below the explicit model's in every seed",
        outputs: ["lengthShiftExplicit", "lengthShiftImplicit"],
        value: drop("lengthShift"),
        above: 0.1
      }),
      {
        ...Checks.inMean({
          over: Checks.seeds(5),
          name: "on text, both models order pairs of the training distribution alike",
          expected: "mean difference of the accuracies over five seeds within 0.03 of 0",
          outputs: textOutputs(["held"]),
          value: drop("held"),
          below: 0.03,
          knownGap:
            "0.074 (-0.010 to 0.158): after 120 steps neither model has fitted, and the explicit one, whose head reads the last token, orders held-out pairs better in most seeds"
        }),
        holds: ({ value }: Check.Measured) => Math.abs(value) < 0.03
      },
      Checks.together({
        over: Checks.seeds(5),
        name: "on text, the implicit model loses under shift",
        expected:
          "mean drop under other prompts, higher and lower temperature, truncation and another policy's answers: t of five seeds above 1.533 (one-sided p < 0.1)",
        outputs: textOutputs(SHIFTS),
        of: (runs) => Checks.studentT(runs.map((run) => Checks.average(SHIFTS.map((set) => drop(set)(run))))),
        above: 1.533
      })
    ]
  },
  (params) => ({ ...onSymbols(), ...onText(params) })
)

/** 2000 pairs of equal length, and both models on new ones: of the same source, of another one, and of unequal lengths. */
const onSymbols = () => {
  const tokenRewards = Array.from({ length: 10 }, (_, v) => (v < 5 ? 1 : -1))
  const source = (length: number) => exact.world({ world: exact.unigrams({ length, tokenRewards }) })
  const world = source(12)
  const pairs = world.pipe(exact.comparisons({ count: 2000, scale: GOLD }))
  const objective = dpo({ beta: BETA })
  const implicit = trained(world, pairs, { objective, as: "implicit" })
  const explicit = pairs.pipe(exact.rewardModel({ objective: bradleyTerry(), world, as: "explicit" }))
  const reference = world.pipe(exact.start())

  // Gold decides, without noise and ties.
  const judged = { count: 2000, scale: GOLD, labels: "argmax" } as const
  const other = exact.world({ world: exact.unigrams({ tokenRewards }), stream: "prompt-shift" })
  const [long, short] = [source(18).pipe(exact.start()), source(6).pipe(exact.start())]
  const inDistribution = world.pipe(exact.comparisons({ ...judged, stream: "in-distribution" }))
  const promptShift = world.pipe(
    exact.comparisons({ ...judged, policy: other.pipe(exact.start()), stream: "prompt-shift" })
  )
  const lengthShift = world.pipe(
    exact.comparisons({ ...judged, policy: long, opponent: short, stream: "length-shift" })
  )
  const byExplicit = exact.ranked({ world: explicit })
  const byImplicit = exact.preference({ policy: implicit, reference, objective })
  return {
    explicit,
    implicit,
    reference,
    inDistributionExplicit: inDistribution.pipe(byExplicit),
    inDistributionImplicit: inDistribution.pipe(byImplicit),
    promptShiftExplicit: promptShift.pipe(byExplicit),
    promptShiftImplicit: promptShift.pipe(byImplicit),
    lengthShiftExplicit: lengthShift.pipe(byExplicit),
    lengthShiftImplicit: lengthShift.pipe(byImplicit)
  }
}

/** Both models from one policy on the same pairs, and how they order held-out pairs that are shifted in one thing each. */
const onText = (params: Text.Amounts & { readonly beta: number }) => {
  const { baseSteps, beta, learningRate, perPrompt, steps, testPrompts: limit, trainPrompts } = params
  const from = Text.policy({ steps: baseSteps })
  const pairs = Text.preferences(from, { split: "train", limit: trainPrompts, perPrompt })
  const objective = dpo({ beta })
  const policy = pairs.pipe(optimize({ from, reference: from, objective, steps, learningRate, as: "policy" }))
  const rewards = bradleyTerry()
  const model = pairs.pipe(optimize({ from, objective: rewards, steps, learningRate, as: "reward-model" }))

  const answered = <EP, RP, E, R>(
    prompts: Node.Node<typeof Prompts, EP, RP>,
    generator: Node.Node<typeof CheckpointFolder, E, R>,
    sampling: { readonly temperature?: number; readonly maxTokens?: number } = {}
  ) => {
    const preferred = prompts.pipe(
      sample({ policy: generator, perPrompt: 4, ...sampling }),
      score({ reward: Text.sentiment }),
      filter({ by: distinct() }),
      pair({ by: bestWorst() })
    )
    return {
      explicit: preferred.pipe(preferenceAccuracy({ policy: model, objective: rewards })),
      implicit: preferred.pipe(
        preferenceAccuracy({ policy, objective, referenceLogProbs: preferred.pipe(logProbs({ policy: from })) })
      )
    }
  }
  const prompts = Text.prompts({ split: "test", limit })
  const unfamiliar = load
    .brown({ lowercase: true, minWords: 13, maxWords: 30 })
    .pipe(load.prefixes({ words: 3, order: "shuffled", limit }))
  const held = answered(prompts, from)
  const otherPrompts = answered(unfamiliar, from)
  const hotter = answered(prompts, from, { temperature: 1.3 })
  const colder = answered(prompts, from, { temperature: 0.6 })
  const truncated = answered(prompts, from, { maxTokens: 6 })
  const otherGenerator = answered(prompts, Text.policy({ steps: 300 }))
  return {
    policy,
    model,
    heldExplicit: held.explicit,
    heldImplicit: held.implicit,
    otherPromptsExplicit: otherPrompts.explicit,
    otherPromptsImplicit: otherPrompts.implicit,
    hotterExplicit: hotter.explicit,
    hotterImplicit: hotter.implicit,
    colderExplicit: colder.explicit,
    colderImplicit: colder.implicit,
    truncatedExplicit: truncated.explicit,
    truncatedImplicit: truncated.implicit,
    otherGeneratorExplicit: otherGenerator.explicit,
    otherGeneratorImplicit: otherGenerator.implicit
  }
}
