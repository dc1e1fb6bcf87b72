/** An own decoder of TensorBoard's event files, which shares no code with the encoder. */

export interface Event {
  readonly wallTime: number
  readonly step: number
  readonly version?: string
  readonly tag?: string
  readonly value?: number
}

/** CRC-32C bit by bit, as its definition has it. */
const crc32c = (bytes: Uint8Array): number => {
  let crc = 0xffffffffn
  for (const byte of bytes) {
    crc ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0x82f63b78n : crc >> 1n
  }
  return Number(crc ^ 0xffffffffn)
}

/** As TFRecord stores it: turned right by 15 bits, and a constant added. */
export const masked = (bytes: Uint8Array): number => {
  const crc = BigInt(crc32c(bytes))
  return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn)
}

/** The data of all records; throws where a length or a checksum does not fit. */
const records = (file: Uint8Array): ReadonlyArray<Uint8Array> => {
  const found: Array<Uint8Array> = []
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  for (let at = 0; at < file.length; ) {
    const length = Number(view.getBigUint64(at, true))
    if (view.getUint32(at + 8, true) !== masked(file.subarray(at, at + 8))) throw new Error(`length at ${at}`)
    const data = file.subarray(at + 12, at + 12 + length)
    if (view.getUint32(at + 12 + length, true) !== masked(data)) throw new Error(`data at ${at}`)
    found.push(data)
    at += 16 + length
  }
  return found
}

type Field = number | bigint | Uint8Array

/** The fields of a message by number; where one comes twice, the last. */
const fields = (message: Uint8Array): ReadonlyMap<number, Field> => {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  const found = new Map<number, Field>()
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]!
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
  }
  while (at < message.length) {
    const key = Number(varint())
    const [number, wire] = [key >> 3, key & 7]
    if (wire === 0) found.set(number, varint())
    else if (wire === 1) {
      found.set(number, view.getFloat64(at, true))
      at += 8
    } else if (wire === 5) {
      found.set(number, view.getFloat32(at, true))
      at += 4
    } else if (wire === 2) {
      const length = Number(varint())
      found.set(number, message.subarray(at, at + length))
      at += length
    } else throw new Error(`wire type ${wire}`)
  }
  return found
}

const text = (field: Field) => new TextDecoder().decode(field as Uint8Array)

export const read = (file: Uint8Array): ReadonlyArray<Event> =>
  records(file).map((data) => {
    const event = fields(data)
    const summary = event.get(5)
    const value = summary === undefined ? undefined : fields(fields(summary as Uint8Array).get(1) as Uint8Array)
    return {
      wallTime: event.get(1) as number,
      step: Number(event.get(2) ?? 0),
      ...(event.has(3) && { version: text(event.get(3)!) }),
      ...(value && { tag: text(value.get(1)!), value: value.get(2) as number })
    }
  })
