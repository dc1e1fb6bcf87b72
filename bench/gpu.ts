/**
 * A Llama of the 100M class on any device: a DPO train step and sampling, as tokens per second, device memory, and the share
 * of what the same device reaches on a large matrix product (compute) and a large addition (memory).
 *
 *   node bench/gpu.ts --device webgpu [--size 100m|10m|tiny] [--json]
 */
import { parseArgs } from "node:util"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import * as Rng from "../dsl/Rng.ts"
import { Device } from "../runtime/device/Device.ts"
import * as Batch from "../runtime/models/Batch.ts"
import { tokenLogProbs } from "../runtime/models/forward.ts"
import { generate } from "../runtime/models/generate.ts"
import * as Llama from "../runtime/models/Llama.ts"
import * as AdamW from "../runtime/tensor/AdamW.ts"
import { read } from "../runtime/tensor/read.ts"
import { constant } from "../runtime/tensor/schedule.ts"
import { step } from "../runtime/tensor/train.ts"

interface Size {
  readonly config: Parameters<typeof Llama.LlamaConfig.make>[0]
  /** DPO: pairs and tokens of each answer with its prompt. */
  readonly pairs: number
  readonly length: number
  /** Sampling: sequences decoded together, tokens of their prompts, tokens to draw. */
  readonly sequences: number
  readonly prompt: number
  readonly drawn: number
  /** Side of the square matrices, and elements of the vectors, that set the roofline. */
  readonly square: number
  readonly elements: number
}

const llama = (vocabulary: number, hidden: number, intermediate: number, layers: number, heads: number) => ({
  vocab_size: vocabulary,
  hidden_size: hidden,
  intermediate_size: intermediate,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: heads,
  max_position_embeddings: 1024,
  tie_word_embeddings: true
})

const sizes: Readonly<Record<string, Size>> = {
  "100m": {
    config: llama(32_000, 768, 2048, 12, 12),
    pairs: 4,
    length: 256,
    sequences: 64,
    prompt: 32,
    drawn: 64,
    square: 4096,
    elements: 2 ** 26
  },
  "10m": {
    config: llama(8_000, 256, 704, 8, 8),
    pairs: 4,
    length: 128,
    sequences: 32,
    prompt: 16,
    drawn: 32,
    square: 1024,
    elements: 2 ** 24
  },
  tiny: {
    config: llama(64, 32, 64, 1, 2),
    pairs: 2,
    length: 16,
    sequences: 2,
    prompt: 4,
    drawn: 4,
    square: 64,
    elements: 2 ** 12
  }
}

/** Median seconds of `times` runs after a warm-up. */
const timed = Effect.fnUntraced(function* <E, R>(times: number, run: Effect.Effect<unknown, E, R>) {
  yield* run
  const seconds: Array<number> = []
  for (let i = 0; i < times; i++) {
    const begun = performance.now()
    yield* run
    seconds.push((performance.now() - begun) / 1000)
  }
  return seconds.toSorted((a, b) => a - b)[Math.floor(times / 2)]!
})

/** Runs `operation` on the same inputs `repeats` times; reading one number at the end waits for all of them. */
const repeated = (repeats: number, operation: () => tf.Tensor) =>
  Effect.acquireUseRelease(
    Effect.sync(() =>
      tf.tidy(() => {
        let last = operation()
        for (let i = 1; i < repeats; i++) {
          last.dispose()
          last = operation()
        }
        return tf.slice(tf.reshape(last, [-1]), 0, 1)
      })
    ),
    read,
    (tensor) => Effect.sync(() => tensor.dispose())
  )

/** What the device reaches on work that is nothing but arithmetic, and nothing but memory traffic. */
const roofline = Effect.fnUntraced(function* ({ elements, square }: Size) {
  const inputs = [tf.ones([square, square]), tf.ones([square, square]), tf.ones([elements]), tf.ones([elements])]
  const repeats = 4
  const product = yield* timed(
    3,
    repeated(repeats, () => tf.matMul(inputs[0]!, inputs[1]!))
  )
  const sum = yield* timed(
    3,
    repeated(repeats, () => tf.add(inputs[2]!, inputs[3]!))
  )
  tf.dispose(inputs)
  return { flops: (repeats * 2 * square ** 3) / product, bytes: (repeats * 3 * 4 * elements) / sum }
})

const tokensOf = (rng: Rng.Rng, count: number, vocabulary: number) =>
  Array.from({ length: count }, (_, i) => rng.int(i, vocabulary))

