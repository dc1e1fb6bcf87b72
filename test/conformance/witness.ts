/** Sees to it that a device does its work itself: nothing may run, or end up, elsewhere. */
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import type { Kind } from "../../runtime/device/Device.ts"

/** Work was done by another backend than the one asked for. */
export class FellBack extends Error {
  override readonly name = "FellBack"
}

/** The tensor library's name for a device's backend. */
export const backendOf: Readonly<Record<Kind, string>> = {
  cpu: "cpu",
  wasm: "wasm",
  webgpu: "webgpu",
  node: "tensorflow",
  "node-gpu": "tensorflow"
}

/** What is used here of the library's engine, which keeps these members out of its types. */
interface Engine {
  readonly backendName: string
  readonly backend: object
  readonly registry: Readonly<Record<string, object>>
  readonly state: { readonly tensorInfo: WeakMap<object, { readonly backend: object }> }
  runKernelFunc: (parameters: {
    readonly kernelName?: string
    readonly inputs: Readonly<Record<string, tf.TensorInfo | null | undefined>>
  }) => tf.TensorInfo | ReadonlyArray<tf.TensorInfo>
}

const engine = () => tf.engine() as unknown as Engine

/** Of the backends' classes, what is found in no other: each keeps values in a storage of its own. */
interface Storages {
  readonly data: WeakMap<object, { readonly values: unknown }>
  readonly wasm: object
  readonly dataIdMap: WeakMap<object, { readonly memoryOffset: unknown }>
  readonly device: object
  readonly binding: object
  readonly tensorMap: WeakMap<object, { readonly resource: unknown; readonly id: number }>
}

const holds: Readonly<Record<string, (backend: Storages, id: object) => boolean>> = {
  cpu: ({ data }, id) => data.get(id)?.values != null,
  wasm: ({ dataIdMap, wasm }, id) => wasm !== undefined && Number.isInteger(dataIdMap.get(id)?.memoryOffset),
  webgpu: ({ device, tensorMap }, id) => device !== undefined && tensorMap.get(id)?.resource != null,
  tensorflow: ({ binding, tensorMap }, id) => binding !== undefined && (tensorMap.get(id)?.id ?? -1) >= 0
}

/** Names of kernels run so far under `watched`, over all calls. */
export const kernelsSeen: Set<string> = new Set()

/** Watches kernels from now until the returned function is called; `see` is told of each, after it ran. */
const watch = (kind: Kind, see: (kernel: string, computed: ReadonlyArray<object>) => void) => {
  const asked = backendOf[kind]
  const the = engine()
  const expected = the.registry[asked]
  const check = (when: string) => {
    if (the.backendName !== asked || the.backend !== expected)
      throw new FellBack(`${when} the current backend is "${the.backendName}", not "${asked}"`)
  }
  const original = the.runKernelFunc
  const own = Object.hasOwn(the, "runKernelFunc")
  the.runKernelFunc = (parameters) => {
    if (parameters.kernelName !== undefined) check(`at kernel ${parameters.kernelName}`)
    const outputs = original.call(the, parameters)
    if (parameters.kernelName !== undefined) {
      const given = new Set(Object.values(parameters.inputs).map((input) => input?.dataId))
      see(
        parameters.kernelName,
        [outputs].flat().flatMap(({ dataId }) => (given.has(dataId) ? [] : [dataId]))
      )
    }
    return outputs
  }
  const stop = () => {
    if (own) the.runKernelFunc = original
    else Reflect.deleteProperty(the, "runKernelFunc")
  }
  return { check, expected, stop }
}

/**
 * Runs tensor operations and throws `FellBack` if the current backend is not the asked one before, after or at any kernel, or
 * if a result does not lie in that backend's own memory.
 * **Gotchas** Watches what is run synchronously. Results of zero elements lie nowhere, and values that were given and never
 * computed with may not have reached the device yet.
 */
export const watched = <T extends tf.Tensor>(kind: Kind, run: () => ReadonlyArray<T>): ReadonlyArray<T> => {
  const computed = new Set<object>()
  const { check, expected, stop } = watch(kind, (kernel, ids) => {
    kernelsSeen.add(kernel)
    for (const id of ids) computed.add(id)
  })
  try {
    check("before the operation")
    const results = run()
    check("after the operation")
    for (const { dataId, size } of results) {
      if (engine().state.tensorInfo.get(dataId)?.backend !== expected)
        throw new FellBack(`a result belongs to another backend than "${backendOf[kind]}"`)
      if (size > 0 && computed.has(dataId) && !holds[backendOf[kind]]!(expected as Storages, dataId))
        throw new FellBack(`a result does not lie in the memory of "${backendOf[kind]}"`)
    }
    return results
  } finally {
    stop()
  }
}

/** Tells of every kernel that a program runs; dies with `FellBack` if one runs elsewhere. */
export const recording = <A, E, R>(
  kind: Kind,
  program: Effect.Effect<A, E, R>,
  see: (kernel: string) => void
): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => watch(kind, see)),
    () => program,
    ({ stop }) => Effect.sync(stop)
  )
