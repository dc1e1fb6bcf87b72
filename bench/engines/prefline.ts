/** This project's own model, training step and sampling, on its wasm device. */
import * as tf from "@tensorflow/tfjs"
import { Effect, ManagedRuntime, Scope } from "effect"
import * as Rng from "../../dsl/Rng.ts"
import { Device } from "../../runtime/device/Device.ts"
import type { Batch } from "../../runtime/models/Batch.ts"
import { tokenLogProbs } from "../../runtime/models/forward.ts"
import { generate } from "../../runtime/models/generate.ts"
import * as Llama from "../../runtime/models/Llama.ts"
import * as AdamW from "../../runtime/tensor/AdamW.ts"
import { constant } from "../../runtime/tensor/schedule.ts"
import * as Train from "../../runtime/tensor/train.ts"
import * as Parity from "../../test/runtime/models/parityRun.ts"
import { BETA, LEARNING_RATE, prompts, SAMPLING_SCALE, type Sizes } from "../support/workload.ts"
import { type Sample, serve, type Train as Trained, timed, timedSteps } from "./serve.ts"

const runtime = ManagedRuntime.make(Device.layer("wasm"))
const { numerics } = await runtime.runPromise(Device)

/** The workload of `parityRun.ts`, step by step. */
const training = async (sizes: Sizes): Promise<Trained> => {
  const scope = Scope.makeUnsafe()
  const model = Llama.fromWeights(Parity.config(sizes), Parity.weights(sizes))
  const { optimizer, policy, reference } = await runtime.runPromise(
    Effect.gen(function* () {
      const [policy, reference] = [yield* model, yield* model]
      const optimizer = yield* AdamW.make(policy.parameters, { learningRate: constant(LEARNING_RATE) })
      return { policy, reference, optimizer }
    }).pipe(Scope.provide(scope))
  )
  const summed = (of: Llama.Llama, batch: Batch) => tf.sum(tokenLogProbs(of, batch), 1)
  const dpo = (batch: Batch): Train.Contribution => {
    const gain = tf.sub(summed(policy, batch), tf.tidy(() => summed(reference, batch)).dataSync())
    const margin = tf.sub(tf.slice(gain, 0, sizes.pairs), tf.slice(gain, sizes.pairs, sizes.pairs))
    return { loss: tf.sum(tf.softplus(tf.mul(margin, -BETA))), weight: sizes.pairs }
  }
  let at = 0
  return (steps) =>
    timedSteps(
      Array.from({ length: steps }, () => Parity.batch(sizes, at++)),
      async (batch) => (await runtime.runPromise(Train.step(optimizer, [batch], dpo))).loss
    )
}

const sampling = async (sizes: Sizes): Promise<Sample> => {
  const weights = new Map(
    [...Parity.weights(sizes)].map(([name, { data, shape }]) => {
      const scale = name.startsWith("model.layers.") && shape.length === 2 ? SAMPLING_SCALE : 1
      return [name, { shape, data: data.map((x) => scale * x) }] as const
    })
  )
  const made = Llama.fromWeights(Parity.config(sizes), weights)
  const model = await runtime.runPromise(Scope.provide(made, Scope.makeUnsafe()))
  let seed = 0
  return async ({ greedy, new: maxTokens, prompt, rows }) => {
    const rng = Rng.make(seed++, "bench")
    const requests = prompts(sizes, rows, prompt).map((prompt, row) => ({ prompt, rng: rng.fork(row) }))
    const options = { temperature: greedy ? 0 : 1, maxTokens, stopTokens: [], batchSize: rows }
    const [made, wall, cpu] = await timed(() => runtime.runPromise(generate(model, requests, options)))
    return { tokens: made.map(({ tokens }) => tokens), wall: [wall], cpu: [cpu] }
  }
}

await serve({ describe: `prefline, ${numerics.kernels}`, training, sampling })
