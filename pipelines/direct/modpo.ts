import { Schema } from "effect"
import type { ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import type * as Node from "../../dsl/Node.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { hypervolume } from "../../runtime/exact/pareto.ts"
import { dpo, evaluate, exact, margins, mixed, modpo, weighted, wordCount } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"

const BETA = 0.5
const WEIGHTS = [0.1, 0.5, 0.9, 1] as const
const objective = (options: { readonly beta: number; readonly weight: number }) => modpo(options)

const at = (weight: number) => `weight${weight}`
const reward = (k: 0 | 1, weight: number) => Checks.estimate(at(weight), `reward${k}/policy`)
/** How much a measurement rises from each weight to the next one. */
const rises = (of: (weight: number) => (run: Checks.Run) => number) => (runs: ReadonlyArray<Checks.Run>) =>
  runs.flatMap((run) => WEIGHTS.slice(1).map((weight, i) => of(weight)(run) - of(WEIGHTS[i]!)(run)))

/** The ends of the front on text. */
const ENDS = [0.1, 0.9] as const
/** Brevity's unit: the standard deviation of answers' words, measured once on the starting policy of seed 0. */
const WORDS = 2.8
const brevity = weighted({ rewards: [{ reward: wordCount(), weight: -1 / WORDS }] })

/** Gains over the starting policy of sentiment and of brevity, in those units. */
const gains = (output: string) => (run: Checks.Run) =>
  [Checks.estimate(output, "reward/gain")(run) / SENTIMENT, Checks.estimate(output, "judge/gain")(run)] as const
/** Sentiment's unit, its standard deviation measured in the same way. */
const SENTIMENT = 0.24

const fronts = ["modpo", "mixing"].flatMap((method) => ENDS.map((weight) => `${method}.${weight}`))
const volume = (method: string) => (run: Checks.Run) =>
  hypervolume(
    ENDS.map((weight) => gains(`${method}.${weight}`)(run)),
    [0, 0]
  )

export default Pipeline.make(
  "modpo",
  {
    description: "Multi-Objective DPO: one policy for each weighting of two objectives, without reinforcement learning",
    paper: {
      title: "Beyond One-Preference-Fits-All Alignment: Multi-Objective Direct Preference Optimization",
      arxiv: "2310.03708"
    },
    claim:
      "With the other objectives' rewards as a margin, DPO on one objective's preferences solves the weighted sum of all, and weights trace the Pareto front",
    family: "direct",
    testbed: ["text", "tabular"],
    params: {
      beta: Positive.pipe(withDefault(0.1)),
      /** Of sentiment; brevity has the rest. */
      weight: Schema.Finite.check(Schema.isBetween({ minimum: 0.05, maximum: 1 })).pipe(withDefault(0.5)),
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      Checks.exact({
        name: "the population loss is minimal at the optimum of the weighted sum of rewards",
        expected: "KL from it below 1e-6 nats at the weights 0.1, 0.5, 0.9 and 1",
        outputs: WEIGHTS.map(at),
        values: (runs) =>
          runs.flatMap((run) => WEIGHTS.map((weight) => Checks.estimate(at(weight), "target/kl_reverse")(run))),
        below: 1e-6
      }),
      Checks.exact({
        name: "plain DPO on the first objective ends elsewhere",
        expected: "KL from the optimum of equal weights above 0.5 nats",
        outputs: ["plainDpo"],
        value: Checks.estimate("plainDpo", "target/kl_reverse"),
        above: 0.5
      }),
      Checks.exact({
        name: "weights trace the trade of the two rewards",
        expected: "E[r1 - r2], E[r1] and -E[r2] all rise from each weight to the next",
        outputs: WEIGHTS.map(at),
        values: (runs) => [
          ...rises((weight) => Checks.difference(reward(0, weight), reward(1, weight)))(runs),
          ...rises((weight) => reward(0, weight))(runs),
          ...rises((weight) => (run) => -reward(1, weight)(run))(runs)
        ],
        above: 0
      }),
      Checks.exact({
        name: "the other objective's DPO is as good a margin as its reward",
        expected: "KL from the optimum of equal weights below 1e-6 nats with implicit rewards as margins",
        outputs: ["implicitMargin"],
        value: Checks.estimate("implicitMargin", "target/kl_reverse"),
        below: 1e-6
      }),
      Checks.exact({
        name: "either objective's preferences do",
        expected: "KL from the optimum of weights 0.1 and 0.9 below 1e-6 nats, trained on the second's preferences",
        outputs: ["onSecond"],
        value: Checks.estimate("onSecond", "target/kl_reverse"),
        below: 1e-6
      }),
      ...(
        [
          ["with all weight on its own objective it is DPO", "allWeight"],
          ["a margin that is the same for all answers leaves DPO at beta / weight", "constantMargin"]
        ] as const
      ).map(([name, output]) =>
        Checks.exact({
          name,
          expected: "largest relative difference of a loss or a gradient below 1e-9",
          outputs: [output],
          values: (runs) =>
            runs.flatMap((run) =>
              ["against/loss_error", "against/slope_error"].map((error) => Checks.estimate(output, error)(run))
            ),
          below: 1e-9
        })
      ),
      ...(["sentiment", "brevity"] as const).map((axis, i) =>
        Checks.inEverySeed({
          name: `on text the ends of the front are ordered in ${axis}`,
          expected: "their gains differ by at least 0.1 standard deviations, every seed",
          outputs: ENDS.map((weight) => `modpo.${weight}`),
          value: (run) => {
            const [low, high] = ENDS.map((weight) => gains(`modpo.${weight}`)(run)[i]!)
            return i === 0 ? high! - low! : low! - high!
          },
          above: 0.1
        })
      ),
      Checks.inEverySeed({
        name: "on text the front covers what mixed losses cover",
        expected:
          "hypervolume above the start less 0.95 of that of DPO on both objectives' weighted pairs above 0, every seed",
        outputs: fronts,
        value: (run) => volume("modpo")(run) - 0.95 * volume("mixing")(run),
        above: 0
      })
    ]
  },
  ({ baseSteps, beta, weight, ...scale }) => ({
    ...onText({ baseSteps, beta, weight, ...scale }),
    ...solved()
  })
)

/** Sentiment's preferences with brevity as the margin, and the same pairs under both objectives' labels. */
const onText = ({
  baseSteps,
  beta,
  weight,
  ...scale
}: Text.Amounts & { readonly beta: number; readonly weight: number }) => {
  const from = Text.policy({ steps: baseSteps })
  const shared = Text.shared({ from, ...scale })
  const pairs = shared.preferences("train").pipe(margins({ reward: brevity }))
  const arms = {
    modpo: (weight: number) => ({ objective: objective({ beta, weight }), pairs }),
    mixing: (weight: number) => ({ objective: dpo({ beta }), pairs: pairs.pipe(mixed({ weight })) })
  }
  const judged = (arm: keyof typeof arms, weight: number) => {
    const { policy } = Text.experiment({ from, ...scale, ...arms[arm](weight), as: `${arm}-${weight}` })
    return shared
      .prompts("test")
      .pipe(evaluate({ policy, reference: from, reward: Text.sentiment, judge: brevity, as: `${arm}-${weight}-front` }))
  }
  return {
    ...Text.experiment({ from, ...scale, ...arms.modpo(weight) }),
    ...Object.fromEntries(
      (["modpo", "mixing"] as const).flatMap((arm) =>
        ENDS.map((weight) => [`${arm}.${weight}`, judged(arm, weight)] as const)
      )
    )
  }
}

/** Two rewards that disagree, in one context, with all pairs as often as they occur. */
const solved = () => {
  const first = [2, 1, 0.5, -0.5, -1, -2]
  const bandit = (second: ReadonlyArray<number>) =>
    exact.world({ world: exact.given({ reference: [first.map(() => 1)], rewards: [[first], [second]] }) })
  const world = bandit([-1.5, -1, 0.5, 0, 1, 1])
  const reference = world.pipe(exact.start())
  const optimum = (weight: number) =>
    world.pipe(exact.solve({ solution: exact.klOptimum({ beta: BETA, weights: [weight, 1 - weight] }) }))
  const judged = <E, R>(weight: number, policy: Node.Node<typeof ExactPolicyValue, E, R>) =>
    Tabular.judged(world, policy, { target: optimum(weight) })
  const firstPairs = world.pipe(exact.population())
  const secondPairs = world.pipe(exact.population({ objective: 1 }))
  const train = { from: reference, reference, steps: 2000 }
  const trained = (weight: number) =>
    firstPairs.pipe(
      exact.margins({ world, weights: [0, 1] }),
      exact.optimize({ ...train, objective: objective({ beta: BETA, weight }) })
    )
  const dpoOn = (pairs: typeof firstPairs) => pairs.pipe(exact.optimize({ ...train, objective: dpo({ beta: BETA }) }))
  const implicit = firstPairs.pipe(
    exact.implicitMargins({ policy: dpoOn(secondPairs), reference, beta: BETA }),
    exact.optimize({ ...train, objective: objective({ beta: BETA, weight: 0.5 }) })
  )
  const onSecond = secondPairs.pipe(
    exact.margins({ world, weights: [1] }),
    exact.optimize({ ...train, objective: objective({ beta: BETA, weight: 0.9 }) })
  )
  const flat = bandit(first.map(() => 0.7))
  const compared = (of: typeof world, weight: number) =>
    of.pipe(
      exact.population(),
      exact.margins({ world: of, weights: [0, 1] }),
      exact.slopes({
        policy: of.pipe(exact.solve({ solution: exact.klOptimum({ beta: 1 }) })),
        reference: of.pipe(exact.start()),
        objective: objective({ beta: BETA, weight }),
        against: dpo({ beta: BETA / weight })
      })
    )
  return {
    ...Object.fromEntries(WEIGHTS.map((weight) => [at(weight), judged(weight, trained(weight))] as const)),
    plainDpo: judged(0.5, dpoOn(firstPairs)),
    implicitMargin: judged(0.5, implicit),
    onSecond: judged(0.1, onSecond),
    allWeight: compared(world, 1),
    constantMargin: compared(flat, 0.4)
  }
}
