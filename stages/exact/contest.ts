import { Effect } from "effect"
import { type Evaluation, EvaluationReport } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { type Matrix, winRate } from "../../runtime/exact/bandit.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { exploitability, scoreExploitability, winRates } from "../../runtime/exact/games.ts"
import { kl, logSumExp } from "../../runtime/exact/numbers.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { estimate } from "../evaluate/estimates.ts"
import { Bandits, close } from "./generated.ts"
import { payoffsOf, scoresOf } from "./payoffs.ts"
import { WorldInvalid } from "./Worlds.ts"

/** The largest share of pairs that some order of the responses gets right, the likelier winner first; ties are right. */
export const orderAccuracy = (preferences: Matrix): number => {
  const n = preferences.length
  if (n > 16) throw new RangeError(`all orders of ${n} responses are too many`)
  if (n < 2) return 1
  // best[set]: most pairs right among the responses of the set; the last one added stands before all the others.
  const best = new Float64Array(2 ** n)
  for (let set = 1; set < best.length; set++)
    for (let y = 0; y < n; y++) {
      if ((set & (1 << y)) === 0) continue
      let right = best[set & ~(1 << y)]!
      for (let z = 0; z < n; z++) if (z !== y && (set & (1 << z)) !== 0 && preferences[y]![z]! >= 0.5) right++
      best[set] = Math.max(best[set]!, right)
    }
  return best.at(-1)! / ((n * (n - 1)) / 2)
}

const measured = (world: World, given: ExactPolicy, against: ExactPolicy | undefined, eta: number): Evaluation => {
  const policy = policyOf(given)
  const opponent = policyOf(against ?? world.reference)
  const games = Array.from({ length: policy.process.contexts }, (_, context) => {
    const preferences = payoffsOf(world, context, "win-rate")
    const [ours, theirs] = [responseLogProbs(policy, context), responseLogProbs(opponent, context)]
    const [p, q] = [ours.map(Math.exp), theirs.map(Math.exp)]
    const wins = winRate(p, q, preferences)
    const logZ = logSumExp(winRates(preferences, q).map((w, y) => theirs[y]! + w / eta))
    const certain = preferences.some((row) => Array.from(row).some((entry) => entry === 0 || entry === 1))
    return {
      win_rate: wins,
      kl: kl(ours, theirs),
      "improvement/slack": wins - 0.5 - eta * kl(ours, theirs),
      log_z: logZ,
      "log_z/excess": (logZ - 0.5 / eta) * eta ** 2,
      exploitability: exploitability(preferences, p),
      ...(certain ? {} : { score_exploitability: scoreExploitability(scoresOf(preferences), p) }),
      ...(p.length > 16 ? {} : { order_accuracy: orderAccuracy(preferences) })
    }
  })
  const names = Object.keys(games[0]!) as ReadonlyArray<keyof (typeof games)[number]>
  const over = (name: (typeof names)[number]) => games.map((game) => game[name]!)
  return {
    estimates: {
      ...Object.fromEntries(names.map((name) => [name, estimate(over(name))])),
      "win_rate/max_lead": estimate([Math.max(...over("win_rate").map((wins) => Math.abs(wins - 0.5)))]),
      "log_z/max_excess": estimate([Math.max(...over("log_z/excess"))]),
      "improvement/least": estimate([Math.min(...over("improvement/slack"))])
    },
    examples: []
  }
}

const estimateOf = (name: string, world: World, policy: ExactPolicy, opponent: ExactPolicy, eta = 1) =>
  measured(world, policy, opponent, eta).estimates[name]!.mean

const laws: ReadonlyArray<Law.Law> = [
  Law.make("a policy against itself wins half of the time, at no KL", Bandits, ({ policy, world }) =>
    ["win_rate/max_lead", "kl", "improvement/slack"].every(
      (name) => Math.abs(estimateOf(name, world, policy, policy)) < 1e-12
    )
  ),
  Law.make("what one policy wins the other loses", Bandits, ({ other, policy, world }) =>
    close(estimateOf("win_rate", world, policy, other) + estimateOf("win_rate", world, other, policy), 1)
  ),
  Law.make(
    "no policy wins more than exploitability allows",
    Bandits,
    ({ other, policy, world }) =>
      estimateOf("win_rate", world, other, policy) - 0.5 <= estimateOf("exploitability", world, policy, other) + 1e-12
  ),
  Law.make("an order gets every Bradley-Terry preference right", Bandits, ({ policy, world }) =>
    close(estimateOf("order_accuracy", world, policy, policy), 1)
  ),
  Law.make("ln Z lies between those of its mean and of Hoeffding's bound", Bandits, ({ other, policy, world }) =>
    [0.2, 1, 5].every((eta) => {
      const excess = measured(world, policy, other, eta).estimates["log_z/max_excess"]!.mean
      return excess >= -1e-9 && excess <= 0.125 + 1e-9
    })
  )
]

/**
 * A policy against another one (the world's reference unless told) in the game of preferences, exactly. Means over contexts,
 * which stand for independent games, with their intervals:
 *
 * - `win_rate`: the probability that the policy's answer is preferred, `win_rate/max_lead` its largest distance from 1/2 over
 *   contexts; `kl` from the opponent, nats;
 * - `improvement/slack`: `win_rate - 1/2 - eta kl`, and `improvement/least`, its least over contexts;
 * - `log_z`: `ln E exp(w / eta)` over the opponent's answers, `w` their win rates against it, and `log_z/max_excess`, the
 *   largest `(log_z - 1 / (2 eta)) eta^2` over contexts;
 * - `exploitability`, `score_exploitability`: the most that an answer wins against it beyond 1/2, or in log-odds;
 * - `order_accuracy`: the largest share of pairs that any order of the responses, so any scalar reward, gets right.
 */
export const contest = Stage.make({
  name: "exact.contest",
  description: "Win rate, improvement and exploitability of a policy in the game of preferences",
  module: import.meta.url,
  params: { eta: Positive.pipe(withDefault(1)) },
  input: WorldValue,
  inputs: { policy: ExactPolicyValue, opponent: Stage.optional(ExactPolicyValue) },
  output: EvaluationReport,
  laws,
  run: ({ input: world, inputs, params: { eta } }) =>
    Effect.try({
      try: () => measured(world, inputs.policy, inputs.opponent, eta),
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})
