/**
 * Named tensors as bytes, in the safetensors format: eight bytes of header length (u64, little endian), a JSON header,
 * then the tensors' values without gaps.
 *
 * **Details** Reads F32, F16 and BF16, all widened to `Float32Array` without loss; writes F32. Bits pass unchanged, NaN
 * payloads included. Assumes a little-endian host, as every platform of Node with a tensor backend is.
 *
 * **Source** https://github.com/huggingface/safetensors (format section of the README; checks of `tensor.rs`).
 */
import { Effect, Result, Schema, Stream } from "effect"
import { brief } from "./internal/brief.ts"
import * as Json from "./internal/json.ts"

/** An element type that can be read. The format has others (I64, BOOL, F8_E4M3, ...); they are refused by name. */
export type Dtype = "F32" | "F16" | "BF16"

/** Values in row-major order; the product of `shape` (1 for a scalar, `[]`) is `data.length`. */
export interface TensorData {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array
}

export type Tensors = ReadonlyMap<string, TensorData>

export const Problem = Schema.Literals([
  "truncated", // the bytes end too early
  "trailing", // bytes follow the last tensor
  "header-size", // the stated length of the header is impossible
  "header", // the header is not a JSON object in UTF-8, or a key stands twice
  "name", // a tensor's name cannot be written
  "entry", // a member of the header has the wrong form
  "dtype", // an element type that is unknown, or known and not read
  "shape", // more elements than a tensor can have
  "size", // the byte range, or the array, does not hold what the shape says
  "layout" // byte ranges overlap, or leave a hole
])
export type Problem = typeof Problem.Type

/** The bytes are not a safetensors file, or not one that this module reads. Never transient. */
export class SafetensorsInvalid extends Schema.TaggedError<SafetensorsInvalid>()("SafetensorsInvalid", {
  /** `header length`, `header`, `data`, or `tensor "<name>"`. */
  where: Schema.String,
  problem: Problem,
  detail: Schema.String
}) {
  override get message() {
    return `safetensors, ${brief(this.where)}: ${brief(this.detail)}`
  }
}

/**
 * Writes tensors as F32, as chunks: the header, then one chunk per tensor that is not empty.
 *
 * **Details** Deterministic: names and metadata keys are sorted (UTF-16 code unit order), and the header is padded with
 * spaces so that the values start at a multiple of 8. The iterable can be walked again.
 *
 * **Gotchas** Chunks are views of the tensors, not copies. Throws `SafetensorsInvalid`, at the call and not later, for a
 * tensor whose shape and data disagree or whose name the format cannot hold: a defect of the caller.
 */
export const encode = (tensors: Tensors, metadata: Readonly<Record<string, string>> = {}): Iterable<Uint8Array> => {
  const header = encodeHeader(tensors, metadata)
  const names = sortedNames(tensors)
  return {
    *[Symbol.iterator]() {
      yield header.slice()
      for (const name of names) {
        const { buffer, byteLength, byteOffset } = tensors.get(name)!.data
        if (byteLength > 0) yield new Uint8Array(buffer, byteOffset, byteLength)
      }
    }
  }
}

/**
 * Reads a whole file held in memory. The tensors are copies, in the order of their bytes; metadata is not kept.
 *
 * **Details** Hostile bytes fail with `SafetensorsInvalid` and cost no more memory than their own size warrants. Header
 * at most 100 MB, as in the reference implementation; at most 2^31 - 1 elements per tensor. Header keys may stand in
 * any order, as the format allows, but the byte ranges must tile the data from its first byte to its last.
 */
export const decode = (bytes: Uint8Array): Effect.Effect<Tensors, SafetensorsInvalid> =>
  attempt(() => {
    const reader = makeReader(bytes.length)
    reader.push(bytes)
    return reader.finish()
  })

/**
 * Reads a file as it arrives, in chunks of any size, with the checks of `decode`.
 *
 * **Details** Holds the tensors read so far and at most twice the received part of the current one; a header that
 * promises more than arrives allocates nothing for it. Chunks are copied, so their producer may reuse them.
 */
export const decodeStream = <E, R>(
  stream: Stream.Stream<Uint8Array, E, R>
): Effect.Effect<Tensors, E | SafetensorsInvalid, R> =>
  Effect.suspend(() => {
    const reader = makeReader(undefined)
    return stream.pipe(
      Stream.runForEach((chunk) => attempt(() => reader.push(chunk))),
      Effect.andThen(attempt(() => reader.finish()))
    )
  })

const METADATA = "__metadata__"
const LENGTH_BYTES = 8
const MAX_HEADER_BYTES = 100_000_000
const MAX_ELEMENTS = 2 ** 31 - 1
const FIRST_ALLOCATION = 1 << 20
const BYTES_PER_ELEMENT: Readonly<Record<Dtype, number>> = { F32: 4, F16: 2, BF16: 2 }
const UNREAD_DTYPES = [
  ...["BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"],
  ...["I16", "U16", "I32", "U32", "C64", "F64", "I64", "U64"]
]

