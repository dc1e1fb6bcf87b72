import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option, Stream } from "effect"
import * as Rng from "../../dsl/Rng.ts"
import { decode, decodeStream, encode, type Problem, SafetensorsInvalid, type Tensors } from "../../dsl/Safetensors.ts"

const concat = (chunks: Iterable<Uint8Array>) => new Uint8Array(Buffer.concat([...chunks]))
const utf8 = (text: string) => new TextEncoder().encode(text)
const bitsOf = (data: Float32Array) => new Uint32Array(data.buffer, data.byteOffset, data.length)

/** A file of any header and data; the header's stated length may lie. */
const file = (header: unknown, data: Uint8Array | number = 0, stated?: bigint) => {
  const text =
    header instanceof Uint8Array ? header : utf8(typeof header === "string" ? header : JSON.stringify(header))
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, stated ?? BigInt(text.length), true)
  return concat([length, text, typeof data === "number" ? new Uint8Array(data) : data])
}

const f32 = (shape: ReadonlyArray<number>, begin: number, end: number) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end]
})

/** Bits of every kind: any word at all, which includes NaNs with payloads, and the corners of the format. */
const CORNERS = [0, 0x80000000, 1, 0x80000001, 0x007fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f812345, 0xffffffff]
const generate = (rng: Rng.Rng): Tensors => {
  const tensors = new Map<string, { shape: Array<number>; data: Float32Array }>()
  const names = ["", "a", "model.layers.0.weight", "__proto__", "10", "9", "é🙂", 'q"\\\n', "constructor"]
  for (const [i, name] of names.entries()) {
    if (rng.int(i, 3) === 0) continue
    const draws = rng.fork(i)
    const shape = Array.from({ length: draws.int(0, 4) }, (_, axis) => draws.int(axis + 1, 5))
    const bits = Uint32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, at) => {
      const [word, choice] = draws.words(at + 10)
      return choice % 3 === 0 ? CORNERS[word % CORNERS.length]! : word
    })
    tensors.set(name, { shape, data: new Float32Array(bits.buffer) })
  }
  return tensors
}

const assertSame = (actual: Tensors, expected: Tensors) => {
  assert.deepStrictEqual([...actual.keys()].sort(), [...expected.keys()].sort())
  for (const [name, { data, shape }] of expected) {
    assert.deepStrictEqual(actual.get(name)!.shape, shape)
    assert.deepStrictEqual(bitsOf(actual.get(name)!.data), bitsOf(data))
  }
}

/** The same file cut at random places, each chunk in a buffer that is overwritten once the next one is asked for. */
const inChunks = (bytes: Uint8Array, rng: Rng.Rng) =>
  Stream.fromIterable(
    (function* () {
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const chunk = bytes.slice(at, at + rng.int(i, 20))
        yield chunk
        at += chunk.length
        chunk.fill(0xaa)
      }
    })(),
    { chunkSize: 1 }
  )

/** The problem of a refusal, `undefined` for tensors; a defect is thrown. */
const problemOf = (exit: Exit.Exit<Tensors, SafetensorsInvalid>): Problem | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isNone(error)) throw Cause.squash(exit.cause)
  assert.instanceOf(error.value, SafetensorsInvalid)
  assert.match(error.value.message, /^safetensors, .+: .+/)
  return error.value.problem
}

