/**
 * The same model in plain operations of TensorFlow.js, on the wasm backend as it is published: nothing of this project is
 * imported but formulas. Embedding is a product with one-hot rows, because `gather` has no gradient there; the optimizer is
 * the library's Adam. Sampling keeps a cache of keys and values too.
 */
import { createRequire } from "node:module"
import { dirname, sep } from "node:path"
import * as tf from "@tensorflow/tfjs"
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm"
import { draw } from "../../runtime/models/sampling.ts"
import { BETA, LEARNING_RATE, matrices, prompts, SAMPLING_SCALE, type Sizes, tokens } from "../support/workload.ts"
import { type Sample, serve, type Train, timed, timedSteps } from "./serve.ts"

setWasmPaths(dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm")) + sep)
if (!(await tf.setBackend("wasm")) || tf.getBackend() !== "wasm") throw new Error("the wasm backend is not available")
if (tf.getKernel("UnsortedSegmentSum", "wasm") !== undefined || tf.getKernelsForBackend("wasm").some(isOurs))
  throw new Error("the wasm backend is not as published")

function isOurs({ kernelName }: tf.KernelConfig) {
  return kernelName.startsWith("Prefline")
}

const EPSILON = 1e-6
const THETA = 10000

interface Layer {
  readonly norm1: tf.Variable
  readonly qkv: tf.Variable
  readonly o: tf.Variable
  readonly norm2: tf.Variable
  readonly gateUp: tf.Variable
  readonly down: tf.Variable
}

interface Model {
  readonly sizes: Sizes
  readonly embedding: tf.Variable
  readonly layers: ReadonlyArray<Layer>
  readonly norm: tf.Variable
  readonly parameters: ReadonlyArray<tf.Variable>
}

const makeModel = (sizes: Sizes, scale = 1): Model => {
  const drawn = matrices(sizes, scale).map(({ data, shape }) => tf.variable(tf.tensor2d(data, [...shape])))
  const ones = () => tf.variable(tf.ones([sizes.hidden]))
  const layers = Array.from({ length: sizes.layers }, (_, layer): Layer => {
    const [qkv, o, gateUp, down] = drawn.slice(1 + 4 * layer, 5 + 4 * layer) as [
      tf.Variable,
      tf.Variable,
      tf.Variable,
      tf.Variable
    ]
    return { norm1: ones(), qkv, o, norm2: ones(), gateUp, down }
  })
  const norm = ones()
  const embedding = drawn[0]!
  const parameters = [embedding, ...layers.flatMap((layer) => Object.values<tf.Variable>({ ...layer })), norm]
  return { sizes, embedding, layers, norm, parameters }
}

const rmsNorm = (x: tf.Tensor, weight: tf.Tensor): tf.Tensor =>
  tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), EPSILON))), weight)

/** Cosines and sines `[length, width]` of positions from `from` on, each half of the width alike. */
const rotary = (sizes: Sizes, from: number, length: number) => {
  const width = sizes.hidden / sizes.heads
  const angles = Float32Array.from(
    { length: length * width },
    (_, i) => (from + Math.floor(i / width)) * THETA ** ((-2 * (i % (width / 2))) / width)
  )
  const grid = tf.tensor2d(angles, [length, width])
  return { cos: tf.cos(grid), sin: tf.sin(grid) }
}

const rotate = (x: tf.Tensor, { cos, sin }: ReturnType<typeof rotary>): tf.Tensor => {
  const [left, right] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor]
  return tf.add(tf.mul(x, cos), tf.mul(tf.concat([tf.neg(right), left], -1), sin))
}

/** What attention sees: `q`, `k`, `v` `[rows, heads, length, width]`, rotated. */
type Attend = (layer: number, q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => tf.Tensor

/** Final states `[rows * length, hidden]` from embedded tokens `[rows * length, hidden]`. */
const hidden = (
  { layers, norm, sizes }: Model,
  embedded: tf.Tensor,
  shape: { readonly rows: number; readonly length: number; readonly from: number },
  attend: Attend
): tf.Tensor => {
  const { rows, length } = shape
  const width = sizes.hidden / sizes.heads
  const angles = rotary(sizes, shape.from, length)
  const heads = (x: tf.Tensor) => tf.transpose(tf.reshape(x, [rows, length, sizes.heads, width]), [0, 2, 1, 3])
  let x = embedded
  layers.forEach((layer, index) => {
    const [q, k, v] = tf.split(tf.matMul(rmsNorm(x, layer.norm1), layer.qkv), 3, 1).map(heads) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor
    ]
    const seen = attend(index, rotate(q, angles), rotate(k, angles), v)
    const merged = tf.reshape(tf.transpose(seen, [0, 2, 1, 3]), [rows * length, sizes.hidden])
    x = tf.add(x, tf.matMul(merged, layer.o))
    const [gate, up] = tf.split(tf.matMul(rmsNorm(x, layer.norm2), layer.gateUp), 2, 1) as [tf.Tensor, tf.Tensor]
    x = tf.add(x, tf.matMul(tf.mul(tf.mul(gate, tf.sigmoid(gate)), up), layer.down))
  })
  return rmsNorm(x, norm)
}

/** Softmax attention of `q` over `k` and `v`, with what may not be seen at minus infinity. */
const attention = (sizes: Sizes, q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, hiding?: tf.Tensor): tf.Tensor => {
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(sizes.hidden / sizes.heads))
  return tf.matMul(tf.softmax(hiding === undefined ? scores : tf.add(scores, hiding)), v)
}

