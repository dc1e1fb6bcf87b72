/** What exact stages make of random draws, of weights and of policies, against what it must be by definition. */
import { assert, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Evaluation, Pair } from "../../../dsl/artifacts.ts"
import type { ExactPolicy, World } from "../../../dsl/exactArtifacts.ts"
import * as Rng from "../../../dsl/Rng.ts"
import type * as Stage from "../../../dsl/Stage.ts"
import { policyOf } from "../../../runtime/exact/families.ts"
import { responseLogProbs } from "../../../runtime/exact/Policy.ts"
import { meanLoss } from "../../../stages/exact/optimize.ts"
import { dpo, exact } from "../../../stages/index.ts"
import * as Tiny from "../tinyPolicy.ts"

const CONTEXTS = 4
const mean = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0) / values.length
const world = Tiny.call<World, never, never>(exact.world, { params: { world: exact.bandit({ contexts: CONTEXTS }) } })
const pairsIn = (from: World, params: { readonly count: number; readonly flip?: number }) =>
  Stream.runCollect(
    exact.comparisons.stage.run({
      params: exact.comparisons.stage.params.make(params as never),
      input: from,
      inputs: {},
      rng: Rng.make(0, "comparisons")
    } as never) as Stream.Stream<Pair>
  )
const inWorld = <A>({ stage }: { readonly stage: Stage.Any }, input: World, params: object, inputs: object = {}) =>
  Effect.suspend(
    () => stage.run({ params: stage.params.make(params as never), input, inputs } as never) as Effect.Effect<A>
  )
/** A policy that the world's reference leads to, far enough from it that directions differ. */
const tilted = (from: World) => inWorld<ExactPolicy>(exact.solve, from, { solution: exact.klOptimum({ beta: 0.5 }) })

it.effect("labels follow the preference, and flipped ones do as much less", () =>
  Effect.gen(function* () {
    for (const flip of [0, 0.3]) {
      const pairs = yield* pairsIn(yield* world, { count: 4000, flip })
      // Of a pair preferred with probability p, the chosen answer's own is p or 1 - p: on average p^2 + (1 - p)^2.
      const excess = pairs.map(({ numbers }) => {
        const p = numbers!["preference"]!
        return p - (1 - flip) * (p ** 2 + (1 - p) ** 2) - flip * 2 * p * (1 - p)
      })
      const error = Math.sqrt(mean(excess.map((x) => x ** 2)) / excess.length)
      assert.isBelow(Math.abs(mean(excess)), 4 * error, `flip ${flip}`)
      assert.closeTo(mean(pairs.map(({ numbers }) => numbers!["flipped"]!)), flip, 0.05)
    }
  })
)

it.effect("each pair draws its own answers, by the reference", () =>
  Effect.gen(function* () {
    const given = yield* world
    const pairs = yield* pairsIn(given, { count: 8000 })
    const reference = responseLogProbs(policyOf(given.reference), 0).map(Math.exp)
    const inFirst = pairs.filter(({ prompt }) => prompt.id === "c0")
    const unequal = 1 - reference.reduce((sum, p) => sum + p * p, 0)
    reference.forEach((p, y) => {
      const share = mean(
        inFirst.flatMap(({ chosen, rejected }) => [chosen, rejected].map(({ tokens }) => +(tokens![0] === y)))
      )
      assert.closeTo(share, (p * (1 - p)) / unequal, 0.04, `response ${y}`)
    })
  })
)

it.effect("a pair counts by its weight, or as often as it occurs", () =>
  Effect.gen(function* () {
    const given = yield* world
    const [first, second] = (yield* pairsIn(given, { count: 3 })) as [Pair, Pair]
    const { implementation } = dpo({ beta: 0.5 })
    const lossOf = (pairs: ReadonlyArray<Pair>) =>
      meanLoss(implementation, pairs, given.reference, { reference: given.reference })
    const policy = yield* tilted(given)
    const theta = Float64Array.from(policy.theta)
    const [repeated, weighted] = [
      lossOf([first, second, first, first])(theta),
      lossOf([{ ...first, numbers: { ...first.numbers, weight: 3 } }, second])(theta)
    ]
    assert.closeTo(repeated.value, weighted.value, 1e-12)
    repeated.gradient.forEach((g, i) => {
      assert.closeTo(g, weighted.gradient[i]!, 1e-12)
    })
    assert.isAbove(Math.abs(repeated.value - lossOf([first, second])(theta).value), 1e-3)
  })
)

it.effect("kl is that of the policy from the reference, averaged over contexts; errors are the largest", () =>
  Effect.gen(function* () {
    const given = yield* world
    const policy = yield* tilted(given)
    const { estimates } = yield* inWorld<Evaluation>(exact.evaluate, given, {}, { policy, target: given.reference })
    const [ours, theirs] = [policyOf(policy), policyOf(given.reference)]
    const contexts = Array.from({ length: CONTEXTS }, (_, context) => {
      const [p, q] = [responseLogProbs(ours, context), responseLogProbs(theirs, context)]
      return {
        kl: p.reduce((sum, l, y) => sum + Math.exp(l) * (l - q[y]!), 0),
        reverse: q.reduce((sum, l, y) => sum + Math.exp(l) * (l - p[y]!), 0),
        error: Math.max(...p.map((l, y) => Math.abs(Math.exp(l) - Math.exp(q[y]!))))
      }
    })
    assert.closeTo(estimates["kl"]!.mean, mean(contexts.map(({ kl }) => kl)), 1e-12)
    assert.closeTo(estimates["kl/reverse"]!.mean, mean(contexts.map(({ reverse }) => reverse)), 1e-12)
    assert.closeTo(estimates["target/max_error"]!.mean, Math.max(...contexts.map(({ error }) => error)), 1e-12)
    assert.isAbove(Math.abs(estimates["kl"]!.mean - estimates["kl/reverse"]!.mean), 1e-2)
  })
)
