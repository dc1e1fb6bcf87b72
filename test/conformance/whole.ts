/** What is more than one operation: the model's gradient, its decoding, the optimizer and the parity workload. */
import { assert } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import * as Rng from "../../dsl/Rng.ts"
import { withoutLeak } from "../../runtime/device/Device.ts"
import type { Batch } from "../../runtime/models/Batch.ts"
import { drawTokens } from "../../runtime/models/drawTokens.ts"
import { generate } from "../../runtime/models/generate.ts"
import * as Llama from "../../runtime/models/Llama.ts"
import * as AdamW from "../../runtime/tensor/AdamW.ts"
import { computed, read } from "../../runtime/tensor/read.ts"
import { constant } from "../../runtime/tensor/schedule.ts"
import * as Train from "../../runtime/tensor/train.ts"
import * as Parity from "../runtime/models/parityRun.ts"
import * as Reference from "../runtime/models/reference.ts"
import { normals, relativeError } from "../runtime/tensor/closeness.ts"
import * as O from "./oracle.ts"
import * as Tape from "./tape.ts"

// A Llama and its DPO loss, on the device and by the reference

export const config = Llama.LlamaConfig.make({
  vocab_size: 97,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 32,
  tie_word_embeddings: true
})

const PAIRS = 3
const COLUMNS = 16
const BETA = 0.5

/** Large enough that every part of the model matters, norms off one. */
export const weights: Llama.Weights = new Map(
  [...Llama.shapes(config)].map(([name, shape]) => {
    const data = normals(`conformance/${name}`, O.sizeOf(shape), 0.2)
    return [name, { shape, data: shape.length === 1 ? data.map((value) => 1 + value) : data }]
  })
)

/** Rows `0..PAIRS-1` are chosen, row `i` pairs with row `PAIRS + i`; they end at different lengths. */
export const batch: Batch = (() => {
  const rng = Rng.make(11, "conformance/batch")
  const rows = 2 * PAIRS
  const lengths = Int32Array.from({ length: rows }, (_, row) => COLUMNS - (row % 4))
  return {
    rows,
    columns: COLUMNS,
    lengths,
    tokens: Int32Array.from({ length: rows * COLUMNS }, (_, i) => rng.int(i, config.vocab_size)),
    mask: Uint8Array.from({ length: rows * COLUMNS }, (_, i) => {
      const column = i % COLUMNS
      return column >= 4 && column < lengths[Math.floor(i / COLUMNS)]! ? 1 : 0
    })
  }
})()

/** Log-ratios of the frozen reference model: any numbers will do. */
const referenceGaps = Float32Array.from({ length: PAIRS }, (_, i) => Math.fround(Rng.make(12, "gaps").normal(i)))

/** DPO summed over the pairs, by scalars that remember how they were made. */
export const dpoOracle = (tape: Tape.Tape, parameters: ReadonlyMap<string, O.Arr>): O.Arr => {
  const at = (name: string) => parameters.get(name)!
  const heads: O.Heads = { heads: 4, keyValueHeads: 2, headDim: 8, ropeTheta: config.rope_theta }
  const times = (x: O.Arr, name: string) => O.matMul(x, at(name), false, true)
  const norm = (x: O.Arr, name: string) => O.rmsNorm(x, at(name), config.rms_norm_eps)
  const contexts = batch.lengths.map((length) => length - 1)
  const places = [...contexts].flatMap((length, row) => Array.from({ length }, (_, column) => row * COLUMNS + column))
  let x = O.rows(
    at("model.embed_tokens.weight"),
    places.map((place) => batch.tokens[place]!)
  )
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const name = `model.layers.${layer}.`
    const a = norm(x, `${name}input_layernorm.weight`)
    const [q, k, v] = ["q", "k", "v"].map((which) => times(a, `${name}self_attn.${which}_proj.weight`))
    x = O.add(x, times(O.causalAttention(q!, k!, v!, contexts, heads), `${name}self_attn.o_proj.weight`))
    const m = norm(x, `${name}post_attention_layernorm.weight`)
    const inner = O.swiGlu(times(m, `${name}mlp.gate_proj.weight`), times(m, `${name}mlp.up_proj.weight`))
    x = O.add(x, times(inner, `${name}mlp.down_proj.weight`))
  }
  const wanted = [...places.keys()].filter((i) => batch.mask[places[i]! + 1] === 1)
  const states = O.rows(norm(x, "model.norm.weight"), wanted)
  const scores = O.logProbs(
    times(states, "model.embed_tokens.weight"),
    wanted.map((i) => batch.tokens[places[i]! + 1]!)
  )
  const rowOf = wanted.map((i) => Math.floor(places[i]! / COLUMNS))
  const sums = Array.from({ length: batch.rows }, (_, row) =>
    Tape.sum(
      tape,
      scores.ids.filter((_, i) => rowOf[i] === row)
    )
  )
  const margins = O.build(tape, [PAIRS], "float32", ([i]) =>
    Tape.sum(tape, [sums[i!]!, sums[PAIRS + i!]!, Tape.leaf(tape, referenceGaps[i!]!)], [1, -1, -1])
  )
  return O.sum(O.softplus(O.affine(margins, -BETA)))
}

