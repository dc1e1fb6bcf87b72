import type { ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import type * as Node from "../../dsl/Node.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { dno, dpo, exact } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import * as Games from "../testbeds/games.ts"
import * as SelfPlay from "../testbeds/selfPlay.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"

/** A cycle of three answers and a fourth that loses against all of them. */
const CYCLE = [
  [0.5, 0.9, 0.2, 0.8],
  [0.1, 0.5, 0.8, 0.8],
  [0.8, 0.2, 0.5, 0.8],
  [0.2, 0.2, 0.2, 0.5]
]
const GOLDEN = {
  next: [0.274043, 0.260677, 0.267277, 0.198003],
  winRate: 0.5159331,
  kl: 0.0077561
}
const SAMPLINGS = ["policy", "uniform", "given"] as const
const ETAS = [1, 2, 5]
const TRAINED = 4
const SOLVED = 12
const rounds = (name: string, count: number) => Array.from({ length: count }, (_, t) => `${name}${t + 1}`)

export default Pipeline.make(
  "dno",
  {
    description:
      "Direct Nash Optimization: logistic regression of implicit rewards on win rates against the last policy",
    paper: {
      title: "Direct Nash Optimization: Teaching Language Models to Self-Improve with General Preferences",
      arxiv: "2404.03715"
    },
    claim:
      "Regressing on win rates against the policy itself is soft policy iteration: every round wins against the one before, and the mean of the rounds nears Nash where the best of any reward is beaten",
    family: "direct",
    testbed: ["tabular", "text"],
    params: {
      /** Inverse step of soft policy iteration: the scale of implicit rewards. */
      eta: Positive.pipe(withDefault(1)),
      /** Scale of implicit rewards where pairs carry hard labels, on text. */
      beta: Positive.pipe(withDefault(0.1)),
      ...SelfPlay.roundFields
    },
    checks: [
      Checks.exact({
        name: "regression reaches soft policy iteration",
        expected:
          "largest error of a probability below 1e-6, by gradient descent, pairs on-policy, uniform and otherwise",
        over: { eta: ETAS },
        outputs: SAMPLINGS.map((sampling) => `regressed-${sampling}`),
        values: (runs) =>
          runs.flatMap((run) =>
            SAMPLINGS.map((sampling) => Checks.estimate(`regressed-${sampling}`, "target/max_error")(run))
          ),
        below: 1e-6
      }),
      Checks.exact({
        name: "the first round on the cycle",
        expected: "probabilities, win rate and KL of the worked example to 1e-6, 1e-7 and 1e-7 (eta 1, uniform start)",
        over: { eta: [1] },
        outputs: ["first", "firstContest"],
        values: ([run]) => [
          Games.distance(Games.policyIn(run!, "first"), GOLDEN.next),
          10 * Math.abs(Checks.estimate("firstContest", "win_rate")(run!) - GOLDEN.winRate),
          10 * Math.abs(Checks.estimate("firstContest", "kl")(run!) - GOLDEN.kl)
        ],
        below: 1e-6
      }),
      ...(
        [
          ["trained", TRAINED, "trained by regression"],
          ["solved", SOLVED, "of soft policy iteration"]
        ] as const
      ).map(([name, count, how]) =>
        Checks.exact({
          name: `every round wins, ${how}`,
          expected: `P(next > last) - 1/2 - eta KL at least -1e-12 in ${count} rounds of 20 random games, eta 1, 2 and 5`,
          over: { eta: ETAS },
          outputs: rounds(name, count),
          values: (runs) =>
            runs.flatMap((run) => rounds(name, count).map((round) => Checks.estimate(round, "improvement/least")(run))),
          above: -1e-12
        })
      ),
      Checks.exact({
        name: "the mean of the rounds nears Nash",
        expected: "exploitability on the cycle after 400 rounds at most 0.02",
        outputs: ["average"],
        value: Checks.estimate("average", "exploitability"),
        below: 0.02
      }),
      Checks.exact({
        name: "the uniform mixture of trained rounds is that mean",
        expected: "largest error of a probability below 1e-6 after 8 rounds on the cycle",
        outputs: ["mixture"],
        value: Checks.estimate("mixture", "target/max_error"),
        below: 1e-6
      }),
      Checks.exact({
        name: "the best answer of any reward is beaten",
        expected: "exploitability of the greedy policy of Bradley-Terry scores at least 0.25",
        outputs: ["greedy"],
        value: Checks.estimate("greedy", "exploitability"),
        above: 0.25
      }),
      Checks.inEverySeed({
        name: "rounds on text win against the round before",
        expected: "win rate on held-out prompts at least 0.52 in 2 of 3 rounds, in every seed",
        outputs: ["round1", "round2", "round3"],
        value: (run) => [1, 2, 3].map((t) => Checks.estimate(`round${t}`, "win_rate")(run)).sort((a, b) => b - a)[1]!,
        above: 0.52
      }),
      Checks.inMean({
        name: "they win against as many pairs of the first policy's",
        expected: "mean win rate of the last round against offline DPO at least 0.52",
        outputs: ["againstOffline"],
        value: Checks.estimate("againstOffline", "win_rate"),
        above: 0.52
      })
    ]
  },
  ({ beta, eta, rounds, ...scale }) => ({
    ...oneRound(eta),
    ...improvement(eta),
    ...cycle(),
    ...onText(beta, rounds, scale)
  })
)

/**
 * The practical form: each round DPO on the best and the worst of the policy's own answers, with the policy as reference.
 * Answers of a teacher, thresholds on scores and pairs of earlier rounds are left out.
 */
const onText = (beta: number, rounds: number, scale: Text.Amounts) => {
  const { baseSteps, learningRate, perPrompt, steps, testPrompts, trainPrompts } = scale
  const objective = dpo({ beta })
  const from: SelfPlay.Policy = Text.policy({ steps: baseSteps })
  const answers = (policy: SelfPlay.Policy) => SelfPlay.heldOut(policy, { prompts: testPrompts, perPrompt: 2 })
  const train = (policy: SelfPlay.Policy, share: number, as: string) => {
    const pairs = SelfPlay.preferences(policy, { prompts: share * trainPrompts, perPrompt })
    return SelfPlay.trained(policy, pairs, { objective, steps: share * steps, learningRate, as })
  }
  const policies = [from]
  Pipeline.iterate(rounds, from, (policy, round) => {
    const next = train(policy, 1, `policy-${round + 1}`)
    policies.push(next)
    return next
  })
  const sampled = policies.map(answers)
  const last = sampled.at(-1)!
  return {
    policy: policies.at(-1)!,
    ...Object.fromEntries(
      sampled.slice(1).map((own, t) => [`round${t + 1}`, SelfPlay.contest(own, sampled[t]!, `round-${t + 1}`)])
    ),
    againstOffline: SelfPlay.contest(last, answers(train(from, rounds, "offline")), "against-offline")
  }
}

type Policies = Node.Node<typeof ExactPolicyValue, unknown>

const oneRound = (eta: number) => {
  const objective = dno({ eta })
  const world = Games.game([0.7, 0.1, 0.1, 0.1], CYCLE)
  const policy = world.pipe(exact.start())
  const target = world.pipe(exact.solve({ solution: exact.selfPlay({ rate: 1 / eta }) }))
  const regressed = SAMPLINGS.map((sampling) => {
    const pairs = world.pipe(exact.winRates({ policy, sampling: sampling === "given" ? [1, 2, 3, 4] : sampling }))
    const descent = { by: "gradient-descent", learningRate: 8 / eta ** 2, steps: 4000, tolerance: 1e-10 } as const
    const fitted = pairs.pipe(exact.optimize({ from: policy, reference: policy, objective, ...descent }))
    return [`regressed-${sampling}`, Tabular.judged(world, fitted, { target, as: `regressed-${sampling}` })] as const
  })
  const even = Games.game([1, 1, 1, 1], CYCLE)
  const start = even.pipe(exact.start())
  const first = even.pipe(
    exact.winRates({ policy: start }),
    exact.optimize({ from: start, reference: start, objective: dno({ eta }) })
  )
  return {
    ...Object.fromEntries(regressed),
    first,
    firstContest: even.pipe(exact.contest({ policy: first, eta, as: "first-contest" }))
  }
}

/** Rounds in random games, each against the one before. */
const improvement = (eta: number) => {
  const games = exact.world({ world: exact.bandit({ contexts: 20, responses: 6, preferences: "general" }) })
  const contests = (name: string, count: number, step: (from: Policies) => Policies) => {
    const found: Array<readonly [string, ReturnType<typeof contest>]> = []
    const contest = (policy: Policies, opponent: Policies) =>
      games.pipe(exact.contest({ policy, opponent, eta, as: name }))
    Pipeline.iterate(count, games.pipe(exact.start()) as Policies, (opponent, round) => {
      const policy = step(opponent)
      found.push([`${name}${round + 1}`, contest(policy, opponent)])
      return policy
    })
    return Object.fromEntries(found)
  }
  const objective = dno({ eta })
  return {
    ...contests("trained", TRAINED, (from) =>
      games.pipe(exact.winRates({ policy: from }), exact.optimize({ from, reference: from, objective }))
    ),
    ...contests("solved", SOLVED, (from) =>
      games.pipe(exact.solve({ from, solution: exact.selfPlay({ rate: 1 / eta }) }))
    )
  }
}

const cycle = () => {
  const world = Games.game([0.7, 0.1, 0.1, 0.1], CYCLE)
  const start: Policies = world.pipe(exact.start())
  const played: [Policies, ...Array<Policies>] = [start]
  Pipeline.iterate(7, start, (from) => {
    const pairs = world.pipe(exact.winRates({ policy: from }))
    const next = pairs.pipe(exact.optimize({ from, reference: from, objective: dno({ eta: 1 }) }))
    played.push(next)
    return next
  })
  const mean = exact.selfPlay({ rounds: 8, rate: 1, returns: "average" })
  const judged = (as: string, solution: ReturnType<typeof exact.selfPlay>) =>
    Tabular.judged(world, world.pipe(exact.solve({ solution })), { as })
  return {
    mixture: Tabular.judged(world, exact.average(played), {
      target: world.pipe(exact.solve({ solution: mean })),
      as: "mixture"
    }),
    average: judged("average", exact.selfPlay({ rounds: 400, rate: 1, returns: "average" })),
    greedy: judged("greedy", exact.bradleyTerryOptimum({ beta: 0 }))
  }
}
