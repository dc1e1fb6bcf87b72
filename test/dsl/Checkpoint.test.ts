import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Checkpoint, CheckpointInvalid, type FileName, fromFiles, toFiles } from "../../dsl/Checkpoint.ts"

const concat = (chunks: Iterable<Uint8Array>) => new Uint8Array(Buffer.concat([...chunks]))
const utf8 = (text: string) => new TextEncoder().encode(text)
const folder = (checkpoint: Checkpoint) =>
  new Map<string, Uint8Array>(toFiles(checkpoint).map(({ bytes, name }) => [name, concat(bytes)]))

const weights = new Map([
  ["model.embed_tokens.weight", { shape: [2, 2], data: Float32Array.of(1, -0, Number.POSITIVE_INFINITY, 1e-45) }],
  ["lm_head.weight", { shape: [1], data: Float32Array.of(0.1) }]
])
const checkpoint: Checkpoint = {
  config: { vocab_size: 2, architectures: ["LlamaForCausalLM"], rope_scaling: null, nothing: {}, none: [] },
  weights,
  tokenizer: { model: { vocab: { b: 1, "10": 2, "9": 3, a: 0 } }, version: "1.0" }
}
const withConfig: Checkpoint = { ...checkpoint, tokenizerConfig: { eos_token: "<|eos|>" }, trainerState: { step: 400 } }

const refused = (file: FileName, bytes: Uint8Array | undefined) => {
  const files = folder(withConfig)
  if (bytes === undefined) files.delete(file)
  else files.set(file, bytes)
  return Effect.flip(fromFiles(files))
}

