import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Evaluation, EvaluationReport, type Pair, Pairs } from "../../dsl/artifacts.ts"
import { ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Index, NonNegative, Positive, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { klOptimum } from "../../runtime/exact/bandit.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { softplus } from "../../runtime/exact/numbers.ts"
import { type Policy, responseLogProbs } from "../../runtime/exact/Policy.ts"
import { estimate } from "../evaluate/estimates.ts"
import { NothingToEvaluate } from "../evaluate/evaluate.ts"
import { completionOf, promptOf, rowOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"
import { bandit } from "./worlds/bandit.ts"

interface Game {
  readonly beta: number
  readonly eta: number
  readonly objective: number
  readonly baseline: string
}

/** Of each pair what the policy's best answer to the reward is worth, and how likely the reward makes the label. */
const worthOf = (world: World, reference: Policy, pair: Pair, { baseline, beta, objective }: Game) => {
  const { context } = rowOf(pair, "chosen")
  const rewards = world.rewards?.[objective]?.[context]
  const reward = (role: string) => {
    const found = rewards?.[rowOf(pair, role).tokens[0]!]
    if (found === undefined) throw new RangeError(`the world has no reward ${objective} of the answer ${role}`)
    return found
  }
  const logReference = responseLogProbs(reference, context)
  const { logZ } = klOptimum(logReference, rewards ?? [], beta)
  const base = rowOf(pair, baseline).tokens[0]!
  return {
    advantage: beta * logZ - reward(baseline),
    constant: beta * logReference[base]!,
    likelihood: softplus(reward("rejected") - reward("chosen"))
  }
}

const lossOf = ({ advantage, constant, likelihood }: ReturnType<typeof worthOf>, eta: number) =>
  eta * (advantage - constant) + likelihood

const Case = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))).pipe(
  Arbitrary.map((seed) => {
    const world = bandit({ contexts: 2, responses: 4 }).implementation(Rng.make(seed, "adversarial"))
    const context = seed % 2
    const answer = (token: number) => completionOf({ context, tokens: [token], finish: "stop" })
    const pair: Pair = {
      id: "a",
      prompt: promptOf(context),
      chosen: answer(seed % 4),
      rejected: answer((seed + 1) % 4),
      margin: 0
    }
    const game = { beta: 0.5, eta: 0.7, objective: 0, baseline: "chosen" }
    const at = (rewards: ReadonlyArray<number>, changed: Partial<Game> = {}) => {
      const moved = { ...world, rewards: [world.rewards![0]!.map((own, c) => (c === context ? rewards : own))] }
      const settings = { ...game, ...changed }
      return lossOf(worthOf(moved, policyOf(world.reference), pair, settings), settings.eta)
    }
    return { at, rewards: world.rewards![0]![context]!, pair }
  })
)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("does not see a constant in the rewards", Case, ({ at, rewards }) =>
    [3, -5].every((shift) => Math.abs(at(rewards.map((r) => r + shift)) - at(rewards)) < 1e-9)
  ),
  Law.make("without eta is how unlikely the reward makes the label", Case, ({ at, pair, rewards }) => {
    const [won, lost] = [rewards[pair.chosen.tokens![0]!]!, rewards[pair.rejected.tokens![0]!]!]
    return Math.abs(at(rewards, { eta: 0 }) - Math.log1p(Math.exp(lost - won))) < 1e-9
  }),
  Law.make("is convex in the reward", Case, ({ at, rewards }) => {
    const other = rewards.map((r, y) => Math.sin(7 * y + r))
    const middle = rewards.map((r, y) => (r + other[y]!) / 2)
    return at(middle) <= (at(rewards) + at(other)) / 2 + 1e-12
  })
]

/**
 * What a reward is worth to the adversary of regularized preference optimization, once the policy has answered it:
 * `loss = eta (max_policy [E r - beta KL(policy || reference)] - E_base r) + E -ln sigma(r_w - r_l)`, less the constant `eta beta E_base
 * ln reference`; `advantage` is the bracket's first difference, `likelihood` the last term. The reward is the world's.
 * **Details** Means over pairs, whatever their weight; contexts are those of the pairs, and `baseline` names the answer whose
 * distribution is the base one. Fails with `WorldInvalid` where the world has no such reward, or the pairs are not its.
 * **Source** Liu et al. 2024, arXiv 2405.16436: the maximin objective with its inner maximum taken.
 */
export const adversarial = Stage.make({
  name: "exact.adversarial",
  description: "What a reward is worth to an adversary who has to fit preferences",
  module: import.meta.url,
  params: {
    beta: Positive.pipe(withDefault(0.1)),
    eta: NonNegative.pipe(withDefault(1)),
    objective: Index.pipe(withDefault(0)),
    baseline: Schema.NonEmptyString.pipe(withDefault("chosen"))
  },
  input: Pairs,
  inputs: { world: WorldValue, reference: Stage.optional(ExactPolicyValue) },
  output: EvaluationReport,
  laws,
  run: ({ input, inputs: { reference, world }, params }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
      return yield* Effect.try({
        try: (): Evaluation => {
          const policy = policyOf(reference ?? world.reference)
          const all = pairs.map((pair) => worthOf(world, policy, pair, params))
          return {
            estimates: {
              loss: estimate(all.map((worth) => lossOf(worth, params.eta))),
              advantage: estimate(all.map(({ advantage }) => advantage)),
              likelihood: estimate(all.map(({ likelihood }) => likelihood))
            },
            examples: []
          }
        },
        catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
