import { Effect, Stream } from "effect"
import type { Records } from "../../dsl/Artifact.ts"
import type { Evaluation, ScoredGroup } from "../../dsl/artifacts.ts"
import type * as Check from "../../dsl/Check.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { dpo, exact, filter, hinge, minCompletions, statisticalRejection, tournament } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"

const divergence = (of: string) => Checks.estimate(of, "target/kl")
const ratio = (of: string, to: string) => (run: Checks.Run) => divergence(of)(run) / divergence(to)(run)
const estimateOf = (run: Checks.Run, output: string, name: string) =>
  (run.outputs[output] as Evaluation).estimates[name]!

/** The places of the accepted candidates, in order of acceptance. */
const acceptedOrder = (output: string, expected: string, about: string): Check.Check => ({
  name: about,
  kind: "exact",
  expected: `accepted in this order: ${expected}`,
  over: {},
  outputs: [output],
  measure: ([run]) =>
    Stream.runCollect((run!.outputs[output] as Records<ScoredGroup>).stream).pipe(
      Effect.map((groups) => {
        const order = groups.map(({ completions }) => completions.map(({ text }) => text).join(", "))
        return { value: order.length > 0 && order.every((each) => each === expected) ? 1 : 0, note: order.join("; ") }
      })
    ),
  holds: ({ value }) => value === 1
})

export default Pipeline.make(
  "rso",
  {
    description: "Statistical rejection sampling: preferences among answers of the policy that is aimed at",
    paper: { title: "Statistical Rejection Sampling Improves Preference Optimization", arxiv: "2309.06657" },
    claim:
      "Pairs drawn by rejection from the estimated optimal policy estimate it better than pairs of the starting policy, and these better than pairs of anybody",
    family: "direct",
    testbed: ["tabular", "text"],
    params: {
      /** Strength of the KL constraint of the policy that is aimed at. */
      beta: Positive.pipe(withDefault(0.5)),
      /** Scale of the log-ratios in the loss; `beta` makes it the loss of DPO. */
      gamma: Positive.pipe(withDefault(0.5)),
      /** The two of them in the text world, whose rewards differ less. */
      textBeta: Positive.pipe(withDefault(0.1)),
      textGamma: Positive.pipe(withDefault(0.1)),
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      Checks.together({
        name: "the first accepted answer follows the optimal policy",
        expected: "total variation to it, over 20,000 repeats, below 0.02",
        over: {},
        note: "one draw of 20,000 repeats",
        outputs: ["firstAccepted"],
        of: (runs) => Math.max(...runs.map(Checks.estimate("firstAccepted", "first/total_variation"))),
        below: 0.02
      }),
      Checks.exact({
        name: "the candidates themselves do not",
        expected: "total variation of the reference to the optimal policy above 0.3",
        outputs: ["firstAccepted"],
        value: Checks.estimate("firstAccepted", "reference/total_variation"),
        above: 0.3
      }),
      Checks.together({
        name: "counting repeated answers once loses the law",
        expected: "total variation to the optimal policy, over 20,000 repeats, above 0.02",
        over: {},
        note: "one draw of 20,000 repeats",
        outputs: ["firstOfDistinct"],
        of: (runs) => Math.min(...runs.map(Checks.estimate("firstOfDistinct", "first/total_variation"))),
        above: 0.02
      }),
      Checks.together({
        name: "the share accepted in the first pass is E exp((r - best) / beta)",
        expected: "distance to it in standard errors, over 20,000 repeats, below 4",
        over: {},
        note: "one draw of 20,000 repeats",
        outputs: ["firstAccepted"],
        of: (runs) =>
          Math.max(
            ...runs.map((run) => {
              const { high, mean } = estimateOf(run, "firstAccepted", "acceptance")
              const expected = estimateOf(run, "firstAccepted", "acceptance/expected").mean
              return (Math.abs(mean - expected) * 1.959964) / (high - mean)
            })
          ),
        below: 4
      }),
      acceptedOrder("greedy", "2, 1", "at beta 0 the best are accepted, from the best down"),
      acceptedOrder("indifferent", "0, 1", "at a large beta the first are accepted, as they stand"),
      Checks.inEverySeed({
        name: "rejection sampling estimates the optimum better than the starting policy's pairs",
        expected: "KL(optimum || fit) at most 0.85 of theirs in each of 12 seeds",
        over: Checks.seeds(12),
        outputs: ["rejected", "ownPairs"],
        value: ratio("rejected", "ownPairs"),
        below: 0.85
      }),
      Checks.onAverage({
        name: "by much on average",
        expected: "KL(optimum || fit) at most 0.7 of theirs on average over 12 seeds",
        over: Checks.seeds(12),
        outputs: ["rejected", "ownPairs"],
        value: ratio("rejected", "ownPairs"),
        below: 0.7
      }),
      Checks.inEverySeed({
        name: "the starting policy's pairs estimate the optimum better than another policy's",
        expected: "KL(optimum || fit) at most 0.85 of theirs in each of 12 seeds",
        over: Checks.seeds(12),
        outputs: ["ownPairs", "direct"],
        value: ratio("ownPairs", "direct"),
        below: 0.85
      }),
      Checks.exact({
        name: "hinge-norm is done once every pair leads by 1",
        expected: "its loss on consistent pairs below 1e-12",
        outputs: ["hinge"],
        value: Checks.estimate("hinge", "loss"),
        below: 1e-12
      }),
      Checks.onAverage({
        name: "on text the judge prefers its answers to the starting policy's",
        expected: "win rate above 0.5 on held-out prompts, 95 % interval included",
        outputs: ["report"],
        value: Checks.estimate("report", "judge/win_rate"),
        above: 0.5
      }),
      Checks.onAverage({
        name: "on text it wins no less than on pairs of another policy's answers",
        expected: "difference of the judge's win rates above -0.02, 95 % interval included",
        outputs: ["report", "directReport"],
        value: Checks.difference(
          Checks.estimate("report", "judge/win_rate"),
          Checks.estimate("directReport", "judge/win_rate")
        ),
        above: -0.02
      })
    ]
  },
  ({ baseSteps, beta, gamma, textBeta, textGamma, ...scale }) => ({
    ...sampler(beta),
    ...estimation(beta, gamma),
    ...hinged(gamma),
    ...onText(textBeta, textGamma, { from: Text.policy({ steps: baseSteps }), ...scale })
  })
)

