/** What exact stages refuse, each once done in silence. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Stream } from "effect"
import type { Pair } from "../../../dsl/artifacts.ts"
import type { ExactPolicy, World } from "../../../dsl/exactArtifacts.ts"
import * as Rng from "../../../dsl/Rng.ts"
import type * as Stage from "../../../dsl/Stage.ts"
import { meanLoss } from "../../../stages/exact/optimize.ts"
import { completionOf, promptOf } from "../../../stages/exact/rows.ts"
import { dpo, exact, wpo } from "../../../stages/index.ts"
import * as X from "../../../stages/optimize/algebra/Expression.ts"
import { onTensors } from "../../../stages/optimize/algebra/tensors.ts"
import { logistic } from "../../../stages/optimize/links.ts"
import { objective } from "../../../stages/optimize/Objective.ts"
import { gap, sumLogProb } from "../../../stages/optimize/statistics.ts"

const uniform = (contexts: number, responses: number): ExactPolicy => ({
  family: { kind: "softmax", contexts, responses },
  theta: Array.from({ length: contexts * responses }, () => 0)
})
const answer = (response: number) => completionOf({ context: 0, tokens: [response], finish: "stop" })
const pairOf = (chosen: number, rejected: number, weight: number): Pair => ({
  id: `${chosen}-${rejected}`,
  prompt: promptOf(0),
  chosen: answer(chosen),
  rejected: answer(rejected),
  margin: 0,
  numbers: { weight }
})
const run = <A>({ stage }: { readonly stage: Stage.Any }, context: object): Effect.Effect<A, Error> =>
  Effect.suspend(() => {
    const { params = {}, ...rest } = context as { readonly params?: object }
    const made = stage.run({
      inputs: {},
      rng: Rng.make(0, stage.name),
      ...rest,
      params: stage.params.make(params as never)
    } as never)
    return (Stream.isStream(made) ? Stream.runCollect(made as Stream.Stream<A, Error>) : made) as Effect.Effect<
      A,
      Error
    >
  })
const problemOf = (effect: Effect.Effect<unknown, Error>) => Effect.map(Effect.flip(effect), ({ message }) => message)

describe("exact stages refuse", () => {
  const four = [0.5, 0.7, 0.8, 0.9, 0.3, 0.5, 0.65, 0.75, 0.2, 0.35, 0.5, 0.6, 0.1, 0.25, 0.4, 0.5]
  const pairs = four.flatMap((weight, i) => (i % 5 === 0 ? [] : [pairOf(Math.floor(i / 4), i % 4, weight)]))
  const policy = uniform(1, 4)
  const trained = (by: string) =>
    run<ExactPolicy>(exact.optimize, {
      params: { objective: wpo({ beta: 1 }), by, steps: 300 },
      input: { stream: Stream.fromIterable(pairs) },
      inputs: { from: policy, reference: policy }
    })

  it.effect("a line search along a gradient that is not the slope of the value", () =>
    Effect.gen(function* () {
      assert.match(yield* problemOf(trained("lbfgs")), /lbfgs stopped after \d+ steps.*by: "adam"/)
      assert.lengthOf((yield* trained("adam")).theta, 4)
    })
  )

  it("weights below 0, and weights that sum to 0", () => {
    const lossOf = (weights: ReadonlyArray<number>) => () =>
      meanLoss(
        dpo().implementation,
        weights.map((weight, i) => pairOf(i, 3, weight)),
        policy,
        { reference: policy }
      )
    assert.throws(lossOf([2, -1]), /its weight is -1/)
    assert.throws(lossOf([0, 0]), /weights sum to 0/)
  })

  it("to merge equal pairs where the loss reads their weight", () => {
    const weighed = objective({
      reward: sumLogProb,
      loss: X.mul(X.number("weight", { minimum: 0, maximum: 1 }), logistic(gap(sumLogProb)))
    })
    const twice = [pairOf(0, 1, 0.5), pairOf(0, 1, 0.5)]
    const { value } = meanLoss(weighed, twice, policy, {})(Float64Array.from(policy.theta))
    assert.closeTo(value, Math.LN2 / 2, 1e-12)
  })

  it.effect("to label where the world says nothing", () =>
    Effect.gen(function* () {
      const mute: World = { reference: uniform(2, 2) }
      const problem = yield* problemOf(run(exact.comparisons, { params: { count: 4 }, input: mute }))
      assert.include(problem, "neither preferences")
    })
  )

  it.effect("to sample by weights of 0, and to judge a policy of fewer contexts", () =>
    Effect.gen(function* () {
      const world: World = {
        reference: uniform(2, 2),
        rewards: [
          [
            [0, 1],
            [2, 3]
          ]
        ]
      } // prettier-ignore
      assert.include(
        yield* problemOf(run(exact.population, { params: { sampling: [0, 0] }, input: world })),
        "no response has a sampling weight"
      )
      assert.include(
        yield* problemOf(run(exact.evaluate, { input: world, inputs: { policy: uniform(1, 2) } })),
        "the policy has 1 contexts, the world 2"
      )
    })
  )
})

it("a function of a constant is a constant, on tensors too", async () => {
  await tf.setBackend("cpu")
  const grid = (rows: Array<Array<number>>) => tf.tensor2d(rows)
  const chosen = {
    mask: grid([
      [1, 1],
      [1, 0]
    ]),
    logProbs: {
      policy: grid([
        [-1, -2],
        [-0.5, 0]
      ])
    }
  } // prettier-ignore
  const roots = [X.sumTokens(X.mul(X.logProbs("chosen"), X.exp(0.5))), X.square(3)]
  const [scaled, nine] = onTensors(roots, { size: 2, answers: { chosen }, numbers: {} })
  for (const [i, value] of scaled!.arraySync().entries()) assert.closeTo(value, [-3, -0.5][i]! * Math.exp(0.5), 1e-6)
  assert.deepEqual(nine!.arraySync(), [9, 9])
})
