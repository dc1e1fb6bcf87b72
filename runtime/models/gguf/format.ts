/**
 * GGUF version 3, the file format of llama.cpp: metadata, tensor headers, tensors, all little-endian.
 * **Source** ggml, docs/gguf.md.
 */

const MAGIC = 0x46554747 // "GGUF"
const VERSION = 3
/** Every tensor begins at a multiple of this many bytes. */
export const ALIGNMENT = 32

export type Value =
  | { readonly type: "uint32" | "int32" | "float32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "int32s" | "float32s"; readonly value: ReadonlyArray<number> }
  | { readonly type: "strings"; readonly value: ReadonlyArray<string> }

export const uint32 = (value: number): Value => ({ type: "uint32", value })
export const float32 = (value: number): Value => ({ type: "float32", value })
export const bool = (value: boolean): Value => ({ type: "bool", value })
export const string = (value: string): Value => ({ type: "string", value })
export const strings = (value: ReadonlyArray<string>): Value => ({ type: "strings", value })
export const int32s = (value: ReadonlyArray<number>): Value => ({ type: "int32s", value })
export const float32s = (value: ReadonlyArray<number>): Value => ({ type: "float32s", value })

export type Precision = "F32" | "F16"

/** The codes of ggml's types. */
const TENSOR_TYPE: Readonly<Record<Precision, number>> = { F32: 0, F16: 1 }
const ITEM_TYPE = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const

export interface Tensor {
  readonly name: string
  /** Row-major; the file lists the lengths from the innermost axis on. */
  readonly shape: ReadonlyArray<number>
  readonly precision: Precision
  readonly data: Float32Array
}

/** The file in order: first everything before the tensors, then each tensor with the zeros that align the next one. */
export function* encode(metadata: ReadonlyMap<string, Value>, tensors: ReadonlyArray<Tensor>): Iterable<Uint8Array> {
  yield header(metadata, tensors)
  for (const tensor of tensors) {
    const bytes = tensorBytes(tensor)
    yield bytes
    const missing = aligned(bytes.length) - bytes.length
    if (missing > 0) yield new Uint8Array(missing)
  }
}

const aligned = (length: number) => Math.ceil(length / ALIGNMENT) * ALIGNMENT

const header = (metadata: ReadonlyMap<string, Value>, tensors: ReadonlyArray<Tensor>): Uint8Array => {
  const out = new Writer()
  out.uint32(MAGIC)
  out.uint32(VERSION)
  out.uint64(tensors.length)
  out.uint64(metadata.size)
  for (const [name, value] of metadata) {
    out.string(name)
    writeValue(out, value)
  }
  let offset = 0
  for (const { data, name, precision, shape } of tensors) {
    out.string(name)
    out.uint32(shape.length)
    for (const length of shape.toReversed()) out.uint64(length)
    out.uint32(TENSOR_TYPE[precision])
    out.uint64(offset)
    offset += aligned(data.length * bytesPerNumber(precision))
  }
  return out.bytes(aligned(out.length))
}

const writeValue = (out: Writer, { type, value }: Value): void => {
  const list = (item: number, length: number) => {
    out.uint32(ITEM_TYPE.array)
    out.uint32(item)
    out.uint64(length)
  }
  switch (type) {
    case "strings":
      list(ITEM_TYPE.string, value.length)
      for (const item of value) out.string(item)
      return
    case "int32s":
      list(ITEM_TYPE.int32, value.length)
      for (const item of value) out.int32(item)
      return
    case "float32s":
      list(ITEM_TYPE.float32, value.length)
      for (const item of value) out.float32(item)
      return
    case "string":
      out.uint32(ITEM_TYPE.string)
      out.string(value)
      return
    case "bool":
      out.uint32(ITEM_TYPE.bool)
      out.uint8(value ? 1 : 0)
      return
    default:
      out.uint32(ITEM_TYPE[type])
      out[type](value)
  }
}

const bytesPerNumber = (precision: Precision) => (precision === "F32" ? 4 : 2)

const tensorBytes = ({ data, precision }: Tensor): Uint8Array => {
  const bytes = new Uint8Array(data.length * bytesPerNumber(precision))
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < data.length; i++) {
    if (precision === "F32") view.setFloat32(4 * i, data[i]!, true)
    else view.setUint16(2 * i, halfBits(data[i]!), true)
  }
  return bytes
}

const scratch = new DataView(new ArrayBuffer(4))

/** The bits of the nearest IEEE half, ties to even; beyond 65504 plus half a step, infinity. */
export const halfBits = (x: number): number => {
  scratch.setFloat32(0, x)
  const bits = scratch.getUint32(0)
  const sign = (bits >>> 16) & 0x8000
  const exponent = ((bits >>> 23) & 0xff) - 127 + 15
  const fraction = bits & 0x7fffff
  if (exponent >= 31) return sign | 0x7c00 | (Number.isNaN(x) ? 0x200 : 0)
  // a carry out of the fraction goes into the exponent, which is what rounding up needs
  if (exponent > 0) return sign | rounded((exponent << 23) | fraction, 13)
  return exponent < -10 ? sign : sign | rounded(fraction | 0x800000, 14 - exponent)
}

/** `bits / 2^shift`, ties to even. */
const rounded = (bits: number, shift: number): number => {
  const kept = bits >>> shift
  const rest = bits & ((1 << shift) - 1)
  const half = 1 << (shift - 1)
  return kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0)
}

class Writer {
  length = 0
  #view = new DataView(new ArrayBuffer(4096))
  #reserve(count: number): number {
    const at = this.length
    this.length += count
    if (this.length > this.#view.byteLength) {
      const grown = new Uint8Array(Math.max(this.length, 2 * this.#view.byteLength))
      grown.set(new Uint8Array(this.#view.buffer))
      this.#view = new DataView(grown.buffer)
    }
    return at
  }
  uint8(value: number) {
    const at = this.#reserve(1)
    this.#view.setUint8(at, value)
  }
  uint32(value: number) {
    const at = this.#reserve(4)
    this.#view.setUint32(at, value, true)
  }
  int32(value: number) {
    const at = this.#reserve(4)
    this.#view.setInt32(at, value, true)
  }
  float32(value: number) {
    const at = this.#reserve(4)
    this.#view.setFloat32(at, value, true)
  }
  uint64(value: number) {
    const at = this.#reserve(8)
    this.#view.setBigUint64(at, BigInt(value), true)
  }
  string(value: string) {
    const bytes = new TextEncoder().encode(value)
    this.uint64(bytes.length)
    const at = this.#reserve(bytes.length)
    new Uint8Array(this.#view.buffer).set(bytes, at)
  }
  /** What was written, with zeros up to `length`. */
  bytes(length: number): Uint8Array {
    this.#reserve(Math.max(0, length - this.length))
    return new Uint8Array(this.#view.buffer, 0, length)
  }
}