describe("encode", () => {
  it("gives the bytes of the reference implementation", () => {
    const data = Float32Array.of(0, 1, 2, 3, 4, 5)
    const values = [...new Uint8Array(data.buffer)]
    // test_serialization, test_serialization_forced_alignement and test_empty of safetensors/src/tensor.rs
    const header = '{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}'
    const expected = [64, 0, 0, 0, 0, 0, 0, 0, ...utf8(header), ...values]
    assert.deepStrictEqual([...concat(encode(new Map([["attn.0", { shape: [1, 2, 3], data }]])))], expected)
    const padded = '{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       '
    const expectedPadded = [72, 0, 0, 0, 0, 0, 0, 0, ...utf8(padded), ...values]
    assert.deepStrictEqual([...concat(encode(new Map([["attn0", { shape: [1, 1, 2, 3], data }]])))], expectedPadded)
    assert.deepStrictEqual([...concat(encode(new Map()))], [8, 0, 0, 0, 0, 0, 0, 0, ...utf8("{}      ")])
    const marked = [40, 0, 0, 0, 0, 0, 0, 0, ...utf8('{"__metadata__":{"framework":"pt"}}     ')]
    assert.deepStrictEqual([...concat(encode(new Map(), { framework: "pt" }))], marked)
  })

  it("depends on the tensors, not on the order in which they and the metadata were added", () => {
    const tensors = generate(Rng.make(1, "order"))
    const bytes = concat(encode(tensors, { a: "1", b: "2" }))
    assert.deepStrictEqual(concat(encode(new Map([...tensors].reverse()), { b: "2", a: "1" })), bytes)
  })

  it("streams one chunk per tensor without copying it, and can be walked again", () => {
    const data = Float32Array.of(1, 2)
    const chunks = encode(
      new Map([
        ["a", { shape: [2], data }],
        ["b", { shape: [0], data: new Float32Array(0) }]
      ])
    )
    const [, values, ...rest] = [...chunks]
    assert.strictEqual(values!.buffer, data.buffer)
    assert.isEmpty(rest)
    assert.deepStrictEqual(concat(chunks), concat(chunks))
  })

  it("refuses at the call what the format cannot hold", () => {
    const data = new Float32Array(3)
    const refused = (name: string, shape: ReadonlyArray<number>, problem: Problem) => {
      try {
        encode(new Map([[name, { shape, data }]]))
      } catch (error) {
        assert.instanceOf(error, SafetensorsInvalid)
        return assert.strictEqual(error.problem, problem)
      }
      assert.fail(`${name} [${shape}] was accepted`)
    }
    refused("a", [2], "size")
    refused("a", [], "size")
    refused("a", [-3], "shape")
    refused("a", [1.5, 2], "shape")
    refused("__metadata__", [3], "name")
    refused("\ud800", [3], "name")
    assert.throws(() => encode(new Map(), { a: "\udc00" }), SafetensorsInvalid)
  })
})