const sigmoidNorm = (gamma: number) => dpo({ beta: gamma })
const hingeNorm = (gamma: number) => hinge({ beta: gamma })

/** Rejection sampling where the law of what it accepts is known. */
const sampler = (beta: number) => {
  const world = Pipeline.withSeed(SAMPLER_SEED, () =>
    exact.world({ world: exact.normalBandit({ contexts: 1, responses: 6 }) })
  )
  const three = exact.world({ world: exact.given({ reference: [[1, 1, 1]], rewards: [[[0, 1, 2]]] }), as: "three" })
  const listed = three.pipe(exact.answers({ groups: 5, perGroup: 3, responses: [0, 1, 2] }))
  return {
    firstAccepted: world.pipe(exact.rejection({ repeats: 20_000, beta, as: "first-accepted" })),
    firstOfDistinct: world.pipe(exact.rejection({ repeats: 20_000, beta, dedupe: true, as: "first-of-distinct" })),
    greedy: listed.pipe(statisticalRejection({ k: 2, beta: 0, dedupe: false, as: "greedy" })),
    indifferent: listed.pipe(statisticalRejection({ k: 2, beta: 1e9, dedupe: false, as: "indifferent" }))
  }
}

/** A world whose reference has the best of six responses with probability above 0.1, and whose optimum is far off. */
const SAMPLER_SEED = 3

/** Where 2,000 pairs from each source lead, in a world in which no policy is the optimum. */
const estimation = (beta: number, gamma: number) => {
  const world = exact.world({ world: exact.misspecified(), as: "misspecified" })
  const reference = world.pipe(exact.start())
  const target = world.pipe(exact.solve({ solution: exact.klOptimum({ beta }) }))
  const elsewhere = world.pipe(exact.solve({ solution: exact.boltzmann({ weights: [0, 0, -1] }), as: "elsewhere" }))
  const fit = exact.optimize({ from: reference, reference, objective: sigmoidNorm(gamma) })
  const judged = (policy: ReturnType<typeof fit>, as: string) => Tabular.judged(world, policy, { target, as })
  const drawn = world.pipe(
    exact.answers({ groups: 500, perGroup: 64, objective: 1 }),
    statisticalRejection({ k: 8, beta, dedupe: false }),
    tournament({ scheme: "first-round", labels: "bernoulli" })
  )
  const own = world.pipe(exact.comparisons({ count: 2000, objective: 1, as: "own-pairs" }))
  const direct = world.pipe(exact.comparisons({ count: 2000, policy: elsewhere, as: "direct-pairs" }))
  return {
    rejected: judged(drawn.pipe(fit), "rejected"),
    ownPairs: judged(own.pipe(fit), "own"),
    direct: judged(direct.pipe(fit), "direct")
  }
}

/** Hinge-norm on pairs whose labels follow the rewards. */
const hinged = (gamma: number) => {
  const world = Tabular.world()
  const reference = world.pipe(exact.start())
  const objective = hingeNorm(gamma)
  const pairs = world.pipe(exact.comparisons({ count: 500, labels: "argmax", as: "consistent-pairs" }))
  const policy = pairs.pipe(
    exact.optimize({ from: reference, reference, objective, by: "gradient-descent", learningRate: 4, steps: 3000 })
  )
  return { hinge: pairs.pipe(exact.preference({ policy, reference, objective })) }
}

/**
 * Pairs of four of a prompt's answers, accepted by rejection or simply the first four, and pairs of somebody else's answers:
 * those of a policy that was trained for less long.
 */
const onText = (
  beta: number,
  gamma: number,
  scale: Parameters<typeof Text.shared>[0] & {
    readonly from: ReturnType<typeof Text.policy>
    readonly steps: number
    readonly learningRate: number
  }
) => {
  const objective = sigmoidNorm(gamma)
  const enough = Text.shared(scale)
    .scored("train")
    .pipe(filter({ by: minCompletions({ count: 4 }), as: "enough" }))
  const accepted = (temperature: number, as: string) =>
    enough.pipe(statisticalRejection({ k: 4, beta: temperature, as }), tournament())
  const elsewhere = Text.shared({ ...scale, from: Text.policy({ steps: 300 }), perPrompt: 4 }).scored("train")
  const rso = Text.experiment({ ...scale, objective, pairs: accepted(beta, "accepted"), as: "rso" })
  const own = Text.experiment({ ...scale, objective, pairs: accepted(1e9, "first-four"), as: "own" })
  const direct = Text.experiment({ ...scale, objective, pairs: elsewhere.pipe(tournament()), as: "direct" })
  return { report: rso.report, heldOut: rso.heldOut, ownReport: own.report, directReport: direct.report }
}
