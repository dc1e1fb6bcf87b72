import { Arbitrary, Effect } from "effect"
import * as Law from "../../dsl/Law.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import { duelScores } from "./duelScores.ts"
import { Judge } from "./Judge.ts"
import { Reward } from "./Reward.ts"

/** 1 / (1 + exp(-x)), without overflow. */
const sigmoid = (x: number) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))

const Lead = Arbitrary.schema(Law.Real(-30, 30))
const logit = (x: number) => Math.log(sigmoid(x) / sigmoid(-x))
const laws: ReadonlyArray<Law.Law> = [
  Law.make(
    "log-odds add up along a chain",
    Arbitrary.all([Lead, Lead]),
    ([a, b]) => Math.abs(logit(a) + logit(b) - logit(a + b)) < 1e-9
  )
]

/**
 * The Bradley-Terry judge of a reward: `sigma(scale (r(a) - r(b)))`, which is transitive.
 * **Source** Bradley and Terry 1952, "Rank analysis of incomplete block designs: I".
 */
export const byReward = Judge.define("by-reward", {
  module: import.meta.url,
  description: "The logistic of a reward's difference",
  params: { reward: Reward.schema, scale: Positive.pipe(withDefault(1)) },
  make: ({ reward, scale }) => ({
    prefers: (duels) =>
      Effect.map(duelScores(reward, duels), (scores) =>
        scores.map(([first, second]) => sigmoid(scale * (first - second)))
      )
  }),
  laws
})
