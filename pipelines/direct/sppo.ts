import type { Evaluation } from "../../dsl/artifacts.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { dpo, exact, sppo } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import * as Games from "../testbeds/games.ts"
import * as SelfPlay from "../testbeds/selfPlay.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"

/** A cycle: the first answer beats the second, that one the third, and the third the first. Nash: (2, 3, 4) / 9. */
const CYCLE = [
  [0.5, 0.9, 0.2],
  [0.1, 0.5, 0.7],
  [0.8, 0.3, 0.5]
]
const START = [0.6, 0.3, 0.1]
const BETAS = [0.1, 0.3, 1]
const SAMPLINGS = ["uniform", "reference"] as const
const HEDGE = { eta: 0.1, rounds: 2000, bound: Math.log(10) / (0.1 * 2000) + 0.1 / 8 }

const rewardBased = BETAS.flatMap((beta) => SAMPLINGS.map((sampling) => `dpo-${beta}-${sampling}`))

export default Pipeline.make(
  "sppo",
  {
    description: "Self-Play Preference Optimization: regression of log-ratios on win rates against the policy itself",
    paper: { title: "Self-Play Preference Optimization for Language Model Alignment", arxiv: "2405.00675" },
    claim:
      "Regressing log-ratios on win rates plays multiplicative weights against oneself: the average policy nears Nash where no reward explains the preferences, and chosen answers gain while rejected ones lose probability",
    family: "direct",
    testbed: ["tabular", "text"],
    params: {
      /** Step of the multiplicative weights, the inverse of the paper's beta. */
      eta: Positive.pipe(withDefault(5)),
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      Checks.exact({
        name: "win rates against oneself average 1/2",
        expected: "|P(pi > pi) - 1/2| at most 1e-12 in 20 random games of 6 answers",
        outputs: ["self1"],
        value: Checks.estimate("self1", "win_rate/max_lead"),
        below: 1e-12
      }),
      Checks.exact({
        name: "ln Z is eta / 2 to first order",
        expected: "(ln Z - eta / 2) / eta^2 below 1/8 (Hoeffding's bound) in the same games, for eta 1, 0.1 and 0.01",
        outputs: ["self1", "self0.1", "self0.01"],
        values: ([run]) => [1, 0.1, 0.01].map((eta) => Checks.estimate(`self${eta}`, "log_z/max_excess")(run!)),
        below: 0.125
      }),
      ...(
        [
          [0.1, 1e-6],
          [1, 1e-3]
        ] as const
      ).map(([eta, bound]) =>
        Checks.exact({
          name: `the least of the loss is the update of multiplicative weights, eta ${eta}`,
          expected: `largest error of a probability below ${bound}, all answers of a cycle weighted by the policy`,
          over: { eta: [eta] },
          outputs: ["fitted"],
          value: Checks.estimate("fitted", "target/max_error"),
          below: bound
        })
      ),
      Checks.exact({
        name: "with the exact ln Z nothing is left of the loss",
        expected: "least loss below 1e-12, and the update itself within 1e-6",
        over: { eta: [0.1, 1] },
        outputs: ["fittedWithLogZ", "lossWithLogZ"],
        value: (run) =>
          Math.max(
            Checks.estimate("lossWithLogZ", "loss")(run),
            1e-6 * Checks.estimate("fittedWithLogZ", "target/max_error")(run)
          ),
        below: 1e-12
      }),
      Checks.exact({
        name: "the average policy of self-play nears Nash as Hedge guarantees",
        expected: `exploitability after ${HEDGE.rounds} rounds below 0.01 and the bound ${HEDGE.bound.toFixed(4)}`,
        outputs: ["average"],
        value: Checks.estimate("average", "exploitability"),
        below: Math.min(0.01, HEDGE.bound)
      }),
      Checks.exact({
        name: "no reward does: DPO stays exploitable",
        expected: "exploitability above 0.05 for beta 0.1, 0.3 and 1, pairs uniform and from the start",
        outputs: rewardBased,
        values: ([run]) => rewardBased.map((output) => Checks.estimate(output, "exploitability")(run!)),
        above: 0.05
      }),
      ...(["chosen", "rejected"] as const).map((side) =>
        Checks.inEverySeed({
          name: `${side} answers ${side === "chosen" ? "gain" : "lose"} probability`,
          expected: `mean change of their log-probability ${side === "chosen" ? "above" : "below"} 0 on the training pairs, in every seed`,
          outputs: ["movement"],
          value: Checks.estimate("movement", `logps/${side}/change`),
          ...(side === "chosen" ? { above: 0 } : { below: 0 })
        })
      ),
      Checks.inEverySeed({
        name: "one round wins against the policy before",
        expected: "win rate on held-out prompts, less two standard errors, above 1/2 in every seed",
        outputs: ["contest"],
        value: (run) => {
          const { low, mean } = (run.outputs["contest"] as Evaluation).estimates["win_rate"]!
          return mean - (2 / 1.959964) * (mean - low)
        },
        above: 0.5
      })
    ]
  },
  ({ eta, ...scale }) => ({ ...oneUpdate(eta), ...manyUpdates(), ...onText(eta, scale) })
)