/** One step of DPO, reference included, on random pairs. */
const training = Effect.fnUntraced(function* (model: Llama.Llama, reference: Llama.Llama, size: Size, rng: Rng.Rng) {
  const { length, pairs } = size
  const vocabulary = model.config.vocab_size
  const rows = Array.from({ length: 2 * pairs }, (_, row) => {
    const tokens = tokensOf(rng.fork(`row ${row}`), length, vocabulary)
    return { prompt: tokens.slice(0, length / 4), completion: tokens.slice(length / 4) }
  })
  const batch = Batch.make(rows)
  const optimizer = yield* AdamW.make(model.parameters, { learningRate: constant(1e-5) })
  const expected = yield* Effect.acquireRelease(
    Effect.sync(() => tf.tidy(() => tf.sum(tokenLogProbs(reference, batch), 1))),
    (tensor) => Effect.sync(() => tensor.dispose())
  )
  const run = step(optimizer, [batch], (batch) => {
    const gain = tf.sub(tf.sum(tokenLogProbs(model, batch), 1), expected)
    const margin = tf.sub(tf.slice(gain, 0, pairs), tf.slice(gain, pairs, pairs))
    return { loss: tf.sum(tf.softplus(tf.mul(margin, -0.1))), weight: pairs }
  })
  const first = yield* run
  const seconds = yield* timed(3, run)
  const last = yield* run
  const tokens = 2 * pairs * length
  const matrices = Llama.parameterCount(model.config) // the embedding counts once: as the head
  const { hidden_size, num_hidden_layers } = model.config
  const flops = 6 * matrices * tokens + 6 * num_hidden_layers * 2 * pairs * length ** 2 * hidden_size
  return { seconds, tokens, flops, losses: [first.loss, last.loss] }
})

const sampling = Effect.fnUntraced(function* (model: Llama.Llama, size: Size, rng: Rng.Rng) {
  const { drawn, prompt, sequences } = size
  const requests = Array.from({ length: sequences }, (_, i) => ({
    prompt: tokensOf(rng.fork(`prompt ${i}`), prompt, model.config.vocab_size),
    rng: rng.fork(`request ${i}`)
  }))
  const run = generate(model, requests, { maxTokens: drawn, temperature: 1, stopTokens: [], batchSize: sequences })
  const seconds = yield* timed(1, run)
  const bytes = drawn * 4 * Llama.parameterCount(model.config) // each step reads every weight once
  return { seconds, tokens: sequences * drawn, bytes }
})

const memory = () => {
  const { numBytes, numBytesInGPU } = tf.memory() as tf.MemoryInfo & { readonly numBytesInGPU?: number }
  return numBytesInGPU ?? numBytes
}

const program = Effect.gen(function* () {
  const device = yield* Device
  const size = sizes[values.size]!
  const config = Llama.LlamaConfig.make(size.config)
  const rng = Rng.make(0, "bench/gpu")
  const weights = Llama.initialize(config, rng.fork("weights"))
  const model = yield* Llama.fromWeights(config, weights)
  const reference = yield* Llama.fromWeights(config, weights)
  const peak = yield* roofline(size)
  const sampled = yield* sampling(model, size, rng)
  const trained = yield* Effect.scoped(training(model, reference, size, rng))
  return {
    device: device.kind,
    ...device.details,
    parameters: Llama.parameterCount(config),
    "peak GFLOP/s, matrix product": peak.flops / 1e9,
    "peak GB/s, addition": peak.bytes / 1e9,
    "train step, s": trained.seconds,
    "train, tokens/s": trained.tokens / trained.seconds,
    "train, GFLOP/s": trained.flops / trained.seconds / 1e9,
    "train, share of peak": trained.flops / trained.seconds / peak.flops,
    "loss, first step": trained.losses[0]!,
    "loss, last step": trained.losses[1]!,
    "sampling, tokens/s": sampled.tokens / sampled.seconds,
    "sampling, share of memory peak": sampled.bytes / sampled.seconds / peak.bytes,
    "device memory, MiB": memory() / 2 ** 20
  }
}).pipe(Effect.scoped)

const { values } = parseArgs({
  options: {
    device: { type: "string", default: "webgpu" },
    size: { type: "string", default: "100m" },
    json: { type: "boolean", default: false }
  }
})

if (!(values.size in sizes)) {
  console.error(`--size ${values.size}: there are ${Object.keys(sizes).join(", ")}`)
  process.exitCode = 2
} else {
  const result = await Effect.runPromise(
    program.pipe(
      Effect.provide(Device.layer(values.device)),
      Effect.catchTag("DeviceUnavailable", (error) =>
        Effect.sync(() => {
          console.error(error.message)
          process.exitCode = 1
          return undefined
        })
      )
    )
  )
  if (result !== undefined && values.json) console.log(JSON.stringify(result))
  else if (result !== undefined)
    for (const [name, value] of Object.entries(result))
      console.log(`${name.padEnd(32)} ${typeof value === "number" ? Number(value.toPrecision(4)) : value}`)
}
