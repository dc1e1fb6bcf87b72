import { assert, describe, it, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Exit, Schema } from "effect"
import * as Rng from "../../../dsl/Rng.ts"
import { Device, withoutLeak } from "../../../runtime/device/Device.ts"
import * as Batch from "../../../runtime/models/Batch.ts"
import * as Llama from "../../../runtime/models/Llama.ts"
import { scoreCompletions } from "../../../runtime/models/score.ts"
import { normals, relativeError, values } from "../tensor/closeness.ts"
import * as Reference from "./reference.ts"

const config = (over: Partial<Llama.LlamaConfig> = {}) =>
  Llama.LlamaConfig.make({
    vocab_size: 11,
    hidden_size: 12,
    intermediate_size: 14,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 6,
    max_position_embeddings: 32,
    tie_word_embeddings: true,
    ...over
  })

/** Weights large enough that every part of the model matters, norms off one. */
const weights = (of: Llama.LlamaConfig): Llama.Weights =>
  new Map(
    [...Llama.shapes(of)].map(([name, shape]) => {
      const data = normals(
        name,
        shape.reduce((product, length) => product * length, 1),
        0.3
      )
      return [name, { shape, data: shape.length === 1 ? data.map((value) => 1 + value) : data }]
    })
  )

const rows: ReadonlyArray<Batch.Row> = [
  { prompt: [1, 4], completion: [7, 3, 3, 9, 2] },
  { prompt: [1], completion: [10] },
  { prompt: [1, 5, 6, 8, 0, 3, 2, 9, 9], completion: [4, 4, 2] },
  { prompt: [1, 2, 3], completion: [] }
]

const whole = ({ completion, prompt }: Batch.Row) => [...prompt, ...completion]

const variants = {
  "tied, grouped": config(),
  "untied, one group": config({ tie_word_embeddings: false, num_key_value_heads: 4 })
}

for (const kind of ["wasm", "cpu"] as const)
  layer(Device.layer(kind))(`Llama on ${kind}`, (it) => {
    for (const [name, of] of Object.entries(variants)) {
      it.effect(`logits equal the float64 reference (${name})`, () =>
        withoutLeak(
          Effect.scoped(
            Effect.gen(function* () {
              const model = yield* Llama.fromWeights(of, weights(of))
              const batch = Batch.make(rows)
              const tensor = Llama.logits(model, batch)
              const got = values(tensor)
              assert.deepStrictEqual(tensor.shape, [rows.length, 16, 11])
              tensor.dispose()
              rows.forEach((row, b) => {
                const expected = Reference.logits(of, Reference.widened(weights(of)), whole(row))
                const from = b * batch.columns * 11
                assert.isBelow(relativeError(got.subarray(from, from + 11 * expected.length), expected.flat()), 1e-6)
                assert.isTrue(
                  got.subarray(from + 11 * expected.length, from + 11 * batch.columns).every((x) => x === 0)
                )
              })
            })
          )
        )
      )

      it.effect(`the gradient of every parameter equals float64 differences (${name})`, () =>
        withoutLeak(
          Effect.scoped(
            Effect.gen(function* () {
              const model = yield* Llama.fromWeights(of, weights(of))
              const gradients = gradientsOf(model)
              const parameters = Reference.widened(weights(of))
              for (const [name, gradient] of gradients) {
                const chosen = Array.from({ length: Math.min(gradient.length, 12) }, (_, i) =>
                  Rng.make(3, name).int(i, gradient.length)
                )
                const expected = chosen.map((at) => difference(of, parameters, name, at))
                assert.isBelow(
                  relativeError(
                    chosen.map((at) => gradient[at]!),
                    expected
                  ),
                  2e-5,
                  name
                )
              }
            })
          )
        )
      )
    }

    it.effect(
      "neither padding, nor the order of rows, nor company changes a token's log-probability, bit for bit",
      () =>
        Effect.scoped(
          Effect.gen(function* () {
            const model = yield* Llama.fromWeights(config(), weights(config()))
            const alone = rows.map((row) => read(model, [row], 1)[0]!)
            assert.deepStrictEqual(read(model, rows, 8), alone)
            assert.deepStrictEqual(read(model, rows, 31), alone)
            assert.deepStrictEqual(read(model, [...rows].reverse(), 8).reverse(), alone)
          })
        )
    )

    it.effect("scoreCompletions equals the reference in the order of the rows, at any batch size", () =>
      withoutLeak(
        Effect.scoped(
          Effect.gen(function* () {
            const model = yield* Llama.fromWeights(config(), weights(config()))
            const parameters = Reference.widened(weights(config()))
            const one = yield* scoreCompletions(model, rows, { batchSize: 1 })
            for (const batchSize of [2, 3, 64])
              assert.deepStrictEqual(yield* scoreCompletions(model, rows, { batchSize }), one)
            rows.forEach((row, i) => {
              const expected = Reference.tokenLogProbs(config(), parameters, whole(row)).slice(row.prompt.length - 1)
              assert.strictEqual(one[i]!.length, row.completion.length)
              for (const [t, value] of expected.entries()) assert.closeTo(one[i]![t]!, value, 2e-6)
            })
          })
        )
      )
    )

    it.effect("toWeights reads back what fromWeights was given, and the scope's end frees the device", () =>
      withoutLeak(
        Effect.scoped(
          Effect.gen(function* () {
            const given = weights(config())
            const model = yield* Llama.fromWeights(config(), given)
            assert.deepStrictEqual(
              [...(yield* Llama.toWeights(model))],
              [...given].map(([name, { data, shape }]) => [name, { shape: [...shape], data }])
            )
          })
        )
      )
    )
  })

