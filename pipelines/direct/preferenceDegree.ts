import { Effect, Stream } from "effect"
import type { Records } from "../../dsl/Artifact.ts"
import type { Pair } from "../../dsl/artifacts.ts"
import type * as Check from "../../dsl/Check.ts"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import type { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import type { ExactPolicy } from "../../dsl/exactArtifacts.ts"
import type * as Node from "../../dsl/Node.ts"
import { Count, NonNegative, Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { degrade, degree, dpo, exact, shuffleNumbers, withDegree } from "../../stages/index.ts"
import { phrases } from "../../stages/pair/rake.ts"
import * as Checks from "../testbeds/checks.ts"
import { type AnyObjective, onAnswers } from "../testbeds/sequences.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"
import * as textChecks from "../testbeds/textChecks.ts"

const LEVELS = 3
/** So small that preferences move no weight: their gradient is far below what the optimizer divides by. */
const NO_PREFERENCE = 1e-30
/** What the method adds to DPO, or to any objective. */
const objective = withDegree

/** The largest change of a weight that both models have. */
const moved = (from: string, to: string) => (run: Checks.Run) => {
  const [before, after] = [run.outputs[from] as Checkpoint, run.outputs[to] as Checkpoint]
  const changes = [...before.weights].map(([name, { data }]) => {
    const other = after.weights.get(name)!.data
    return data.reduce((largest, x, i) => Math.max(largest, Math.abs(x - other[i]!)), 0)
  })
  return Math.max(...changes)
}

/** One number of the degraded held-out pairs. */
const ofPairs = (
  about: { readonly name: string; readonly expected: string; readonly below: number },
  value: (pairs: ReadonlyArray<Pair>) => number
): Check.Check => ({
  name: about.name,
  expected: about.expected,
  kind: "exact",
  over: {},
  outputs: ["degraded"],
  measure: ([run]) =>
    Effect.map(Stream.runCollect((run!.outputs["degraded"] as Records<Pair>).stream), (pairs) => ({
      value: value(pairs)
    })),
  holds: (measured) => measured.value < about.below
})

/** How many of a pair's degraded answers lack another number of phrases than their degree says. */
const wrong = ({ others, ...pair }: Pair): number =>
  (["chosen", "rejected"] as const)
    .flatMap((side) => {
      const all = phrases(pair[side].text).length
      const levels = Math.min(LEVELS, all)
      return Array.from({ length: LEVELS }, (_, i) => {
        const left = others?.[`${side}${i + 1}`]?.completion.text
        if (i >= levels) return left !== undefined
        const removed = all < LEVELS ? i + 1 : Math.ceil(((i + 1) * all) / LEVELS)
        return left === undefined || phrases(left).length !== all - removed
      })
    })
    .filter((is) => is).length

/** The largest distance of a degree's share from that of all degrees alike, among answers that have them all. */
const imbalance = (pairs: ReadonlyArray<Pair>): number => {
  const drawn = pairs.flatMap(({ numbers }) =>
    (["Chosen", "Rejected"] as const).flatMap((side) =>
      numbers![`${side.toLowerCase()}Levels`] === LEVELS ? [numbers![`degree${side}`]!] : []
    )
  )
  const shares = Array.from({ length: LEVELS + 1 }, (_, d) => drawn.filter((own) => own === d).length / drawn.length)
  return Math.max(...shares.map((share) => Math.abs(share - 1 / (LEVELS + 1))))
}

/** What the recognition of a degree adds to the loss of a pair, under a head of zeros. */
const added = (label: number): number => {
  const heads = Array.from({ length: LEVELS + 1 }, () => 0)
  const answer = { policy: [-1, -2], reference: [-1.5, -1], heads }
  const answers = { chosen: answer, rejected: answer, degradedChosen: answer, degradedRejected: answer }
  const numbers = { degreeChosen: label, degreeRejected: label }
  const lossOf = (objective: AnyObjective) => onAnswers(objective, answers, numbers).loss
  return lossOf(objective({ objective: dpo(), gamma: 1, levels: LEVELS })) - lossOf(dpo())
}

const winRate = (output: string) => Checks.estimate(output, "judge/win_rate")
const accuracy = (output: string) => Checks.estimate(output, "degree/accuracy")

export default Pipeline.make(
  "preference-degree",
  {
    description: "Self-supervised Preference Optimization: DPO that also learns to tell how much of an answer is left",
    paper: {
      title: "Self-supervised Preference Optimization: Enhance Your Language Model with Preference Degree Awareness",
      arxiv: "2409.17791"
    },
    claim:
      "A model can learn to tell the degree of a preference beside the preference itself, at no cost to the latter",
    family: "direct",
    testbed: ["tabular", "text"],
    params: {
      /** Strength of the KL constraint. */
      beta: Positive.pipe(withDefault(0.1)),
      /** Weight of the recognition of degrees; 0 is DPO. */
      gamma: NonNegative.pipe(withDefault(1)),
      levels: Count.pipe(withDefault(LEVELS)),
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      Checks.exact({
        name: "without weight on degrees it is DPO, bit for bit, in a solved world",
        expected: "largest difference of a logit after 300 steps below 1e-300",
        outputs: ["exactWithout", "exactDpo"],
        value: ({ outputs }) => {
          const [ours, theirs] = [outputs.exactWithout as ExactPolicy, outputs.exactDpo as ExactPolicy]
          return Math.max(...ours.theta.map((x, i) => Math.abs(x - theirs.theta[i]!)))
        },
        below: 1e-300
      }),
      Checks.exact({
        name: "without weight on degrees it is DPO, bit for bit, on text",
        expected: "largest difference of a weight after 10 steps below 1e-300",
        outputs: ["without", "shortDpo"],
        value: moved("shortDpo", "without"),
        below: 1e-300
      }),
      ofPairs(
        {
          name: "a degree is a number of phrases deleted",
          expected: "held-out answers that do not lack ceil(l m / 3) of m phrases, l where m < 3: fewer than 1",
          below: 1
        },
        (pairs) => (pairs.length === 0 ? 1 : pairs.reduce((sum, pair) => sum + wrong(pair), 0))
      ),
      ofPairs(
        {
          name: "all degrees are drawn alike",
          expected: "largest distance of a degree's share from 1/4, on held-out pairs, below 0.06",
          below: 0.06
        },
        imbalance
      ),
      Checks.exact({
        name: "a head of zeros knows nothing",
        expected: "what degrees add to the loss of DPO within 1e-12 of ln 4, whatever they are",
        outputs: [],
        value: () =>
          Math.max(...Array.from({ length: LEVELS + 1 }, (_, label) => Math.abs(added(label) - Math.log(4)))),
        below: 1e-12
      }),
      Checks.exact({
        name: "a head of zeros teaches the model nothing",
        expected: "largest change of the model's weights in one step on degrees alone below 1e-300",
        outputs: ["start", "oneStep"],
        value: moved("start", "oneStep"),
        below: 1e-300
      }),
      Checks.exact({
        name: "a head that has moved does",
        expected: "largest change of the model's weights in the second step above 1e-6",
        outputs: ["start", "twoSteps"],
        value: moved("start", "twoSteps"),
        above: 1e-6
      }),
      Checks.inEverySeed({
        name: "degrees of held-out answers are recognized",
        expected: "accuracy above 0.55 in every seed, where 0.25 is chance",
        outputs: ["degrees"],
        value: accuracy("degrees"),
        above: 0.55,
        knownGap:
          "0.535 on average, 0.494 to 0.574: answers have some 7 words and a third of them three phrases or more, so 120 steps show some 1,400 labels; degrees 0 and 3 are told apart well, 1 and 2 hardly"
      }),
      Checks.inEverySeed({
        name: "because they were taught",
        expected: "accuracy above that after training on degrees dealt out anew by more than 0.2 in every seed",
        outputs: ["degrees", "shuffledDegrees"],
        value: Checks.difference(accuracy("degrees"), accuracy("shuffledDegrees")),
        above: 0.2
      }),
      Checks.inEverySeed({
        name: "preferences are learned as well as by DPO",
        expected: "the judge's win rate against the start less DPO's above -0.02 in every seed",
        outputs: ["report", "dpoReport"],
        value: Checks.difference(winRate("report"), winRate("dpoReport")),
        above: -0.02
      }),
      Checks.inMean({
        name: "true degrees do no worse than degrees dealt out anew",
        expected:
          "mean over three seeds of the difference of the judge's win rates at least 0 (the mean, not its interval)",
        outputs: ["report", "shuffledReport"],
        value: Checks.difference(winRate("report"), winRate("shuffledReport")),
        above: -1e-12
      }),
      textChecks.heldOutAccuracy
    ]
  },
  ({ baseSteps, beta, gamma, levels, ...scale }) => {
    const from = Text.policy({ steps: baseSteps })
    const shared = Text.shared({ from, ...scale })
    const preferred = shared.preferences("train")
    const pairs = preferred.pipe(degrade({ levels, fewer: "leave-out", as: "train-degraded" }))
    const own = { from, ...scale, pairs, annotate: preferred }
    const base = dpo({ beta })
    const ours = Text.experiment({ ...own, objective: objective({ objective: base, gamma, levels }) })
    const shuffled = Text.experiment({
      ...own,
      objective: objective({ objective: base, gamma, levels }),
      pairs: pairs.pipe(shuffleNumbers({ names: ["degreeChosen", "degreeRejected"] })),
      as: "shuffled"
    })
    const theirs = Text.experiment({ from, ...scale, objective: base, as: "dpo" })
    const heldOut = shared.preferences("test").pipe(degrade({ levels, fewer: "leave-out", as: "test-degraded" }))
    const judged = <E, R>(policy: Node.Node<typeof CheckpointFolder, E, R>, as: string) =>
      heldOut.pipe(degree({ levels, policy, as }))
    const without = Text.experiment({
      ...own,
      steps: 10,
      objective: objective({ objective: base, gamma: 0, levels }),
      as: "without"
    })
    const onDegreesAlone = (steps: number) =>
      Text.experiment({
        ...own,
        steps,
        objective: objective({ objective: dpo({ beta: NO_PREFERENCE }), gamma: 1, levels }),
        training: { warmupSteps: 0 },
        as: `alone-${steps}`
      }).policy
    return {
      ...ours,
      degrees: judged(ours.policy, "degrees"),
      shuffledDegrees: judged(shuffled.policy, "shuffled-degrees"),
      shuffledReport: shuffled.report,
      dpoReport: theirs.report,
      degraded: heldOut,
      without: without.policy,
      shortDpo: Text.experiment({ from, ...scale, steps: 10, objective: base, as: "short-dpo" }).policy,
      start: from,
      oneStep: onDegreesAlone(1),
      twoSteps: onDegreesAlone(2),
      ...solved()
    }
  }
)

/** DPO in a world that can be solved, and the same with degrees that weigh nothing. */
const solved = () => {
  const world = Tabular.world()
  const from = world.pipe(exact.start())
  const pairs = world.pipe(exact.population())
  const training = { from, reference: from, by: "adam", steps: 300 } as const
  const base = dpo({ beta: 0.5 })
  return {
    exactWithout: pairs.pipe(exact.optimize({ ...training, objective: objective({ objective: base, gamma: 0 }) })),
    exactDpo: pairs.pipe(exact.optimize({ ...training, objective: base }))
  }
}
