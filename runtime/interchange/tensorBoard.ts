/**
 * Scalars as a TensorBoard event file: records of TFRecord, each an `Event` in protocol buffers.
 *
 * **Source** tensorflow's `core/lib/io/record_writer.h` (framing, masked CRC-32C), `core/util/event.proto` and
 * `core/framework/summary.proto` (fields 1, 2, 3, 5; 1; 1, 2).
 */
export interface Scalar {
  readonly tag: string
  /** A whole number from 0. */
  readonly step: number
  /** Written as float32. */
  readonly value: number
  /** Seconds since 1970. */
  readonly wallTime: number
}

/** The bytes of an event file: its version, then one event a scalar, in order. */
export const encode = (scalars: ReadonlyArray<Scalar>): Uint8Array => {
  const started = scalars[0]?.wallTime ?? 0
  const version = message([double(1, started), bytes(3, utf8.encode("brain.Event:2"))])
  return concat([version, ...scalars.map(event)].map(record))
}

const event = ({ step, tag, value, wallTime }: Scalar): Uint8Array => {
  const scalar = message([bytes(1, utf8.encode(tag)), float(2, value)])
  return message([double(1, wallTime), varintField(2, step), bytes(5, message([bytes(1, scalar)]))])
}

/** Length, its checksum, the data, its checksum; little endian. */
const record = (data: Uint8Array): Uint8Array => {
  const framed = new Uint8Array(data.length + 16)
  const view = new DataView(framed.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, masked(framed.subarray(0, 8)), true)
  framed.set(data, 12)
  view.setUint32(12 + data.length, masked(data), true)
  return framed
}

/** CRC-32C (Castagnoli), reflected polynomial. */
const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let crc = n
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

export const crc32c = (data: Uint8Array): number => {
  let crc = 0xffffffff
  for (const byte of data) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

/** Checksums of data that hold checksums are weak, so they are turned and moved. */
const masked = (data: Uint8Array): number => {
  const crc = crc32c(data)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

const utf8 = new TextEncoder()
const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

const tagOf = (field: number, wire: number) => Uint8Array.of((field << 3) | wire)
const message = (fields: ReadonlyArray<Uint8Array>) => concat(fields)

const varint = (value: number): Uint8Array => {
  const digits: Array<number> = []
  let rest = BigInt(value)
  do {
    digits.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Uint8Array.from(digits)
}

const varintField = (field: number, value: number) => concat([tagOf(field, VARINT), varint(value)])
const bytes = (field: number, data: Uint8Array) => concat([tagOf(field, BYTES), varint(data.length), data])

const double = (field: number, value: number): Uint8Array => {
  const data = new Uint8Array(8)
  new DataView(data.buffer).setFloat64(0, value, true)
  return concat([tagOf(field, FIXED64), data])
}

const float = (field: number, value: number): Uint8Array => {
  const data = new Uint8Array(4)
  new DataView(data.buffer).setFloat32(0, value, true)
  return concat([tagOf(field, FIXED32), data])
}

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))
