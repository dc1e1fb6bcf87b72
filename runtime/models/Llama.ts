import * as tf from "@tensorflow/tfjs"
import { Effect, type Scope } from "effect"
import type { Device } from "../device/Device.ts"
import type { Heads } from "../tensor/causalAttention.ts"
import { read } from "../tensor/read.ts"
import {
  HEAD,
  headDim,
  type LlamaConfig,
  type ModelInvalid,
  ropeTheta,
  shapes,
  validate,
  type Weights
} from "./LlamaConfig.ts"

export { answers, hidden, logits, tokenLogProbs } from "./forward.ts"
export * from "./LlamaConfig.ts"

/** A model on the device. Its parameters live as long as the scope that `fromWeights` was run in. */
export interface Llama {
  readonly config: LlamaConfig
  readonly heads: Heads
  readonly parameters: ReadonlyMap<string, tf.Variable>
}

/** Puts a model on the device for the life of the scope. The weights are copied. */
export const fromWeights = Effect.fn("Llama.fromWeights")(function* (
  config: LlamaConfig,
  weights: Weights
): Effect.fn.Return<Llama, ModelInvalid, Device | Scope.Scope> {
  yield* validate(config, weights)
  const parameters = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const head = weights.get(HEAD)
      const named = [...shapes(config), ...(head === undefined ? [] : [[HEAD, head.shape] as const])]
      return new Map(named.map(([name, shape]) => [name, variable(weights.get(name)!.data, shape)]))
    }),
    (parameters) => Effect.sync(() => tf.dispose(Object.fromEntries(parameters)))
  )
  const heads: Heads = {
    heads: config.num_attention_heads,
    keyValueHeads: config.num_key_value_heads,
    headDim: headDim(config),
    ropeTheta: ropeTheta(config)
  }
  return { config, heads, parameters }
})

/** Reads the model back, bit for bit. */
export const toWeights = ({ parameters }: Llama): Effect.Effect<Weights> =>
  Effect.map(
    Effect.forEach(parameters, ([name, parameter]) =>
      Effect.map(read(parameter), (data) => [name, { shape: [...parameter.shape], data }] as const)
    ),
    (weights) => new Map(weights)
  )

/** A parameter by name; throws if the model has none of that name. */
export const parameter = <Rank extends tf.Rank>({ parameters }: Llama, name: string): tf.Tensor<Rank> => {
  const found = parameters.get(name)
  if (!found) throw new Error(`the model has no parameter ${name}`)
  return found as unknown as tf.Tensor<Rank>
}

const variable = (data: Float32Array, shape: ReadonlyArray<number>): tf.Variable => {
  const initial = tf.tensor(data.slice(), [...shape], "float32")
  const made = tf.variable(initial)
  initial.dispose()
  return made
}
