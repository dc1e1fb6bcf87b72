/** Damage to bytes whose structure is not looked at. */
import type { Draws } from "./Draws.ts"

type Mutation = (bytes: Uint8Array, draws: Draws) => Uint8Array

const LENGTHS = [
  ...[0n, 1n, 2n, 7n, 8n, 255n, 256n, 65_535n, 65_536n],
  ...[2n ** 24n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 64n - 1n]
]

const concat = (...parts: ReadonlyArray<Uint8Array>) => Uint8Array.from(Buffer.concat(parts))

/** A place in the bytes, near the beginning as often as anywhere: headers are there. */
const place = (bytes: Uint8Array, { chance, int }: Draws) =>
  bytes.length === 0 ? 0 : int(chance(0.5) ? Math.min(bytes.length, 64) : bytes.length)

const changed = (bytes: Uint8Array, at: number, patch: ArrayLike<number>) => {
  const copy = bytes.slice()
  for (let i = 0; i < patch.length && at + i < copy.length; i++) copy[at + i] = patch[i]!
  return copy
}

const number = (width: 4 | 8, { int, pick }: Draws) => {
  const view = new DataView(new ArrayBuffer(8))
  const value = pick(LENGTHS) + BigInt(int(3) - 1)
  view.setBigUint64(0, BigInt.asUintN(64, value), true)
  return new Uint8Array(view.buffer, 0, width)
}

const mutations: ReadonlyArray<Mutation> = [
  (bytes, draws) => {
    const at = place(bytes, draws)
    return changed(bytes, at, [(bytes[at] ?? 0) ^ (1 << draws.int(8))])
  },
  (bytes, draws) => changed(bytes, place(bytes, draws), [draws.pick([0, 1, 0x20, 0x7f, 0x80, 0xc0, 0xed, 0xfe, 0xff])]),
  (bytes, draws) => bytes.slice(0, place(bytes, draws)),
  (bytes, draws) => bytes.slice(0, Math.max(0, bytes.length - 1 - draws.int(9))),
  (bytes, draws) => concat(bytes, draws.bytes(1 + draws.int(16))),
  (bytes, draws) => changed(bytes, place(bytes, draws), number(4, draws)),
  (bytes, draws) => changed(bytes, draws.chance(0.5) ? 0 : place(bytes, draws), number(8, draws)),
  (bytes, draws) => {
    const at = place(bytes, draws)
    return concat(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + draws.int(16))))
  },
  (bytes, draws) => {
    const [at, from] = [place(bytes, draws), place(bytes, draws)]
    return concat(bytes.subarray(0, at), bytes.subarray(from, from + 1 + draws.int(64)), bytes.subarray(at))
  },
  (bytes, draws) => changed(bytes, place(bytes, draws), draws.bytes(1 + draws.int(12))),
  (_, draws) => draws.bytes(draws.int(64)),
  () => new Uint8Array(0)
]

/** One to three pieces of damage; wholesale replacement is rare, for it is soon refused. */
export const mutateBytes = (bytes: Uint8Array, draws: Draws): Uint8Array => {
  let damaged = bytes
  for (let left = 1 + draws.int(3); left > 0; left--) {
    const which = draws.chance(0.05) ? draws.int(mutations.length) : draws.int(mutations.length - 2)
    damaged = mutations[which]!(damaged, draws)
  }
  return damaged
}
