/**
 * Walks over a struct in Thrift's compact protocol before it is decoded: a list that says it has more elements than bytes
 * are left, and what is nested deeper than any metadata, is refused. The decoder would allocate what a list promises.
 *
 * **Source** apache/thrift, doc/specs/thrift-compact-protocol.md.
 */
const BOOLEANS = [1, 2]
const BYTE = 3
const VARINTS = [4, 5, 6]
const DOUBLE = 7
const BINARY = 8
const LIST = 9
const STRUCT = 12

/** Metadata nests about ten deep. */
const DEEPEST = 64

/** Checks the struct that begins at `start`; throws an `Error`. */
export const checkStruct = (view: DataView, start: number): void => {
  let at = start
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = view.getUint8(at++)
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  const skip = (length: number) => {
    if (length > view.byteLength - at) throw new Error(`the metadata promise ${length} bytes that are not there`)
    at += length
  }
  const struct = (depth: number): void => {
    if (depth > DEEPEST) throw new Error(`the metadata are nested more than ${DEEPEST} deep`)
    for (let head = view.getUint8(at++); (head & 15) !== 0; head = view.getUint8(at++)) {
      if (head >> 4 === 0) varint()
      const type = head & 15
      if (!BOOLEANS.includes(type)) element(type, depth)
    }
  }
  const element = (type: number, depth: number): void => {
    if (type === BYTE || BOOLEANS.includes(type)) skip(1)
    else if (type === DOUBLE) skip(8)
    else if (type === BINARY) skip(varint())
    else if (type === STRUCT) struct(depth + 1)
    else if (type === LIST) list(depth + 1)
    else if (VARINTS.includes(type)) varint()
    else throw new Error(`the metadata hold something of the unknown type ${type}`)
  }
  const list = (depth: number): void => {
    if (depth > DEEPEST) throw new Error(`the metadata are nested more than ${DEEPEST} deep`)
    const head = view.getUint8(at++)
    const length = head >> 4 === 15 ? varint() : head >> 4
    if (length > view.byteLength - at) throw new Error(`the metadata promise a list of ${length} elements`)
    for (let left = length; left > 0; left--) element(head & 15, depth)
  }
  struct(0)
}
