import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { bradleyTerry, exact, gpm, gpo } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import * as Games from "../testbeds/games.ts"
import * as Tabular from "../testbeds/tabular.ts"

/** The first answer always beats the second, that one the third, and the third the first. */
const CERTAIN_CYCLE = [
  [0.5, 1, 0],
  [0, 0.5, 1],
  [1, 0, 0.5]
]
/** Scores 1, 3 and 1/2 along the cycle. Nash of the scores: (6, 1, 2) / 9. */
const CYCLE = Games.ofScores([[1, -0.5], [3]])
const BOUNDS = [
  [100, 0.11],
  [400, 0.055],
  [1600, 0.027]
] as const

export default Pipeline.make(
  "gpm",
  {
    description: "General Preference Modeling and Optimization: preference embeddings, and self-play on their scores",
    paper: {
      title: "General Preference Modeling with Preference Representations for Aligning Language Models",
      arxiv: "2410.02197"
    },
    claim:
      "Embeddings compared by a skew-symmetric form express any preferences, cycles included, where a reward can only guess; self-play on their scores nears the Nash policy",
    family: "direct",
    testbed: ["tabular"],
    params: {
      /** Scale of the scores in the likelihood of preferences. */
      tau: Positive.pipe(withDefault(0.1)),
      /** Inverse step of self-play. */
      beta: Positive.pipe(withDefault(1))
    },
    checks: [
      Checks.exact({
        name: "one block of two coordinates orders a cycle",
        expected: "all three pairs right",
        outputs: ["embedded"],
        value: Checks.estimate("embedded", "preferred/accuracies"),
        above: 1 - 1e-9
      }),
      Checks.exact({
        name: "no reward does",
        expected: "largest share of pairs that any order gets right at most 2/3",
        outputs: ["cycle"],
        value: Checks.estimate("cycle", "order_accuracy"),
        below: 2 / 3 + 1e-9
      }),
      Checks.exact({
        name: "the likeliest reward is constant and guesses",
        expected: "rewards equal and loss ln 2 to 1e-9, pairs equally often and labelled by the winner",
        outputs: ["rewarded"],
        values: ([run]) => [
          Checks.estimate("rewarded", "rewards/max_gap")(run!),
          Math.abs(Checks.estimate("rewarded", "loss")(run!) - Math.LN2)
        ],
        below: 1e-9
      }),
      Checks.exact({
        name: "a block for each answer expresses any preferences",
        expected: "largest error of log-odds at most 1e-5 in 10 random games of 5 answers",
        outputs: ["constructed"],
        value: Checks.estimate("constructed", "log_odds/max_error"),
        below: 1e-5
      }),
      Checks.exact({
        name: "the loss of General Preference Optimization is least at the update of multiplicative weights",
        expected: "largest error of a probability below 1e-6 in 20 random games of 8 answers",
        over: { beta: [0.5, 1, 5] },
        outputs: ["fitted"],
        value: Checks.estimate("fitted", "target/max_error"),
        below: 1e-6
      }),
      ...BOUNDS.map(([rounds, bound]) =>
        Checks.exact({
          name: `the average policy of ${rounds} rounds is hard to exploit`,
          expected: `largest mean score against it, over 20 random games of 8 answers on average, at most ${bound}`,
          outputs: [`average${rounds}`],
          value: Checks.estimate(`average${rounds}`, "score_exploitability"),
          below: bound
        })
      ),
      Checks.exact({
        name: "on a cycle it nears the Nash policy",
        expected: "total variation at most 0.01 after 4,000 rounds with beta sqrt(4000) / 2",
        outputs: ["cycleAverage"],
        value: Checks.estimate("cycleAverage", "target/total_variation"),
        below: 0.01
      }),
      Checks.exact({
        name: "the best answer by Bradley-Terry is beaten",
        expected: "it is the second, and the first scores 1 against it, to 1e-9",
        outputs: ["greedy", "greedyPolicy"],
        values: ([run]) => [
          Games.distance(Games.policyIn(run!, "greedyPolicy"), [0, 1, 0]),
          Math.abs(Checks.estimate("greedy", "score_exploitability")(run!) - 1)
        ],
        below: 1e-9
      })
    ]
  },
  ({ beta, tau }) => ({ ...models(tau), ...updates(beta), ...averages() })
)

/** Preference embeddings and a reward, trained on a cycle; and embeddings by construction. */
const models = (tau: number) => {
  const world = Games.game([1, 1, 1], CERTAIN_CYCLE)
  const pairs = world.pipe(exact.population())
  const [preference, reward] = [gpm({ blocks: 1, tau }), bradleyTerry()]
  const embedding = pairs.pipe(exact.model({ objective: preference, deviation: 1 }))
  const rewards = pairs.pipe(exact.model({ objective: reward, deviation: 1 }))
  const games = exact.world({ world: exact.skewed({ contexts: 10, responses: 5 }) })
  const any = gpm({ blocks: 5, tau: 1, normalized: false })
  return {
    embedded: pairs.pipe(exact.modelAccuracy({ objective: preference, model: embedding, as: "embedded" })),
    rewarded: pairs.pipe(exact.modelAccuracy({ objective: reward, model: rewards, as: "rewarded" })),
    cycle: world.pipe(exact.contest({ policy: world.pipe(exact.start()), as: "cycle" })),
    constructed: games.pipe(
      exact.population(),
      exact.modelAccuracy({ objective: any, model: games.pipe(exact.embedding()), as: "constructed" })
    )
  }
}

/** One update in random games, fitted by the loss. */
const updates = (beta: number) => {
  const games = exact.world({ world: exact.skewed() })
  const policy = games.pipe(exact.start())
  const objective = gpo({ beta, logZ: "given" })
  const fitted = games.pipe(
    exact.winRates({ policy, payoff: "log-odds", rate: 1 / beta }),
    exact.optimize({ from: policy, reference: policy, objective })
  )
  const target = games.pipe(exact.solve({ solution: exact.selfPlay({ rate: 1 / beta, payoff: "log-odds" }) }))
  return { fitted: Tabular.judged(games, fitted, { target, as: "fitted" }) }
}

/** The mean policies of many updates, in closed form. */
const averages = () => {
  const average = (rounds: number) =>
    exact.selfPlay({ rounds, rate: 2 / Math.sqrt(rounds), payoff: "log-odds", returns: "average" })
  const games = exact.world({ world: exact.skewed() })
  const means = BOUNDS.map(([rounds]) => {
    const policy = games.pipe(exact.solve({ solution: average(rounds) }))
    return [`average${rounds}`, games.pipe(exact.contest({ policy, as: `average-${rounds}` }))] as const
  })
  const world = Games.game([1, 1, 1], CYCLE)
  const greedyPolicy = world.pipe(exact.solve({ solution: exact.bradleyTerryOptimum({ beta: 0 }) }))
  return {
    ...Object.fromEntries(means),
    cycleAverage: Tabular.judged(world, world.pipe(exact.solve({ solution: average(4000) })), {
      target: world.pipe(exact.solve({ solution: exact.scoreNash() })),
      as: "cycle-average"
    }),
    greedyPolicy,
    greedy: world.pipe(exact.contest({ policy: greedyPolicy, as: "greedy" }))
  }
}
