/** A training's state as bytes: the length of a JSON text, the text (step and log), and a safetensors file. */
import { Effect, Exit, Option, Schema } from "effect"
import { concatenate } from "../../dsl/internal/bytes.ts"
import * as Safetensors from "../../dsl/Safetensors.ts"
import type { Llama } from "../../runtime/models/Llama.ts"
import { setParameters } from "../../runtime/models/parameters.ts"
import type { AdamW } from "../../runtime/tensor/AdamW.ts"
import { read } from "../../runtime/tensor/read.ts"

const Log = Schema.Array(Schema.Record(Schema.String, Schema.Finite))
const State = Schema.Record(Schema.String, Schema.Finite)
const Meta = Schema.fromJsonString(Schema.Struct({ step: Schema.Int, log: Log, window: Log, state: State }))

export interface TrainingState {
  readonly step: number
  readonly log: typeof Log.Type
  readonly window: typeof Log.Type
  /** What the loss carries from step to step. */
  readonly state: typeof State.Type
  readonly tensors: Safetensors.Tensors
}

export const encode = Effect.fnUntraced(function* (
  model: Llama,
  optimizer: AdamW,
  { log, state, window }: Pick<TrainingState, "log" | "state" | "window">
) {
  const { moments, step } = yield* optimizer.state
  const tensors = new Map<string, Safetensors.TensorData>()
  for (const [name, parameter] of model.parameters) {
    const shape = [...parameter.shape]
    tensors.set(`weight/${name}`, { shape, data: yield* read(parameter) })
    tensors.set(`first/${name}`, { shape, data: moments.get(name)!.first })
    tensors.set(`second/${name}`, { shape, data: moments.get(name)!.second })
  }
  const text = new TextEncoder().encode(Schema.encodeSync(Meta)({ step, log, window, state }))
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, text.length, true)
  return concatenate([length, text, ...Safetensors.encode(tensors)])
})

/** `None` where the bytes are not the state of a training of this model. */
export const decode = (bytes: Uint8Array, model: Llama): Option.Option<TrainingState> => {
  const exit = Effect.runSyncExit(
    Effect.gen(function* () {
      const end = 4 + new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(0, true)
      const meta = yield* Schema.decodeUnknownEffect(Meta)(new TextDecoder().decode(bytes.subarray(4, end)))
      return { ...meta, tensors: yield* Safetensors.decode(bytes.subarray(end)) }
    })
  )
  if (Exit.isFailure(exit)) return Option.none()
  const fits = [...model.parameters].every(([name, { size }]) =>
    ["weight", "first", "second"].every((part) => exit.value.tensors.get(`${part}/${name}`)?.data.length === size)
  )
  return fits ? Option.some(exit.value) : Option.none()
}

export const restore = ({ step, tensors }: TrainingState, model: Llama, optimizer: AdamW) => {
  const part = (kind: string, name: string) => tensors.get(`${kind}/${name}`)!.data
  setParameters(model, (name) => part("weight", name))
  return optimizer.restore({
    step,
    moments: new Map(
      [...model.parameters.keys()].map((name) => [name, { first: part("first", name), second: part("second", name) }])
    )
  })
}
