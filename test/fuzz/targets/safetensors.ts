import { Effect, Stream } from "effect"
import type * as Json from "../../../dsl/Json.ts"
import * as Safetensors from "../../../dsl/Safetensors.ts"
import type { Draws } from "../Draws.ts"
import { mutateBytes } from "../mutateBytes.ts"
import { mutateJson } from "../mutateJson.ts"
import { bytesOf, holds, type Target } from "../Target.ts"

/** A header and as many bytes of data as it says: overlapping, gapped and huge tensors come of damage to the header. */
const header = (draws: Draws): { readonly header: Json.JsonObject; readonly bytes: number } => {
  const entries: Array<[string, Json.Json]> = draws.chance(0.3) ? [["__metadata__", { format: "pt" }]] : []
  let begin = 0
  for (let i = draws.int(4); i >= 0; i--) {
    const dtype = draws.pick(["F32", "F16", "BF16"] as const)
    const shape = Array.from({ length: draws.int(3) }, () => draws.int(4))
    const end = begin + shape.reduce((product, size) => product * size, dtype === "F32" ? 4 : 2)
    entries.push([`model.layers.${i}.weight`, { dtype, shape, data_offsets: [begin, end] }])
    begin = end
  }
  return { header: Object.fromEntries(entries), bytes: begin }
}

const fileOf = (header: string, data: Uint8Array, stated?: bigint) => {
  const text = bytesOf(header)
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, stated ?? BigInt(text.length), true)
  return Uint8Array.from(Buffer.concat([length, text, data]))
}

/** Bits, for NaN payloads count. */
const sameTensors = (a: Safetensors.Tensors, b: Safetensors.Tensors) =>
  a.size === b.size &&
  [...a].every(([name, { data, shape }]) => {
    const other = b.get(name)
    const bits = (array: Float32Array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)
    return other !== undefined && other.shape.join() === shape.join() && bits(other.data).equals(bits(data))
  })

/** Both readers of one file agree, and what they read is written and read again unchanged. */
export const safetensors: Target = {
  name: "safetensors",
  weight: 18,
  refuses: ["SafetensorsInvalid"],
  make: (draws) => {
    const { bytes, header: seed } = header(draws)
    const text = draws.chance(0.75) ? mutateJson(seed, draws) : JSON.stringify(seed)
    const file = fileOf(text, draws.bytes(bytes), draws.chance(0.05) ? BigInt(draws.int(2 ** 32)) : undefined)
    return {
      file: draws.chance(0.4) ? mutateBytes(file, draws) : file,
      cuts: Uint8Array.from({ length: 4 }, () => 1 + draws.int(40))
    }
  },
  read: ({ cuts, file }) =>
    Effect.gen(function* () {
      const whole = yield* Effect.result(Safetensors.decode(file!))
      const streamed = yield* Effect.result(Safetensors.decodeStream(Stream.fromIterable(tiled(file!, cuts!))))
      holds(whole._tag === streamed._tag, "a stream is read as the whole file is")
      const tensors = yield* Effect.fromResult(whole)
      holds(streamed._tag === "Success" && sameTensors(streamed.success, tensors), "a stream gives the same tensors")
      const written = Uint8Array.from(Buffer.concat([...Safetensors.encode(tensors)]))
      holds(sameTensors(yield* Safetensors.decode(written), tensors), "what was read can be written and read again")
    })
}

const tiled = function* (bytes: Uint8Array, sizes: Uint8Array) {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    yield bytes.slice(at, at + size)
    at += size
  }
}