describe("Checkpoint", () => {
  it.effect("files give the checkpoint back", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* fromFiles(folder(withConfig)), withConfig)
      assert.deepStrictEqual(yield* fromFiles(folder(checkpoint)), checkpoint)
    })
  )

  it("writes JSON with sorted keys, two spaces and a final line feed", () => {
    const text = new TextDecoder().decode(folder(checkpoint).get("config.json"))
    assert.strictEqual(
      text,
      `{
  "architectures": [
    "LlamaForCausalLM"
  ],
  "none": [],
  "nothing": {},
  "rope_scaling": null,
  "vocab_size": 2
}
`
    )
    const tokenizer = new TextDecoder().decode(folder(checkpoint).get("tokenizer.json"))
    assert.deepStrictEqual(tokenizer.match(/"(\w+)": \d/g), ['"10": 2', '"9": 3', '"a": 0', '"b": 1'])
  })

  it("lists files by name, and the optional ones only where there is one", () => {
    assert.deepStrictEqual(
      toFiles(withConfig).map(({ name }) => name),
      ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "trainer_state.json"]
    )
    assert.deepStrictEqual([...folder(checkpoint).keys()], ["config.json", "model.safetensors", "tokenizer.json"])
  })

  it("marks the weights as transformers asks", () => {
    const header = new TextDecoder().decode(folder(checkpoint).get("model.safetensors")).slice(8, 60)
    assert.isTrue(header.startsWith('{"__metadata__":{"format":"pt"},"lm_head.weight":'), header)
  })

  it("gives the same bytes whatever the order of keys and tensors", () => {
    const reversed = (object: Schema.JsonObject): Schema.JsonObject =>
      Object.fromEntries(Object.entries(object).reverse())
    const other = { ...checkpoint, config: reversed(checkpoint.config), weights: new Map([...weights].reverse()) }
    assert.deepStrictEqual(folder(other), folder(checkpoint))
  })

  it.effect.prop("any JSON object survives", [Schema.JsonObject], ([config]) =>
    isWritable(config)
      ? Effect.map(fromFiles(folder({ ...checkpoint, config })), (read) => assert.deepStrictEqual(read.config, config))
      : Effect.sync(() => assert.throws(() => toFiles({ ...checkpoint, config }), RangeError))
  )

  it.effect("keeps a key named __proto__ as a key", () =>
    Effect.gen(function* () {
      const config: Schema.JsonObject = JSON.parse('{"__proto__":{"polluted":true},"-0":-0}')
      const read = yield* fromFiles(folder({ ...checkpoint, config }))
      assert.deepStrictEqual(Object.entries(read.config), [
        ["-0", -0],
        ["__proto__", { polluted: true }]
      ])
      assert.notProperty({}, "polluted")
    })
  )

  it("throws for what JSON cannot hold instead of writing something else", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, "\ud800"])
      assert.throws(() => toFiles({ ...checkpoint, config: { deep: [value] } }), RangeError)
  })

  it.effect("ignores files of other names", () =>
    Effect.gen(function* () {
      const files = folder(checkpoint).set("README.md", utf8("# model")).set("generation_config.json", utf8("{"))
      assert.deepStrictEqual(yield* fromFiles(files), checkpoint)
    })
  )

  it.effect("names a missing file", () =>
    Effect.gen(function* () {
      for (const file of ["config.json", "model.safetensors", "tokenizer.json"] as const) {
        const error = yield* refused(file, undefined)
        assert.instanceOf(error, CheckpointInvalid)
        assert.strictEqual(error.problem, "missing")
        assert.strictEqual(error.message, `checkpoint, ${file}: missing`)
      }
      const sharded = folder(checkpoint)
      sharded.delete("model.safetensors")
      sharded.set("model.safetensors.index.json", utf8("{}"))
      assert.include((yield* Effect.flip(fromFiles(sharded))).message, "weight_map")
      for (const file of ["../a.safetensors", "a.bin"]) {
        sharded.set("model.safetensors.index.json", utf8(JSON.stringify({ weight_map: { a: file } })))
        assert.include((yield* Effect.flip(fromFiles(sharded))).message, "is no name of a safetensors file")
      }
      sharded.set("model.safetensors.index.json", utf8(JSON.stringify({ weight_map: { a: "a.safetensors" } })))
      assert.include((yield* Effect.flip(fromFiles(sharded))).message, "a.safetensors: missing")
    })
  )

  it.effect("gives the position of malformed JSON", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [string, number, number, string]> = [
        ["", 1, 1, "expected a value, got the end of the text"],
        ['{\n  "a": 1,\n  "b" 2\n}', 3, 7, "expected ':'"],
        ['{"a": tru}', 1, 7, "expected a value"],
        ['{"a": 01}', 1, 8, "expected ',' or '}'"],
        ['{"a": [1 2]}', 1, 10, "expected ',' or ']'"],
        ['{"a": 1,}', 1, 9, "expected a key in double quotes"],
        ['{"a": "b', 1, 7, "a string without an end"],
        ['{"a": "\\x"}', 1, 7, "a string with a malformed escape"],
        ['{"a": "\n"}', 1, 8, "a control character in a string"],
        ['{"a": 1e400}', 1, 7, "a number out of range"],
        ['{"a": 1, "a": 2}', 1, 10, 'the key "a" stands twice'],
        ["{} {}", 1, 4, "expected the end of the text"],
        [`{"a": ${"[".repeat(100_000)}`, 1, 135, "nested deeper than 128"]
      ]
      for (const [text, line, column, detail] of cases) {
        const error = yield* refused("config.json", utf8(text))
        assert.strictEqual(error.problem, "json", text)
        assert.deepStrictEqual({ ...error.position, detail: error.detail }, { line, column, detail }, text.slice(0, 80))
      }
      const error = yield* refused("tokenizer.json", utf8("{"))
      assert.strictEqual(
        error.message,
        "checkpoint, tokenizer.json:1:2: expected a key in double quotes, got the end of the text"
      )
    })
  )

  it.effect("refuses JSON that is no object, and bytes that are no text", () =>
    Effect.gen(function* () {
      for (const text of ["[]", "null", "1", '"{}"']) {
        const error = yield* refused("tokenizer_config.json", utf8(text))
        assert.deepStrictEqual(
          [error.file, error.problem, error.position],
          ["tokenizer_config.json", "json", undefined]
        )
      }
      assert.strictEqual((yield* refused("config.json", Uint8Array.of(0x7b, 0xff, 0x7d))).problem, "utf-8")
    })
  )

  it.effect("carries the fault of the weights", () =>
    Effect.gen(function* () {
      const whole = folder(checkpoint).get("model.safetensors")!
      const error = yield* refused("model.safetensors", whole.subarray(0, whole.length - 1))
      assert.strictEqual(error.problem, "weights")
      assert.strictEqual(error.cause?._tag, "SafetensorsInvalid")
      assert.strictEqual(error.cause?.problem, "truncated")
      assert.include(error.message, error.cause!.message)
    })
  )
})

const isWritable = (value: Schema.Json): boolean => {
  if (typeof value === "string") return value.isWellFormed()
  if (typeof value !== "object" || value === null) return true
  return Object.entries(value).every(([key, item]) => key.isWellFormed() && isWritable(item as Schema.Json))
}
