import { assert, describe, it } from "vitest"
import * as TensorBoard from "../../runtime/interchange/tensorBoard.ts"
import { masked, read } from "./events.ts"

describe("an event file", () => {
  it("has the checksums that are published for CRC-32C", () => {
    // RFC 3720, B.4: 32 bytes of zeros, of ones, ascending; and the check value of the catalogue, "123456789"
    assert.strictEqual(TensorBoard.crc32c(new Uint8Array(32)), 0x8a9136aa)
    assert.strictEqual(TensorBoard.crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43)
    assert.strictEqual(TensorBoard.crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e)
    assert.strictEqual(TensorBoard.crc32c(new TextEncoder().encode("123456789")), 0xe3069283)
  })

  it("begins with the version, then has one record a scalar, byte by byte", () => {
    const file = TensorBoard.encode([{ tag: "a", step: 300, value: -2, wallTime: 1.5 }])
    const time = [0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f] // field 1, fixed64: 1.5
    const version = [...time, 0x1a, 13, ...Buffer.from("brain.Event:2")] // field 3, bytes
    const scalar = [0x0a, 1, 0x61, 0x15, 0, 0, 0, 0xc0] // field 1 "a", field 2 float -2
    const event = [...time, 0x10, 0xac, 0x02, 0x2a, 10, 0x0a, 8, ...scalar] // step 300; summary, value
    const framed = (data: ReadonlyArray<number>) => {
      const frame = Buffer.alloc(16 + data.length)
      frame.writeBigUInt64LE(BigInt(data.length), 0)
      frame.writeUInt32LE(masked(frame.subarray(0, 8)), 8)
      frame.set(data, 12)
      frame.writeUInt32LE(masked(Uint8Array.from(data)), 12 + data.length)
      return frame
    }
    assert.deepEqual(Buffer.from(file), Buffer.concat([framed(version), framed(event)]))
  })

  it("reads back as the scalars that went in, as float32", () => {
    const scalars = [0, 1, 127, 128, 2 ** 31, 2 ** 40].map((step, i) => ({
      tag: `train/größe ${i}`,
      step,
      value: 1 / (i + 3),
      wallTime: 1_700_000_000.25 + i
    }))
    const [version, ...events] = read(TensorBoard.encode(scalars))
    assert.deepEqual(version, { wallTime: scalars[0]!.wallTime, step: 0, version: "brain.Event:2" })
    assert.deepEqual(
      events,
      scalars.map((scalar) => ({ ...scalar, value: Math.fround(scalar.value) }))
    )
    assert.lengthOf(read(TensorBoard.encode([])), 1)
  })
})
