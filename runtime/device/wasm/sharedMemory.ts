/**
 * Makes the memory of a compiled module shared, so that instances in several threads can work in it side by side. Only the
 * declaration of the memory differs: a flag and a largest size. The code, and what it computes, stay as they are.
 */
import * as tf from "@tensorflow/tfjs"

/**
 * The same module with its one memory, its own or an imported one, declared as shared; throws where there is none.
 * **Details** A shared memory has to name its largest size: 4 GiB where the module names none.
 * **Source** WebAssembly core specification 2.0, 5.5.5 and 5.5.8; threads proposal, limits flag 3.
 */
export const withSharedMemory = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => {
  const parts: Array<Uint8Array> = [bytes.subarray(0, 8)]
  let found = 0
  for (let at = 8; at < bytes.length; ) {
    const id = bytes[at]!
    const [size, start] = number(bytes, at + 1)
    const end = start + size
    const limits = id === IMPORTS ? importedMemory(bytes, start) : id === MEMORIES ? number(bytes, start)[1] : undefined
    if (limits === undefined) parts.push(bytes.subarray(at, end))
    else {
      const flag = bytes[limits]!
      const [least, afterLeast] = number(bytes, limits + 1)
      const [most, after] = (flag & 1) === 1 ? number(bytes, afterLeast) : [MOST_PAGES, afterLeast]
      const body = [
        ...bytes.subarray(start, limits),
        ...[SHARED_WITH_MAXIMUM, ...encoded(least), ...encoded(most)],
        ...bytes.subarray(after, end)
      ]
      parts.push(Uint8Array.from([id, ...encoded(body.length), ...body]))
      found++
    }
    at = end
  }
  if (found !== 1) throw new Error(`the module has ${found} memories, not one`)
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/**
 * Runs with the library's platform answering every request with these bytes: its wasm loader takes a module from a file or
 * from the platform, and the one that we want lies in no file.
 */
export const withAnswer = async <A>(bytes: Uint8Array<ArrayBuffer>, run: () => Promise<A>): Promise<A> => {
  const { platform } = tf.env()
  const { fetch } = platform
  const answer = { ok: true, arrayBuffer: () => Promise.resolve(bytes.buffer) }
  platform.fetch = () => Promise.resolve(answer as Response)
  try {
    return await run()
  } finally {
    platform.fetch = fetch
  }
}

const IMPORTS = 2
const MEMORIES = 5
const MOST_PAGES = 65536
const SHARED_WITH_MAXIMUM = 3

/** Where the limits of an imported memory are described, if there is one. */
const importedMemory = (bytes: Uint8Array, start: number): number | undefined => {
  let [count, at] = number(bytes, start)
  const skip = () => {
    at = number(bytes, at)[1]
  }
  const skipLimits = () => {
    const flag = bytes[at++]!
    skip()
    if ((flag & 1) === 1) skip()
  }
  for (; count > 0; count--) {
    for (let name = 0; name < 2; name++) {
      const [length, after] = number(bytes, at)
      at = after + length
    }
    const kind = bytes[at++]
    if (kind === 2) return at
    if (kind === 0) skip()
    else if (kind === 3) at += 2
    else if (kind === 1) {
      at++
      skipLimits()
    } else throw new Error(`an import of unknown kind ${kind}`)
  }
  return undefined
}

/** An unsigned number of seven bits a byte, and what lies behind it. */
const number = (bytes: Uint8Array, start: number): [value: number, after: number] => {
  let value = 0
  for (let [at, scale] = [start, 1]; ; scale *= 128) {
    const byte = bytes[at++]!
    value += (byte & 127) * scale
    if (byte < 128) return [value, at]
  }
}

const encoded = (value: number): ReadonlyArray<number> =>
  value < 128 ? [value] : [128 | (value % 128), ...encoded(Math.floor(value / 128))]