describe("decode", () => {
  it.effect("gives back the bits that were encoded, whole or in chunks", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 100; i++) {
        const rng = Rng.make(i, "round trip")
        const tensors = generate(rng)
        const bytes = concat(encode(tensors, { format: "pt" }))
        assertSame(yield* decode(bytes), tensors)
        assertSame(yield* decodeStream(inChunks(bytes, rng.fork("chunks"))), tensors)
      }
    })
  )

  it.effect("copies: the tensors outlive the bytes, and a view at an odd offset is read alike", () =>
    Effect.gen(function* () {
      const bytes = file({ a: f32([1], 0, 4) }, new Uint8Array(Float32Array.of(7).buffer))
      const shifted = new Uint8Array(bytes.length + 3)
      shifted.set(bytes, 3)
      const tensors = yield* decode(shifted.subarray(3))
      shifted.fill(0)
      assert.deepStrictEqual([...tensors.get("a")!.data], [7])
    })
  )

  it.effect("reads every half-precision and bfloat16 value exactly", () =>
    Effect.gen(function* () {
      const all = Uint16Array.from({ length: 65536 }, (_, i) => i)
      const header = (dtype: string) => ({ x: { dtype, shape: [65536], data_offsets: [0, 131072] } })
      const read = (dtype: string) => decode(file(header(dtype), new Uint8Array(all.buffer)))
      const halves = (yield* read("F16")).get("x")!.data
      const brains = (yield* read("BF16")).get("x")!.data
      const view = new DataView(new ArrayBuffer(4))
      for (let bits = 0; bits < 65536; bits++) {
        const sign = bits & 0x8000 ? -1 : 1
        const exponent = (bits >> 10) & 31
        const fraction = bits & 1023
        const finite = exponent === 0 ? 2 ** -24 * fraction : 2 ** (exponent - 15) * (1 + fraction / 1024)
        const half = sign * (exponent < 31 ? finite : fraction === 0 ? Infinity : Number.NaN)
        if (!Object.is(halves[bits], half)) assert.fail(`F16 ${bits.toString(16)}: ${halves[bits]}, not ${half}`)
        view.setUint16(0, bits)
        if (!Object.is(brains[bits], view.getFloat32(0))) assert.fail(`BF16 ${bits.toString(16)}: ${brains[bits]}`)
      }
      assert.strictEqual(bitsOf(halves)[0x7c01]! & 0x7fffff, 1 << 13) // the payload of a NaN
    })
  )

  it.effect("accepts all that the format allows", () =>
    Effect.gen(function* () {
      const data = new Uint8Array(Float32Array.of(1, 2, 3).buffer)
      const unsortedKeys = { b: f32([2], 4, 12), none: f32([3, 0], 4, 4), a: f32([], 0, 4), __metadata__: { k: "v" } }
      const tensors = yield* decode(file(`${JSON.stringify(unsortedKeys)} \r\n\t`, data))
      assert.deepStrictEqual([...tensors.keys()], ["a", "none", "b"])
      assert.deepStrictEqual(tensors.get("a"), { shape: [], data: Float32Array.of(1) })
      assert.deepStrictEqual(tensors.get("none"), { shape: [3, 0], data: new Float32Array(0) })
      assert.deepStrictEqual(tensors.get("b"), { shape: [2], data: Float32Array.of(2, 3) })
      assert.strictEqual((yield* decode(file("{}"))).size, 0)
    })
  )

  const member = (text: string) => `{"a":${text}}`
  const hostile: ReadonlyArray<readonly [string, Uint8Array, Problem]> = [
    ["nothing", new Uint8Array(0), "truncated"],
    ["half a length", new Uint8Array(4), "truncated"],
    ["header of no bytes", file(""), "header-size"],
    ["header of one byte", file("{"), "header-size"],
    ["header longer than the file", file("{}", 0, 3n), "truncated"],
    ["header over the cap", file("{}", 0, 100_000_001n), "header-size"],
    ["header of 2^64 - 1 bytes", file("{}", 0, 2n ** 64n - 1n), "header-size"],
    ["header cut short", file(member('{"dtype":"F32"')), "header"],
    ["not UTF-8", file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), "header"],
    ["byte order mark", file("\ufeff{}"), "header"],
    ["leading space", file(" {}"), "header"],
    ["an array", file("[]"), "header"],
    ["text after the header", file("{}x"), "header"],
    ["nested too deep", file(`{"a":${"[".repeat(50_000)}`), "header"],
    [
      "the same tensor twice",
      file(`{"a":${JSON.stringify(f32([0], 0, 0))},"a":${JSON.stringify(f32([0], 0, 0))}}`),
      "header"
    ],
    ["the same key, escaped", file(`{"a":1,"\\u0061":1}`), "header"],
    ["the same field twice", file(member('{"dtype":"F32","shape":[1],"shape":[0],"data_offsets":[0,0]}')), "header"],
    ["a name that is no text", file(`{"\\ud800":${JSON.stringify(f32([0], 0, 0))}}`), "header"],
    ["an infinite number", file(member('{"dtype":"F32","shape":[1e999],"data_offsets":[0,0]}')), "header"],
    ["a member that is no object", file(member("null")), "entry"],
    ["no dtype", file(member('{"shape":[],"data_offsets":[0,4]}'), 4), "entry"],
    ["a numeric dtype", file({ a: { ...f32([1], 0, 4), dtype: 5 } }, 4), "entry"],
    ["a negative dimension", file({ a: f32([-1], 0, 4) }, 4), "entry"],
    ["half a dimension", file({ a: f32([0.5], 0, 4) }, 4), "entry"],
    ["three offsets", file({ a: { ...f32([1], 0, 4), data_offsets: [0, 4, 4] } }, 4), "entry"],
    ["negative offsets", file({ a: f32([1], -4, 0) }, 4), "entry"],
    ["offsets beyond exact integers", file({ a: f32([1], 0, 2 ** 60) }, 4), "entry"],
    ["metadata of numbers", file({ __metadata__: { a: 1 } }), "entry"],
    ["metadata of a tensor's form", file({ __metadata__: f32([1], 0, 4) }, 4), "entry"],
    ["prototype as a tensor", file('{"__proto__":{"dtype":"F32"}}'), "entry"],
    ["dtype from Object's prototype", file({ a: { ...f32([1], 0, 4), dtype: "constructor" } }, 4), "dtype"],
    ["dtype of the format, not read", file({ a: { dtype: "I64", shape: [1], data_offsets: [0, 8] } }, 8), "dtype"],
    ["a dimension too large", file({ a: f32([2 ** 31], 0, 2 ** 33) }, 4), "shape"],
    ["an overflowing product", file({ a: f32([2 ** 30, 2 ** 30, 2 ** 30], 0, 0) }), "shape"],
    ["an overflowing product, then zero", file({ a: f32([2 ** 30, 2 ** 30, 0], 0, 0) }), "shape"],
    ["offsets smaller than the shape", file({ a: f32([2], 0, 4) }, 4), "size"],
    ["offsets larger than the shape", file({ a: f32([1], 0, 8) }, 8), "size"],
    ["offsets in reverse", file({ a: f32([1], 4, 0) }, 4), "size"],
    ["offsets of another dtype", file({ a: { ...f32([2], 0, 8), dtype: "BF16" } }, 8), "size"],
    ["a hole at the start", file({ a: f32([1], 4, 8) }, 8), "layout"],
    ["a hole between", file({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12), "layout"],
    ["the same bytes twice", file({ a: f32([1], 0, 4), b: f32([1], 0, 4) }, 4), "layout"],
    ["an overlap", file({ a: f32([2], 0, 8), b: f32([2], 4, 12) }, 12), "layout"],
    ["data cut short", file({ a: f32([2], 0, 8) }, 7), "truncated"],
    ["no data", file({ a: f32([2], 0, 8) }), "truncated"],
    ["trailing bytes", file({ a: f32([1], 0, 4) }, 5), "trailing"],
    ["trailing bytes after nothing", file("{}", 1), "trailing"]
  ]
  for (const [name, bytes, problem] of hostile) {
    it.effect(`refuses ${name}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(problemOf(yield* Effect.exit(decode(bytes))), problem)
        assert.strictEqual(problemOf(yield* Effect.exit(decodeStream(Stream.make(bytes)))), problem)
        const inBytes = Stream.fromIterable([...bytes].slice(0, 4000).map((byte) => Uint8Array.of(byte)))
        assert.isDefined(problemOf(yield* Effect.exit(decodeStream(inBytes))))
      })
    )
  }

  it.effect("names the tensor and says what is wrong", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(decode(file({ "h.0": f32([2, 3], 0, 20) }, 20)))
      assert.strictEqual(error.where, 'tensor "h.0"')
      assert.strictEqual(error.detail, "[2,3] of F32 takes 24 bytes, data_offsets give 20")
    })
  )

  it.effect("allocates for what arrives, not for what is promised", () =>
    Effect.gen(function* () {
      const promise = file({ a: f32([2 ** 31 - 1], 0, 4 * (2 ** 31 - 1)) })
      const held: Array<number> = []
      const before = process.memoryUsage().arrayBuffers
      const stream = Stream.fromIterable(
        (function* () {
          yield promise
          yield new Uint8Array(1000)
          held.push(process.memoryUsage().arrayBuffers - before)
        })(),
        { chunkSize: 1 }
      )
      assert.strictEqual(problemOf(yield* Effect.exit(decodeStream(stream))), "truncated")
      assert.strictEqual(problemOf(yield* Effect.exit(decode(promise))), "truncated")
      assert.isBelow(held[0]!, 8 * 2 ** 20)
      const claim = new Uint8Array(8)
      new DataView(claim.buffer).setBigUint64(0, 100_000_000n, true)
      assert.strictEqual(problemOf(yield* Effect.exit(decodeStream(Stream.make(claim, utf8("{"))))), "truncated")
    })
  )

  it.effect("reads a tensor larger than the first allocation from a stream", () =>
    Effect.gen(function* () {
      const data = Float32Array.from({ length: 1_500_000 }, (_, i) => i)
      const bytes = concat(encode(new Map([["x", { shape: [3, 500_000], data }]])))
      const pieces = Array.from({ length: Math.ceil(bytes.length / 65_537) }, (_, i) =>
        bytes.subarray(i * 65_537, (i + 1) * 65_537)
      )
      const tensor = (yield* decodeStream(Stream.fromIterable(pieces))).get("x")!
      assert.deepStrictEqual(tensor.data, data)
      assert.strictEqual(tensor.data.buffer.byteLength, data.byteLength)
    })
  )

  it.effect("passes on the failure of the stream", () =>
    Effect.gen(function* () {
      const broken = Stream.concat(Stream.make(file("{}").subarray(0, 5)), Stream.fail("unplugged" as const))
      assert.strictEqual(yield* Effect.flip(decodeStream(broken)), "unplugged")
    })
  )

  it.effect("withstands 4,000 mutated files: tensors or a typed refusal, the same whole and in chunks", () =>
    Effect.gen(function* () {
      const seen = new Map<Problem | undefined, number>()
      for (let i = 0; i < 4000; i++) {
        const rng = Rng.make(i, "fuzz")
        const bytes = mutate(concat(encode(generate(rng.fork("base")), { format: "pt" })), rng.fork("mutation"))
        const whole = yield* Effect.exit(decode(bytes))
        const problem = problemOf(whole)
        seen.set(problem, (seen.get(problem) ?? 0) + 1)
        const streamed = yield* Effect.exit(decodeStream(inChunks(bytes, rng.fork("chunks"))))
        assert.strictEqual(problemOf(streamed) === undefined, problem === undefined, `case ${i}`)
        if (!Exit.isSuccess(whole) || !Exit.isSuccess(streamed)) continue
        assertSame(streamed.value, whole.value)
        const again = concat(encode(whole.value))
        assertSame(yield* decode(again), whole.value)
      }
      for (const problem of [
        "truncated",
        "trailing",
        "header-size",
        "header",
        "entry",
        "dtype",
        "size",
        "layout"
      ] as const)
        assert.isAbove(seen.get(problem) ?? 0, 10, problem)
      assert.isAbove(seen.get(undefined) ?? 0, 50, "accepted")
    })
  )
})

const TOKENS = [
  "-1",
  "0",
  "1",
  "4",
  "1e3",
  "null",
  "[]",
  "{}",
  '"F16"',
  '"BF16"',
  '"I64"',
  '"__proto__"',
  ",",
  "]",
  "}"
]

/**
 * One to three of: a changed byte, a cut, an insertion, a lie about the header's length, a changed word of the header, a
 * member taken out, a byte range moved.
 */
const mutate = (source: Uint8Array, rng: Rng.Rng): Uint8Array => {
  let bytes = source
  const rounds = 1 + rng.int(0, 3)
  for (let round = 1; round <= rounds; round++) {
    const draw = rng.fork(round)
    const header = bytes.length < 8 ? 0 : Number(new DataView(bytes.buffer).getBigUint64(0, true) % 65536n)
    const at = draw.int(0, bytes.length + 1)
    const kind = draw.int(1, 7)
    if (kind === 0 && bytes.length > 0) {
      bytes = bytes.slice()
      bytes[at % bytes.length] = draw.int(2, 256)
    } else if (kind === 1) bytes = bytes.slice(0, at)
    else if (kind === 2) bytes = concat([bytes.subarray(0, at), new Uint8Array(1 + draw.int(2, 9)), bytes.subarray(at)])
    else if (kind === 3 && bytes.length >= 8) {
      bytes = bytes.slice()
      const lie =
        draw.int(2, 3) === 0 ? BigInt(draw.words(3)[0]) << 20n : BigInt(Math.max(0, header + draw.int(3, 17) - 8))
      new DataView(bytes.buffer).setBigUint64(0, lie, true)
    } else if (kind === 4) {
      const members = bytes.length < 8 ? [] : headerMembers(bytes.subarray(8, 8 + header))
      const chosen = members[draw.int(2, members.length)]
      const offsets = chosen?.[1]?.data_offsets
      if (offsets === undefined) continue
      const shift = 4 * draw.int(3, 4)
      if (shift === 0) members.splice(members.indexOf(chosen!), 1)
      else chosen![1] = { ...chosen![1], data_offsets: offsets.map((offset) => offset + shift) }
      bytes = file(Object.fromEntries(members), bytes.slice(8 + header))
    } else {
      const text = new TextDecoder().decode(bytes.subarray(8, 8 + header))
      const words = [...text.matchAll(/-?\d+|"[^"]*"|[[\]{},:]/g)]
      const word = words[draw.int(2, words.length)]
      if (word === undefined) continue
      const token = TOKENS[draw.int(3, TOKENS.length)]!
      const changed = text.slice(0, word.index) + token + text.slice(word.index + word[0].length)
      bytes = file(changed, bytes.slice(8 + header))
    }
  }
  return bytes
}

/** The members of a header that is still JSON. */
const headerMembers = (
  bytes: Uint8Array
): Array<[string, { readonly data_offsets?: ReadonlyArray<number> } | null]> => {
  try {
    const header = JSON.parse(new TextDecoder().decode(bytes))
    return Object.entries<any>(header ?? {}).filter(([, member]) => Array.isArray(member?.data_offsets))
  } catch {
    return []
  }
}