it.effect("the gradient of the whole model is the same on wasm and on cpu", () =>
  Effect.gen(function* () {
    const of = Llama.LlamaConfig.make({
      vocab_size: 64,
      hidden_size: 32,
      intermediate_size: 48,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      max_position_embeddings: 32,
      tie_word_embeddings: true
    })
    const on = (kind: "wasm" | "cpu") =>
      Llama.fromWeights(of, Llama.initialize(of, Rng.make(1, "weights"))).pipe(
        Effect.map(gradientsOf),
        Effect.scoped,
        Effect.provide(Device.layer(kind))
      )
    const [wasm, cpu] = [yield* on("wasm"), yield* on("cpu")]
    for (const [name, gradient] of cpu) assert.isBelow(relativeError(wasm.get(name)!, gradient), 1e-5, name)
  })
)

describe("LlamaConfig", () => {
  const json = { ...config(), head_dim: null, hidden_size: 8, transformers_version: "4.40.0" }
  const message = (change: object) => {
    const exit = Schema.decodeUnknownExit(Llama.LlamaConfig)({ ...json, ...change })
    assert.isTrue(Exit.isFailure(exit))
    return String(exit)
  }

  it("takes a config.json with fields of no concern, and fills defaults", () => {
    const { rms_norm_eps: _, rope_theta: __, ...bare } = json
    const decoded = Schema.decodeUnknownSync(Llama.LlamaConfig)(bare)
    assert.strictEqual(decoded.rope_theta, 10000)
    assert.strictEqual(decoded.rms_norm_eps, 1e-6)
    assert.deepStrictEqual(decoded.architectures, ["LlamaForCausalLM"])
    assert.notProperty(decoded, "transformers_version")
  })

  it.effect("takes the rotary base from where transformers 5 writes it, and refuses what is scaled there too", () =>
    Effect.gen(function* () {
      const { rope_theta: _, ...rest } = json
      const saved = { ...rest, rope_parameters: { rope_theta: 500000, rope_type: "default" } }
      const decoded = yield* Llama.decode(saved)
      const { heads } = yield* Llama.fromWeights(decoded, weights(decoded))
      assert.strictEqual(heads.ropeTheta, 500000)
      assert.include(message({ rope_parameters: { rope_theta: 500000, rope_type: "llama3", factor: 8 } }), "rope_type")
    }).pipe(Effect.scoped, Effect.provide(Device.layer("cpu")))
  )

  it("refuses sizes that do not divide, and switches that it does not have", () => {
    assert.include(
      message({ num_key_value_heads: 3 }),
      "num_attention_heads (4) must be a multiple of num_key_value_heads (3)"
    )
    assert.include(message({ hidden_size: 10 }), "hidden_size (10) must be a multiple of num_attention_heads (4)")
    assert.include(message({ hidden_size: 12 }), "width of a head (3) must be even")
    assert.include(message({ vocab_size: 0 }), "vocab_size")
    assert.include(message({ hidden_act: "gelu" }), "hidden_act")
    assert.include(message({ rope_scaling: { type: "linear", factor: 2 } }), "rope_scaling")
    assert.include(message({ attention_bias: true }), "attention_bias")
  })
})