const oneHot = (ids: Int32Array, depth: number): tf.Tensor2D =>
  tf.cast(tf.oneHot(tf.tensor1d(ids, "int32"), depth) as tf.Tensor2D, "float32")

const training = (sizes: Sizes): Train => {
  const [policy, reference] = [makeModel(sizes), makeModel(sizes)]
  const optimizer = tf.train.adam(LEARNING_RATE, 0.9, 0.999, 1e-8)
  const [rows, length, start] = [2 * sizes.pairs, sizes.length - 1, sizes.length / 4]
  const hiding = tf.tensor2d(
    Float32Array.from({ length: length * length }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0)),
    [length, length]
  )
  /** Only the policy needs the gradient that `gather` does not have. */
  const embed = (model: Model, ids: Int32Array): tf.Tensor =>
    model === policy
      ? tf.matMul(oneHot(ids, sizes.vocabulary), model.embedding)
      : tf.gather(model.embedding, tf.tensor1d(ids, "int32"))
  const summed = (model: Model, grid: Int32Array): tf.Tensor => {
    const inputs = grid.filter((_, i) => i % sizes.length < length)
    const targets = grid.filter((_, i) => i % sizes.length >= start)
    const states = hidden(model, embed(model, inputs), { rows, length, from: 0 }, (_, q, k, v) =>
      attention(sizes, q, k, v, hiding)
    )
    const wanted = tf.slice(
      tf.reshape(states, [rows, length, sizes.hidden]),
      [0, start - 1, 0],
      [rows, length - start + 1, sizes.hidden]
    )
    const logits = tf.matMul(tf.reshape(wanted, [targets.length, sizes.hidden]), model.embedding, false, true)
    const chosen = tf.sum(tf.mul(tf.logSoftmax(logits as tf.Tensor2D), oneHot(targets, sizes.vocabulary)), 1)
    return tf.sum(tf.reshape(chosen, [rows, length - start + 1]), 1)
  }
  const step = (grid: Int32Array): number =>
    tf.tidy(() => {
      const before = tf.tidy(() => summed(reference, grid))
      const cost = optimizer.minimize(
        () => {
          const gain = tf.sub(summed(policy, grid), before)
          const margin = tf.sub(tf.slice(gain, [0], [sizes.pairs]), tf.slice(gain, [sizes.pairs], [sizes.pairs]))
          return tf.mean(tf.softplus(tf.mul(margin, -BETA))) as tf.Scalar
        },
        true,
        [...policy.parameters]
      )
      return cost!.dataSync()[0]!
    })
  let at = 0
  return (steps) =>
    timedSteps(
      Array.from({ length: steps }, () => tokens(sizes, at++)),
      step
    )
}

const sampling = (sizes: Sizes): Sample => {
  const model = makeModel(sizes, SAMPLING_SCALE)
  const generate = (start: ReadonlyArray<ReadonlyArray<number>>, count: number, temperature: number) => {
    const rows = start.length
    const made: Array<Array<number>> = start.map(() => [])
    const caches: Array<{ k: tf.Tensor; v: tf.Tensor } | undefined> = model.layers.map(() => undefined)
    let unread = start
    let from = 0
    while (made[0]!.length < count) {
      const length = unread[0]!.length
      const logits = tf.tidy(() => {
        const ids = tf.tensor1d(unread.flat(), "int32")
        const hiding = tf.tensor2d(
          Float32Array.from({ length: length * (from + length) }, (_, i) =>
            (i % (from + length)) - from > Math.floor(i / (from + length)) ? -1e9 : 0
          ),
          [length, from + length]
        )
        const states = hidden(model, tf.gather(model.embedding, ids), { rows, length, from }, (layer, q, k, v) => {
          const before = caches[layer]
          const all =
            before === undefined ? { k, v } : { k: tf.concat([before.k, k], 2), v: tf.concat([before.v, v], 2) }
          caches[layer] = { k: tf.keep(all.k), v: tf.keep(all.v) }
          if (before !== undefined) tf.dispose([before.k, before.v])
          return attention(sizes, q, all.k, all.v, length === 1 ? undefined : hiding)
        })
        const last = tf.slice(
          tf.reshape(states, [rows, length, sizes.hidden]),
          [0, length - 1, 0],
          [rows, 1, sizes.hidden]
        )
        return tf.matMul(tf.reshape(last, [rows, sizes.hidden]), model.embedding, false, true)
      })
      const values = logits.dataSync<"float32">()
      logits.dispose()
      made.forEach((row, i) => {
        const own = values.subarray(i * sizes.vocabulary, (i + 1) * sizes.vocabulary)
        row.push(draw(own, { temperature }, Math.random()))
      })
      from += length
      unread = made.map((row) => [row.at(-1)!])
    }
    for (const cache of caches) tf.dispose([cache!.k, cache!.v])
    return made
  }
  return async ({ greedy, new: count, prompt, rows }) => {
    const start = prompts(sizes, rows, prompt)
    const [made, wall, cpu] = await timed(() => generate(start, count, greedy ? 0 : 1))
    return { tokens: made, wall: [wall], cpu: [cpu] }
  }
}

await serve({
  describe: `tfjs ${tf.version["tfjs-core"]}, wasm as published`,
  training: async (sizes) => training(sizes),
  sampling: async (sizes) => sampling(sizes)
})