const attempt = <A>(run: () => A): Effect.Effect<A, SafetensorsInvalid> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      if (error instanceof SafetensorsInvalid) return Effect.fail(error)
      throw error
    }
  })

const invalid = (where: string, problem: Problem, detail: string) => new SafetensorsInvalid({ where, problem, detail })
const tensorNamed = (name: string) => `tensor ${JSON.stringify(name)}`
const sortedNames = (tensors: Tensors) => [...tensors.keys()].sort()

const encodeHeader = (tensors: Tensors, metadata: Readonly<Record<string, string>>): Uint8Array => {
  const members: Array<string> = []
  const keys = Object.keys(metadata).sort()
  if (keys.length > 0) {
    const pairs = keys.map((key) => `${quote(key)}:${quote(metadata[key]!)}`)
    members.push(`"${METADATA}":{${pairs.join(",")}}`)
  }
  let begin = 0
  for (const name of sortedNames(tensors)) {
    const { data, shape } = tensors.get(name)!
    if (name === METADATA) throw invalid(tensorNamed(name), "name", "the format keeps this name for itself")
    if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0))
      throw invalid(tensorNamed(name), "shape", `[${shape}] is no shape`)
    const elements = elementCount(tensorNamed(name), shape)
    if (elements !== data.length)
      throw invalid(tensorNamed(name), "size", `shape [${shape}] has ${elements} elements, the array ${data.length}`)
    const end = begin + data.byteLength
    members.push(`${quote(name)}:{"dtype":"F32","shape":[${shape}],"data_offsets":[${begin},${end}]}`)
    begin = end
  }
  const text = new TextEncoder().encode(`{${members.join(",")}}`)
  const size = Math.ceil(text.length / 8) * 8
  if (size > MAX_HEADER_BYTES) throw invalid("header", "header-size", `${size} bytes, more than ${MAX_HEADER_BYTES}`)
  const header = new Uint8Array(LENGTH_BYTES + size).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(size), true)
  header.set(text, LENGTH_BYTES)
  return header
}

const quote = (text: string): string => {
  if (!text.isWellFormed()) throw invalid("header", "name", `${JSON.stringify(text)} has a lone surrogate`)
  return JSON.stringify(text)
}

/** A run of bytes of known length, and what to do with it once it is complete. */
interface Field {
  readonly where: string
  readonly size: number
  readonly accept: (bytes: Uint8Array<ArrayBuffer>) => void
}

/** Throws `SafetensorsInvalid`. `total` is the size of the file where it is known beforehand. */
const makeReader = (total: number | undefined) => {
  const tensors = new Map<string, TensorData>()
  let fields: ReadonlyArray<Field> = []
  let index = 0
  let buffer = new Uint8Array(0)
  let filled = 0

  const expect = (next: ReadonlyArray<Field>) => {
    fields = next
    index = 0
  }
  const acceptHeader = (bytes: Uint8Array) => {
    const entries = parseHeader(bytes)
    checkLayout(entries, total === undefined ? undefined : total - LENGTH_BYTES - bytes.length)
    expect(
      entries.map((entry) => ({
        where: tensorNamed(entry.name),
        size: entry.end - entry.begin,
        accept: (raw) => tensors.set(entry.name, { shape: entry.shape, data: widen(entry.dtype, raw) })
      }))
    )
  }
  const acceptLength = (bytes: Uint8Array) =>
    expect([{ where: "header", size: headerSize(bytes, total), accept: acceptHeader }])
  expect([{ where: "header length", size: LENGTH_BYTES, accept: acceptLength }])

  const makeRoom = (needed: number, size: number) => {
    if (buffer.length >= needed) return
    const grown = total === undefined ? Math.max(needed, 2 * buffer.length, FIRST_ALLOCATION) : size
    buffer = new Uint8Array(buffer.buffer.transfer(Math.min(size, grown)))
  }

  const push = (chunk: Uint8Array) => {
    let from = 0
    for (;;) {
      const field = fields[index]
      if (field === undefined) {
        if (from < chunk.length) throw invalid("data", "trailing", "bytes follow the last tensor")
        return
      }
      const take = Math.min(field.size - filled, chunk.length - from)
      makeRoom(filled + take, field.size)
      buffer.set(chunk.subarray(from, from + take), filled)
      filled += take
      from += take
      if (filled < field.size) return
      const complete = buffer
      buffer = new Uint8Array(0)
      filled = 0
      index++
      field.accept(complete)
    }
  }

  const finish = (): Tensors => {
    push(new Uint8Array(0)) // tensors without bytes may still be due
    const field = fields[index]
    if (field !== undefined)
      throw invalid(field.where, "truncated", `${filled} of ${field.size} bytes, then the file ends`)
    return tensors
  }

  return { push, finish }
}

