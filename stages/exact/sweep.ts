import { Arbitrary, Effect, Schema } from "effect"
import { type Estimate, type Evaluation, EvaluationReport } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Index, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { expectedReward } from "../../runtime/exact/bandit.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { kl } from "../../runtime/exact/numbers.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { WorldInvalid } from "./Worlds.ts"
import { bandit } from "./worlds/bandit.ts"

interface Options {
  readonly contexts: ReadonlyArray<number>
  readonly transfer: boolean
}

const measured = (world: World, given: ExactPolicy, { contexts, transfer }: Options): Evaluation => {
  const policy = policyOf(transfer ? { ...world.reference, theta: given.theta } : given)
  const reference = policyOf(world.reference)
  const all = Array.from({ length: reference.process.contexts }, (_, context) => context)
  const values = new Map(
    [...new Set([...all, ...contexts])].map((context) => {
      const [ours, theirs] = [responseLogProbs(policy, context), responseLogProbs(reference, context)]
      const rewards = (world.rewards ?? []).map((table, k) => [`reward${k}`, expectedReward(ours, table[context]!)])
      return [context, { ...Object.fromEntries(rewards), kl: kl(ours, theirs) } as Record<string, number>] as const
    })
  )
  const point = (mean: number, count: number): Estimate => ({ mean, low: mean, high: mean, count })
  const mean = (name: string) => all.reduce((sum, context) => sum + values.get(context)![name]!, 0) / all.length
  return {
    estimates: {
      ...Object.fromEntries(Object.keys(values.get(0)!).map((name) => [name, point(mean(name), all.length)])),
      ...Object.fromEntries(
        contexts.flatMap((context) =>
          Object.entries(values.get(context)!).map(([name, value]) => [`${name}/c${context}`, point(value, 1)])
        )
      )
    },
    examples: []
  }
}

const Case = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))).pipe(
  Arbitrary.map((seed) => {
    const rng = Rng.make(seed, "sweep")
    const world = bandit({ contexts: 3, responses: 4, objectives: 2 }).implementation(rng)
    const policy = { ...world.reference, theta: world.reference.theta.map((logit, i) => logit + rng.normal(i)) }
    return { world, policy, options: { contexts: [0, 1, 2], transfer: false } }
  })
)
const meanOf = ({ estimates }: Evaluation, name: string) => estimates[name]!.mean

const laws: ReadonlyArray<Law.Law> = [
  Law.make("what is said of all contexts is the mean of what is said of each", Case, ({ options, policy, world }) => {
    const found = measured(world, policy, options)
    return ["reward0", "reward1", "kl"].every((name) => {
      const mean = [0, 1, 2].reduce((sum, context) => sum + meanOf(found, `${name}/c${context}`), 0) / 3
      return Math.abs(mean - meanOf(found, name)) < 1e-12
    })
  }),
  Law.make("a policy's parameters in its own family are the policy", Case, ({ options, policy, world }) => {
    const [as, by] = [measured(world, policy, options), measured(world, policy, { ...options, transfer: true })]
    return JSON.stringify(as) === JSON.stringify(by)
  }),
  Law.make("the reference is at no distance", Case, ({ options, world }) =>
    options.contexts.every((c) => meanOf(measured(world, world.reference, options), `kl/c${c}`) === 0)
  ),
  Law.make("rewards lie between the least and the largest", Case, ({ options, policy, world }) => {
    const found = measured(world, policy, options)
    return options.contexts.every((context) => {
      const rewards = world.rewards![1]![context]!
      const value = meanOf(found, `reward1/c${context}`)
      return value > Math.min(...rewards) - 1e-9 && value < Math.max(...rewards) + 1e-9
    })
  })
]

/**
 * Expected rewards of a policy, `reward<k>`, and `kl` from the world's reference in nats: means over all contexts, and for each
 * of the listed ones under `reward<k>/c<context>`, `kl/c<context>`.
 * **Details** With `transfer` the policy's parameters are taken in the family of this world's reference: what was learned on
 * some responses is tried on others. Fails with `WorldInvalid` where policy and world do not fit.
 */
export const sweep = Stage.make({
  name: "exact.sweep",
  description: "Expected rewards of a policy, context by context",
  module: import.meta.url,
  params: {
    contexts: Schema.Array(Index).pipe(withDefault([] as ReadonlyArray<number>)),
    transfer: Schema.Boolean.pipe(withDefault(false))
  },
  input: WorldValue,
  inputs: { policy: ExactPolicyValue },
  output: EvaluationReport,
  laws,
  run: ({ input, inputs: { policy }, params }) =>
    Effect.try({
      try: () => measured(input, policy, params),
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})