describe("weights", () => {
  const given = weights(config())
  const invalid = (change: (weights: Map<string, Llama.Weight>) => void) =>
    Effect.gen(function* () {
      const changed = new Map(given)
      change(changed)
      return yield* Effect.flip(Llama.validate(config(), changed))
    })
  const name = "model.layers.1.mlp.up_proj.weight"

  it.effect("missing, misshapen, unexpected and non-finite tensors are named", () =>
    Effect.gen(function* () {
      yield* Llama.validate(config(), given)
      const missing = yield* invalid((w) => w.delete(name))
      assert.strictEqual(missing.message, `model tensor ${name} is missing (expected [14,12], got [nothing])`)
      const misshapen = yield* invalid((w) => w.set(name, { ...w.get(name)!, shape: [12, 14] }))
      assert.deepStrictEqual([misshapen.tensor, misshapen.expected, misshapen.actual], [name, [14, 12], [12, 14]])
      const spoiled = given.get(name)!.data.with(5, Number.NaN)
      const nan = yield* invalid((w) => w.set(name, { ...w.get(name)!, data: spoiled }))
      assert.include(nan.message, `${name} holds NaN at index 5`)
      const extra = yield* invalid((w) => w.set("model.bias", { shape: [1], data: new Float32Array(1) }))
      assert.strictEqual(extra.tensor, "model.bias")
    })
  )

  it("initialize draws by name: deviation 0.02, norms one, the same whatever the other layers", () => {
    const rng = Rng.make(5, "weights")
    const two = Llama.initialize(config({ hidden_size: 48, vocab_size: 500 }), rng)
    const three = Llama.initialize(config({ hidden_size: 48, vocab_size: 500, num_hidden_layers: 3 }), rng)
    for (const [name, weight] of two) assert.deepStrictEqual(three.get(name), weight)
    const { data } = two.get("model.embed_tokens.weight")!
    assert.closeTo(Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length), 0.02, 3e-4)
    assert.isTrue(two.get("model.norm.weight")!.data.every((x) => x === 1))
    assert.strictEqual(
      Llama.parameterCount(config()),
      [...given.values()].reduce((sum, { data }) => sum + data.length, 0)
    )
  })
})

describe("Batch", () => {
  it("masks completions only and rounds the width up", () => {
    const batch = Batch.make([
      { prompt: [1, 4], completion: [7, 2] },
      { prompt: [1], completion: [] }
    ])
    assert.deepStrictEqual([batch.rows, batch.columns, [...batch.lengths]], [2, 8, [4, 1]])
    assert.deepStrictEqual([...batch.tokens], [1, 4, 7, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    assert.deepStrictEqual([...batch.mask], [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  })

  it.effect("an empty prompt, too many tokens and an unknown token are refused by row", () =>
    Effect.gen(function* () {
      const limits = { vocab_size: 11, max_position_embeddings: 4 }
      const reason = (row: Batch.Row) =>
        Effect.map(
          Effect.flip(Batch.validate([{ prompt: [1], completion: [] }, row], limits)),
          (error) => error.message
        )
      assert.include(yield* reason({ prompt: [], completion: [3] }), "row 1 has an empty prompt")
      assert.include(yield* reason({ prompt: [1, 2, 3], completion: [4, 5] }), "row 1 has 5 tokens; the model takes 4")
      assert.include(yield* reason({ prompt: [1], completion: [11] }), "row 1 has token 11; the vocabulary ends at 10")
    })
  )
})

/** Masked log-probabilities by row, without the padding. */
const read = (model: Llama.Llama, rows: ReadonlyArray<Batch.Row>, multiple: number) => {
  const batch = Batch.make(rows, { multiple })
  const tensor = Llama.tokenLogProbs(model, batch)
  const all = values(tensor)
  tensor.dispose()
  return rows.map((row, b) => {
    const from = b * (batch.columns - 1)
    return all.slice(from, from + whole(row).length - 1)
  })
}

/** A smooth function of the log-probabilities that tells the tokens apart. */
const slope = (t: number) => Math.cos(t + 1)

const gradientsOf = (model: Llama.Llama): ReadonlyMap<string, Float32Array> => {
  const batch = Batch.make(rows)
  const grid = tf.tensor2d(
    Array.from({ length: batch.rows * (batch.columns - 1) }, (_, i) => slope(i % (batch.columns - 1))),
    [batch.rows, batch.columns - 1]
  )
  const { grads, value } = tf.variableGrads(
    () => tf.sum(tf.mul(Llama.tokenLogProbs(model, batch), grid)),
    [...model.parameters.values()]
  )
  const read = new Map([...model.parameters].map(([name, { name: id }]) => [name, values(grads[id]!)]))
  tf.dispose([grads, value, grid])
  return read
}

const lossOf = (of: Llama.LlamaConfig, parameters: Reference.Parameters) =>
  rows.reduce((sum, row) => {
    const scores = Reference.tokenLogProbs(of, parameters, whole(row))
    return sum + scores.reduce((all, score, t) => (t >= row.prompt.length - 1 ? all + slope(t) * score : all), 0)
  }, 0)

const difference = (of: Llama.LlamaConfig, parameters: Map<string, Float64Array>, name: string, at: number) => {
  const values = parameters.get(name)!
  const held = values[at]!
  values[at] = held + 1e-5
  const above = lossOf(of, parameters)
  values[at] = held - 1e-5
  const below = lossOf(of, parameters)
  values[at] = held
  return (above - below) / 2e-5
}