/** The same loss, of each row's summed log-probability. */
export const lossOf = (sums: ReadonlyArray<number>): number =>
  Array.from(referenceGaps).reduce(
    (loss, gap, i) => loss + Math.log1p(Math.exp(-BETA * (sums[i]! - sums[PAIRS + i]! - gap))),
    0
  )

/** The loss and its gradient by every parameter, in float64. */
export const expected = () => {
  const tape = Tape.make()
  const parameters = new Map([...weights].map(([name, { data, shape }]) => [name, O.input(tape, shape, data)]))
  const loss = dpoOracle(tape, parameters)
  const { values } = Tape.backward(tape, loss.ids, [1])
  return {
    loss: O.valuesOf(loss)[0]!,
    gradients: new Map([...parameters].map(([name, { ids }]) => [name, Float64Array.from(ids, (id) => values[id]!)]))
  }
}

const dpo = (model: Llama.Llama): tf.Scalar => {
  const sums = tf.sum(Llama.tokenLogProbs(model, batch), 1)
  const gaps = tf.sub(tf.slice(sums, 0, PAIRS), tf.slice(sums, PAIRS, PAIRS))
  return tf.sum(tf.softplus(tf.mul(tf.sub(gaps, tf.tensor1d(referenceGaps)), -BETA)))
}

/** Within 1e-5 relative, over all parameters together. */
export const modelGradient = withoutLeak(
  Effect.scoped(
    Effect.gen(function* () {
      const model = yield* Llama.fromWeights(config, weights)
      const { gradients, loss } = expected()
      const names = [...model.parameters.keys()]
      const got = yield* Effect.acquireUseRelease(
        Effect.sync(() =>
          tf.tidy(() => {
            const { grads, value } = tf.variableGrads(() => dpo(model), [...model.parameters.values()])
            return [value, ...names.map((name) => grads[model.parameters.get(name)!.name]!)]
          })
        ),
        Effect.forEach(read, { concurrency: "unbounded" }),
        (tensors) => Effect.sync(() => tf.dispose(tensors))
      )
      assert.closeTo(got[0]![0]!, loss, 1e-5 * loss)
      const [all, right] = [got.slice(1), names.map((name) => gradients.get(name)!)].map((parts) =>
        parts.flatMap((part) => Array.from(part))
      )
      assert.isBelow(relativeError(all!, right!), 1e-5)
    })
  )
)

/** Greedy and drawn tokens carry the log-probabilities that the reference model gives them. */
export const decoding = withoutLeak(
  Effect.scoped(
    Effect.gen(function* () {
      const model = yield* Llama.fromWeights(config, weights)
      const rng = Rng.make(13, "conformance/decoding")
      const requests = [1, 5, 3].map((length, i) => ({
        prompt: Array.from({ length }, (_, t) => rng.int(10 * i + t, config.vocab_size)),
        rng: rng.fork(i)
      }))
      const results = yield* generate(model, requests, { maxTokens: 4, temperature: 1, stopTokens: [], batchSize: 2 })
      const parameters = Reference.widened(weights)
      for (const [i, { logProbs, tokens }] of results.entries()) {
        const { prompt } = requests[i]!
        const right = Reference.tokenLogProbs(config, parameters, [...prompt, ...tokens]).slice(prompt.length - 1)
        assert.strictEqual(tokens.length, 4)
        for (const [t, value] of right.entries()) assert.closeTo(logProbs[t]!, value, 2e-5, `request ${i}, token ${t}`)
      }
    })
  )
)