const headerSize = (bytes: Uint8Array, total: number | undefined): number => {
  const size = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  if (size < 2) throw invalid("header length", "header-size", `${size} bytes cannot hold a JSON object`)
  if (size > MAX_HEADER_BYTES)
    throw invalid("header length", "header-size", `${size} bytes, more than ${MAX_HEADER_BYTES}`)
  if (total !== undefined && size > total - LENGTH_BYTES)
    throw invalid("header", "truncated", `${size} bytes are stated, the file has ${total - LENGTH_BYTES} after them`)
  return size
}

const Size = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Member = Schema.Struct({
  dtype: Schema.String,
  shape: Schema.Array(Size),
  data_offsets: Schema.Tuple([Size, Size])
})
const decodeMember = Schema.decodeUnknownResult(Member)
const decodeMetadata = Schema.decodeUnknownResult(Schema.Record(Schema.String, Schema.String))

interface Entry {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: ReadonlyArray<number>
  readonly begin: number
  readonly end: number
}

/** The header's tensors in the order of their bytes. */
const parseHeader = (bytes: Uint8Array): ReadonlyArray<Entry> => {
  if (bytes[0] !== 0x7b) throw invalid("header", "header", "does not start with '{'")
  const parsed = Json.parse(decodeUtf8(bytes))
  if (Result.isFailure(parsed)) {
    const { column, problem } = parsed.failure
    throw invalid("header", "header", `${problem} (at character ${column})`)
  }
  const entries: Array<Entry> = []
  for (const [name, member] of Object.entries(parsed.success as Schema.JsonObject)) {
    if (name === METADATA) {
      const metadata = decodeMetadata(member)
      if (Result.isFailure(metadata)) throw invalid(METADATA, "entry", oneLine(metadata.failure.message))
    } else entries.push(parseEntry(name, member))
  }
  return entries.sort((a, b) => a.begin - b.begin || a.end - b.end)
}

const decodeUtf8 = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw invalid("header", "header", "is not UTF-8")
  }
}

const oneLine = (message: string) => message.replace(/\s+/g, " ")

const parseEntry = (name: string, member: Schema.Json): Entry => {
  const where = tensorNamed(name)
  const decoded = decodeMember(member)
  if (Result.isFailure(decoded)) throw invalid(where, "entry", oneLine(decoded.failure.message))
  const {
    data_offsets: [begin, end],
    dtype
  } = decoded.success
  const shape = decoded.success.shape.map((size) => size + 0) // JSON has -0
  if (!isDtype(dtype)) {
    const known = UNREAD_DTYPES.includes(dtype) ? "is a dtype that is not read here" : "is no dtype"
    throw invalid(where, "dtype", `${JSON.stringify(dtype)} ${known}; F32, F16 and BF16 are`)
  }
  const bytes = elementCount(where, shape) * BYTES_PER_ELEMENT[dtype]
  if (end - begin !== bytes)
    throw invalid(where, "size", `[${shape}] of ${dtype} takes ${bytes} bytes, data_offsets give ${end - begin}`)
  return { name, dtype, shape, begin: begin + 0, end: end + 0 }
}

const isDtype = (dtype: string): dtype is Dtype => Object.hasOwn(BYTES_PER_ELEMENT, dtype)

const elementCount = (where: string, shape: ReadonlyArray<number>): number => {
  let elements = 1
  for (const size of shape) {
    elements *= size
    if (elements > MAX_ELEMENTS || size > MAX_ELEMENTS)
      throw invalid(where, "shape", `[${shape}] has more than ${MAX_ELEMENTS} elements`)
  }
  return elements
}

const checkLayout = (entries: ReadonlyArray<Entry>, available: number | undefined) => {
  let covered = 0
  for (const { begin, end, name } of entries) {
    if (begin !== covered) {
      const fault = begin > covered ? "leaves a hole before it" : "overlaps another tensor"
      throw invalid(tensorNamed(name), "layout", `starts at byte ${begin}, which ${fault} (expected ${covered})`)
    }
    covered = end
  }
  if (available === undefined || available === covered) return
  const problem = available < covered ? "truncated" : "trailing"
  throw invalid("data", problem, `the header describes ${covered} bytes, the file has ${available}`)
}

/** Takes ownership of `raw`, whose length is a multiple of the element's. */
const widen = (dtype: Dtype, raw: Uint8Array<ArrayBuffer>): Float32Array => {
  if (dtype === "F32") return new Float32Array(raw.buffer)
  const halves = new Uint16Array(raw.buffer)
  const bits = new Uint32Array(halves.length)
  const toBits = dtype === "BF16" ? (half: number) => half << 16 : halfToSingleBits
  for (let i = 0; i < halves.length; i++) bits[i] = toBits(halves[i]!)
  return new Float32Array(bits.buffer)
}

/** IEEE 754 binary16 to binary32, by bits: sign 1, exponent 5 (bias 15), fraction 10. Exact; NaN payloads are kept. */
const halfToSingleBits = (half: number): number => {
  const sign = (half & 0x8000) << 16
  const exponent = (half >>> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13)
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13)
  if (fraction === 0) return sign
  const shift = Math.clz32(fraction) - 21 // moves the leading one to the place of the implicit bit
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)
}
