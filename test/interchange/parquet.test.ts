/** Parquet files whose bytes are not what their writer wrote: read as rows, or refused, at once and in little memory. */
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { CompressionCodec, Encoding, SchemaElement } from "hyparquet"
import { parquetWriteBuffer } from "hyparquet-writer"
import type { JsonObject } from "../../dsl/Json.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Parquet from "../../runtime/interchange/Parquet.ts"

const sourceOf = (bytes: Uint8Array): Parquet.Source => ({
  byteLength: bytes.length,
  slice: (start, end = bytes.length) => Uint8Array.from(bytes.subarray(start, end)).buffer
})

const read = (bytes: Uint8Array) =>
  Effect.result(
    Effect.map(Stream.runCollect(Parquet.rows(sourceOf(bytes))), (found) => found.map(([row]) => row as JsonObject))
  )

const COUNT = 40
const rows: ReadonlyArray<JsonObject> = Array.from({ length: COUNT }, (_, i) => ({
  prompt: `prompt ${i % 3}`,
  ok: i % 5 === 0,
  n: i * i,
  x: i / 3,
  said: [{ role: "user", content: "hi 🙂" }],
  steps: ["a", "b"].slice(0, i % 3),
  rest: { a: [i, null] },
  ...(i % 4 === 0 ? {} : { gap: "here" })
}))
const withNulls = rows.map((row): JsonObject => ({ ...row, gap: row["gap"] ?? null }))

const texts = rows.map(({ prompt }) => prompt as string)
const numbers = rows.map(({ n }) => n as number)

/** One column in an encoding that other writers use, all values there, or every seventh missing. */
const encoded = (encoding: Encoding, type: SchemaElement["type"], all: ReadonlyArray<unknown>, gaps: boolean) => {
  const data = all.map((value, i) => (gaps && i % 7 === 3 ? null : value))
  const element: SchemaElement = {
    name: "c",
    type: type!,
    repetition_type: gaps ? "OPTIONAL" : "REQUIRED",
    ...(type === "BYTE_ARRAY" && { converted_type: "UTF8" })
  }
  const schema: Array<SchemaElement> = [{ name: "root", num_children: 1 }, element]
  const bytes = new Uint8Array(
    parquetWriteBuffer({ columnData: [{ name: "c", data, encoding }], schema, codec: "UNCOMPRESSED" })
  )
  return { bytes, rows: data.map((c) => ({ c })) }
}

const compressed = (codec: CompressionCodec, compress: (input: Uint8Array) => Uint8Array) => ({
  bytes: new Uint8Array(
    parquetWriteBuffer({
      columnData: [{ name: "c", data: texts, type: "STRING" }],
      codec,
      compressors: { [codec]: (input: Uint8Array) => new Uint8Array(compress(input)) }
    })
  ),
  rows: texts.map((c) => ({ c }))
})

const files: ReadonlyArray<readonly [name: string, file: { readonly bytes: Uint8Array; readonly rows: unknown }]> = [
  ["ours", { bytes: await Effect.runPromise(Parquet.write(rows)), rows: withNulls }],
  ...(["RLE_DICTIONARY", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "PLAIN"] as const).flatMap((encoding) =>
    [false, true].map((gaps) => [`${encoding}, gaps: ${gaps}`, encoded(encoding, "BYTE_ARRAY", texts, gaps)] as const)
  ),
  ["DELTA_BINARY_PACKED", encoded("DELTA_BINARY_PACKED", "INT32", numbers, true)],
  [
    "RLE of booleans",
    encoded(
      "RLE",
      "BOOLEAN",
      rows.map(({ ok }) => ok),
      true
    )
  ],
  ["gzip", compressed("GZIP", gzipSync)],
  ["Brotli", compressed("BROTLI", brotliCompressSync)],
  ["zstd", compressed("ZSTD", zstdCompressSync)]
]

describe("a Parquet file", () => {
  it.effect.each(files)("(%s) reads back as it was written", ([, file]) =>
    Effect.gen(function* () {
      const found = yield* read(file.bytes)
      assert.deepStrictEqual(found._tag === "Success" ? found.success : found.failure.message, file.rows)
    })
  )

  const FLIPS = 60
  it.effect.each(files)("(%s) with a changed bit is read or refused", ([name, { bytes }]) =>
    Effect.gen(function* () {
      const rng = Rng.make(0, `flips/${name}`)
      let refused = 0
      for (let i = 0; i < FLIPS; i++) {
        const damaged = bytes.slice()
        damaged[rng.int(2 * i, bytes.length)]! ^= 1 << rng.int(2 * i + 1, 8)
        const found = yield* read(damaged)
        if (found._tag === "Failure") {
          refused++
          assert.strictEqual(found.failure._tag, "ParquetInvalid")
          assert.notMatch(found.failure.message, /\n\s+at /)
        } else assert.isAtMost(found.success.length, COUNT)
      }
      assert.isAbove(refused, FLIPS / 8)
    })
  )

  it.effect.each(files)("(%s) with a run of 2^30 values anywhere is read or refused", ([name, { bytes }]) =>
    Effect.gen(function* () {
      const said: Array<string> = []
      const end = bytes.length > 1000 ? bytes.length : pagesEnd(bytes)
      const step = bytes.length > 1000 ? 13 : 1
      for (const run of [LONGEST_RUN, LONGEST_BITS]) {
        for (let at = 4; at < end - run.length; at += step) {
          const damaged = bytes.slice()
          damaged.set(run, at)
          const found = yield* read(damaged)
          if (found._tag === "Failure") said.push(found.failure.message)
          else assert.isAtMost(found.success.length, COUNT)
        }
      }
      if (/gaps: true|booleans/.test(name))
        assert.isTrue(
          said.some((problem) => /says its run is/.test(problem)),
          said.join("\n")
        )
    })
  )

  const shrunk: ReadonlyArray<readonly [name: string, damage: (bytes: Uint8Array) => Uint8Array, said: RegExp]> = [
    ["without its beginning", (bytes) => bytes.subarray(40), /./],
    ["of nothing", () => new Uint8Array(0), /./],
    ["whose footer is longer than it", (bytes) => withFooter(bytes, bytes.length), /./],
    ["whose footer is of 4 GB", (bytes) => withFooter(bytes, 2 ** 32 - 1), /./]
  ]
  it.effect.each(shrunk)("%s is refused", ([, damage, said]) =>
    Effect.gen(function* () {
      const found = yield* read(damage(files[0]![1].bytes))
      assert.strictEqual(found._tag, "Failure")
      if (found._tag === "Failure") assert.match(found.failure.message, said)
    })
  )
})

/** Headers of runs: of 2^30 equal values, and of as many packed bits. */
const LONGEST_RUN = [0xfe, 0xff, 0xff, 0xff, 0x07]
const LONGEST_BITS = [0xff, 0xff, 0xff, 0xff, 0x07]

const pagesEnd = (bytes: Uint8Array) => bytes.length - 8 - new DataView(bytes.buffer).getUint32(bytes.length - 8, true)

const withFooter = (bytes: Uint8Array, length: number): Uint8Array => {
  const changed = bytes.slice()
  new DataView(changed.buffer).setUint32(bytes.length - 8, length, true)
  return changed
}