/** Tokens by inversion of the cumulative distribution, where the number drawn is not at an edge, and their log-probabilities. */
export const drawing = withoutLeak(
  Effect.gen(function* () {
    const rng = Rng.make(14, "conformance/drawing")
    for (const [rows, vocabulary] of [
      [1, 1],
      [7, 13],
      [40, 97]
    ] as const)
      for (const temperature of [0, 0.5, 1, 3]) {
        const logits = normals(`conformance/logits/${rows}`, rows * vocabulary, 2)
        if (rows === 7) logits.set([9, 9, 9], 4) // the likeliest, thrice
        const uniforms = Float64Array.from({ length: rows }, (_, row) => rng.uniform(row))
        const make = () => tf.tensor2d(logits, [rows, vocabulary])
        const { logProbs, tokens } = yield* drawTokens(make, { temperature }, uniforms)
        for (let row = 0; row < rows; row++) {
          const own = Array.from(logits.subarray(row * vocabulary, (row + 1) * vocabulary))
          const token = tokens[row]!
          assert.closeTo(logProbs[row]!, Reference.logSoftmax(own)[token]!, 1e-5)
          if (temperature === 0) assert.strictEqual(token, own.indexOf(Math.max(...own)))
          else {
            const shares = Reference.logSoftmax(own.map((logit) => logit / temperature)).map(Math.exp)
            const below = shares.slice(0, token).reduce((sum, share) => sum + share, 0)
            assert.isAbove(uniforms[row]!, below - 1e-6)
            assert.isBelow(uniforms[row]!, below + shares[token]! + 1e-6)
          }
        }
      }
  })
)

// The optimizer

const shapes = { matrix: [5, 7], vector: [11], "one.embed_tokens": [1, 1] } as const
const rate = 0.03
const options = { learningRate: constant(rate), beta2: 0.99, weightDecay: 0.2, maxGradientNorm: 2 }
const weight = 3
const STEPS = 4

const gradientsAt = (step: number) =>
  Object.entries(shapes).map(([name, shape]) => ({
    name,
    shape,
    values: normals(`conformance/${name}/${step}`, O.sizeOf(shape), 4 ** (step % 3))
  }))

/** Algorithm 2 of arXiv 1711.05101 with clipping, in float64. */
const adamW = () => {
  const parameters = new Map(gradientsAt(-1).map(({ name, values }) => [name, Float64Array.from(values)]))
  const moments = new Map([...parameters].map(([name, { length }]) => [name, new Float64Array(2 * length)]))
  for (let step = 1; step <= STEPS; step++) {
    const gradients = gradientsAt(step)
    const norm = Math.sqrt(
      gradients.reduce((sum, { values }) => values.reduce((s, g) => s + (g / weight) ** 2, sum), 0)
    )
    for (const { name, values } of gradients)
      for (const [i, value] of values.entries()) {
        const w = parameters.get(name)!
        const m = moments.get(name)!
        const g = (value / weight) * Math.min(1, options.maxGradientNorm / norm)
        const second = i + values.length
        m[i] = 0.9 * m[i]! + 0.1 * g
        m[second] = 0.99 * m[second]! + 0.01 * g * g
        const move = m[i]! / (1 - 0.9 ** step) / (Math.sqrt(m[second]! / (1 - 0.99 ** step)) + 1e-8)
        w[i]! -= rate * (move + (name === "matrix" ? options.weightDecay * w[i]! : 0))
      }
  }
  return { parameters, moments }
}

const scopedTensors = (made: () => ReadonlyArray<tf.Tensor>) =>
  Effect.acquireRelease(Effect.sync(made), (tensors) => Effect.sync(() => tf.dispose([...tensors])))

/** Parameters and moments after some clipped and decayed updates. */
export const optimizer = withoutLeak(
  Effect.scoped(
    Effect.gen(function* () {
      const initial = gradientsAt(-1)
      const variables = yield* scopedTensors(() =>
        tf.tidy(() => initial.map(({ shape, values }) => tf.variable(tf.tensor(values, [...shape]))))
      )
      const parameters = new Map(initial.map(({ name }, i) => [name, variables[i] as tf.Variable]))
      const made = yield* AdamW.make(parameters, options)
      for (let step = 1; step <= STEPS; step++) {
        const given = gradientsAt(step)
        const tensors = yield* scopedTensors(() => given.map(({ shape, values }) => tf.tensor(values, [...shape])))
        const { gradientNorm } = yield* made.update(new Map(given.map(({ name }, i) => [name, tensors[i]!])), weight)
        const norm = Math.sqrt(
          given.reduce((sum, { values }) => values.reduce((s, g) => s + (g / weight) ** 2, sum), 0)
        )
        assert.closeTo(gradientNorm / norm, 1, 1e-6)
      }
      const right = adamW()
      const { moments } = yield* made.state
      for (const [name, variable] of parameters) {
        assert.isBelow(relativeError(yield* read(variable), right.parameters.get(name)!), 1e-6, name)
        const { first, second } = moments.get(name)!
        const both = right.moments.get(name)!
        assert.isBelow(relativeError(first, both.subarray(0, first.length)), 1e-6, `${name}, first moment`)
        assert.isBelow(relativeError(second, both.subarray(first.length)), 1e-6, `${name}, second moment`)
      }
    })
  )
)

