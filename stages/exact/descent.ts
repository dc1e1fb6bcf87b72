import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, Positive, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { gradientDescent } from "../../runtime/exact/minimize.ts"
import { normalVector } from "../../runtime/exact/random.ts"
import { NothingToTrainOn } from "../optimize/loop.ts"
import { Objective } from "../optimize/Objective.ts"
import { dpo } from "../optimize/objectives/dpo.ts"
import { MinimizationFailed, meanLoss } from "./optimize.ts"
import { completionOf, promptOf } from "./rows.ts"

interface Options {
  readonly objective: Objective
  readonly batchSize: number
  readonly learningRate: number
  readonly epochs: number
}

type Frozen = Readonly<Partial<Record<"reference" | "guide", ExactPolicy | undefined>>>

const descended = (pairs: ReadonlyArray<Pair>, from: ExactPolicy, frozen: Frozen, options: Options): ExactPolicy => {
  const { batchSize, epochs, learningRate, objective } = options
  let theta: Float64Array = Float64Array.from(from.theta)
  for (let epoch = 0; epoch < epochs; epoch++)
    for (let start = 0; start < pairs.length; start += batchSize) {
      const loss = meanLoss(objective, pairs.slice(start, start + batchSize), from, frozen)
      theta = gradientDescent(loss, theta, { steps: 1, learningRate }).theta
    }
  return { family: from.family, theta: [...theta] }
}

const Case = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))).pipe(
  Arbitrary.map((seed) => {
    const rng = Rng.make(seed, "descent")
    const answer = (at: number) => completionOf({ context: 0, tokens: [rng.int(at, 4)], finish: "stop" })
    const pairs = Array.from(
      { length: 6 },
      (_, i): Pair => ({
        id: `${i}`,
        prompt: promptOf(0),
        chosen: answer(2 * i),
        rejected: answer(2 * i + 1),
        margin: 0
      })
    )
    const policyAt = (label: string): ExactPolicy => ({
      family: { kind: "softmax", contexts: 1, responses: 4 },
      theta: [...normalVector(4, rng.fork(label))]
    })
    const options = { objective: dpo({ beta: 1 }).implementation, batchSize: 2, learningRate: 0.5, epochs: 1 }
    return { pairs, from: policyAt("from"), reference: policyAt("reference"), options }
  })
)
const close = (a: ExactPolicy, b: ExactPolicy) => a.theta.every((x, i) => Math.abs(x - b.theta[i]!) < 1e-12)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("a batch of all pairs is a step of plain descent", Case, ({ from, options, pairs, reference }) => {
    const loss = meanLoss(options.objective, pairs, from, { reference })
    const { theta } = gradientDescent(loss, Float64Array.from(from.theta), { steps: 1, learningRate: 0.5 })
    const made = descended(pairs, from, { reference }, { ...options, batchSize: pairs.length })
    return close(made, { family: from.family, theta: [...theta] })
  }),
  Law.make("two epochs are one of the pairs twice", Case, ({ from, options, pairs, reference }) =>
    close(
      descended(pairs, from, { reference }, { ...options, epochs: 2 }),
      descended([...pairs, ...pairs], from, { reference }, options)
    )
  ),
  Law.make("the order within a batch is of no matter", Case, ({ from, options, pairs, reference }) => {
    const turned = [0, 2, 4].flatMap((at) => [pairs[at + 1]!, pairs[at]!])
    return close(descended(pairs, from, { reference }, options), descended(turned, from, { reference }, options))
  })
]

/**
 * Stochastic gradient descent: a step of `learningRate` down the mean loss of each `batchSize` pairs in turn, `epochs` times
 * over them all; a last, smaller batch counts as one. For pairs that are drawn afresh at each step, as many as the steps take.
 * **Details** As `exact.optimize` else. Fails with `MinimizationFailed` where the loss is not finite, or pairs and policies do
 * not fit.
 */
export const descent = Stage.make({
  name: "exact.descent",
  description: "An exact policy trained on batches of pairs",
  module: import.meta.url,
  params: {
    objective: Objective.schema,
    batchSize: Count,
    learningRate: Positive.pipe(withDefault(0.1)),
    epochs: Count.pipe(withDefault(1))
  },
  input: Pairs,
  inputs: {
    from: ExactPolicyValue,
    reference: Stage.optional(ExactPolicyValue),
    guide: Stage.optional(ExactPolicyValue)
  },
  output: ExactPolicyValue,
  laws,
  run: ({ input, inputs: { from, guide, reference }, params: { objective, ...options } }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToTrainOn({ stage: "exact.descent", items: "pairs" })
      return yield* Effect.try({
        try: () => descended(pairs, from, { guide, reference }, { ...options, objective: objective.implementation }),
        catch: (cause) => new MinimizationFailed({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