/** One round on text, with win rates among the samples of each prompt. */
const onText = (
  eta: number,
  { baseSteps, learningRate, perPrompt, steps, testPrompts, trainPrompts }: Text.Amounts
) => {
  const from: SelfPlay.Policy = Text.policy({ steps: baseSteps })
  const pairs = SelfPlay.preferences(from, { prompts: trainPrompts, perPrompt })
  const policy = SelfPlay.trained(from, pairs, { objective: sppo({ eta }), steps, learningRate, as: "policy" })
  const answers = (policy: SelfPlay.Policy) => SelfPlay.heldOut(policy, { prompts: testPrompts, perPrompt: 2 })
  return {
    policy,
    movement: SelfPlay.movement(pairs, from, policy),
    contest: SelfPlay.contest(answers(policy), answers(from), "contest")
  }
}

/** One update on the cycle: fitted by the loss, beside what multiplicative weights make of it. */
const oneUpdate = (eta: number) => {
  const world = Games.game(START, CYCLE)
  const policy = world.pipe(exact.start())
  const pairs = world.pipe(exact.winRates({ policy, rate: eta }))
  const target = world.pipe(exact.solve({ solution: exact.selfPlay({ rate: eta }) }))
  const regressed = (logZ: "half" | "given") => {
    const objective = sppo({ eta, logZ })
    const fitted = pairs.pipe(exact.optimize({ from: policy, reference: policy, objective, tolerance: 1e-14 }))
    return {
      fitted: Tabular.judged(world, fitted, { target, as: `fitted-${logZ}` }),
      loss: pairs.pipe(exact.preference({ objective, policy: fitted, reference: policy, as: `loss-${logZ}` }))
    }
  }
  const [half, given] = [regressed("half"), regressed("given")]
  return { fitted: half.fitted, fittedWithLogZ: given.fitted, lossWithLogZ: given.loss }
}

const manyUpdates = () => {
  const world = Games.game(START, CYCLE)
  const reference = world.pipe(exact.start())
  const { eta, rounds } = HEDGE
  const average = world.pipe(exact.solve({ solution: exact.selfPlay({ rounds, rate: eta, returns: "average" }) }))
  const games = exact.world({ world: exact.bandit({ contexts: 20, responses: 6, preferences: "general" }) })
  const player = games.pipe(exact.start())
  const rewarded = BETAS.flatMap((beta) =>
    SAMPLINGS.map((sampling) => {
      const pairs = world.pipe(exact.population({ sampling }))
      const policy = pairs.pipe(exact.optimize({ from: reference, reference, objective: dpo({ beta }) }))
      const name = `dpo-${beta}-${sampling}`
      return [name, Tabular.judged(world, policy, { as: name })] as const
    })
  )
  return {
    average: Tabular.judged(world, average, { as: "average" }),
    ...Object.fromEntries(
      [1, 0.1, 0.01].map((eta) => [
        `self${eta}`,
        games.pipe(exact.contest({ policy: player, opponent: player, eta: 1 / eta, as: `self-${eta}` }))
      ])
    ),
    ...Object.fromEntries(rewarded)
  }
}