/** One update as composed of the library's operations, on devices that have a kernel for it too. */
export const composedUpdate = withoutLeak(
  Effect.scoped(
    Effect.gen(function* () {
      const count = 13
      const [w, m, g] = ["w", "m", "g"].map((name) => normals(`conformance/update/${name}`, count))
      const v = normals("conformance/update/v", count).map(Math.abs)
      const rule = { scale: 0.5, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, size: 0.02, correction: 1.7, keep: 0.99 }
      const [parameter, first, second, gradient] = (yield* scopedTensors(() => [
        ...[w!, m!, v].map((values) => tf.tidy(() => tf.variable(tf.tensor1d(values)))),
        tf.tensor1d(g!)
      ])) as [tf.Variable, tf.Variable, tf.Variable, tf.Tensor]
      AdamW.composedUpdate(parameter, { first, second }, gradient, rule)
      const right = Array.from(g!, (value, i) => {
        const scaled = value * rule.scale
        const mean = rule.beta1 * m![i]! + (1 - rule.beta1) * scaled
        const square = rule.beta2 * v[i]! + (1 - rule.beta2) * scaled * scaled
        const move = (rule.size * mean) / (Math.sqrt(square) * rule.correction + rule.epsilon)
        return { mean, square, moved: rule.keep * w![i]! - move }
      })
      const close = (got: ArrayLike<number>, of: keyof (typeof right)[number]) =>
        assert.isBelow(
          relativeError(
            got,
            right.map((one) => one[of])
          ),
          1e-6,
          of
        )
      close(yield* read(parameter), "moved")
      close(yield* read(first), "mean")
      close(yield* read(second), "square")
    })
  )
)

/** Sums of squares over long tensors do not lose what is small. */
export const sumOfSquares = withoutLeak(
  Effect.scoped(
    Effect.gen(function* () {
      for (const count of [1, 257, 70_000]) {
        const values = normals("conformance/squares", count)
        const tensors = yield* scopedTensors(() => [tf.tensor1d(values), tf.tensor1d(values.subarray(0, 1))])
        const right = Math.sqrt(values.reduce((sum, x) => sum + x * x, values[0]! ** 2))
        assert.closeTo((yield* AdamW.globalNorm(tensors)) / right, 1, 1e-6, `${count} values`)
      }
    })
  )
)

// The parity workload

/** Losses of the workload X before its first updates, as PyTorch gives them. */
const PYTORCH = [Math.LN2, 0.689037, 0.680538, 0.681909, 0.681943]

/** One step of the workload, and the loss before it. */
const parityStep = Effect.fnUntraced(function* (
  model: Llama.Llama,
  reference: Llama.Llama,
  optimizer: AdamW.AdamW,
  step: number
) {
  const { pairs } = Parity.X
  const tokens = Parity.batch(Parity.X, step)
  const frozen = yield* computed(() => tf.sum(Llama.tokenLogProbs(reference, tokens), 1))
  const { loss } = yield* Train.step(optimizer, [tokens], (tokens) => {
    const gain = tf.sub(tf.sum(Llama.tokenLogProbs(model, tokens), 1), tf.tensor1d(frozen))
    const margin = tf.sub(tf.slice(gain, 0, pairs), tf.slice(gain, pairs, pairs))
    return { loss: tf.sum(tf.softplus(tf.mul(margin, -0.1))), weight: pairs }
  })
  return loss
})

export const parity = withoutLeak(
  Effect.scoped(
    Effect.gen(function* () {
      const [model, reference] = yield* Effect.all(
        [0, 1].map(() => Llama.fromWeights(Parity.config(Parity.X), Parity.weights(Parity.X)))
      )
      const optimizer = yield* AdamW.make(model!.parameters, { learningRate: constant(1e-3) })
      for (const [step, right] of PYTORCH.entries())
        assert.closeTo(yield* parityStep(model!, reference!, optimizer, step), right, 1e-5, `step ${step}`)
    })
  )
)
