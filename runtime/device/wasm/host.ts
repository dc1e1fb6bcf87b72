/**
 * Our own kernels of the wasm device, compiled from `assembly/` by `build.ts` and run in the memory of tfjs's wasm backend.
 *
 * Use: `await loadKernels(backend)` once, after the backend is current. Then, in a `kernelFunc({ backend, inputs, attrs })`:
 * ```ts
 * const heap = heapOf(backend)
 * const out = heap.allocate([rows, columns])                 // a tensor whose values are undefined: write every element
 * heap.exports.nameOfTheExport!(heap.address(inputs.x), heap.address(out), rows, columns)
 * return out
 * ```
 * - An address is a byte offset. It stays valid as long as its tensor lives, whatever is allocated meanwhile; views of the
 *   memory (`heap.floats`, `heap.ints`, `heap.bytes`) do not: any allocation may move the memory, so take them last.
 * - Host arrays: `heap.withInts(lengths, (address) => …)`. Working memory: `heap.withScratch(bytes, (address) => …)`.
 * - A new kernel: export a function from a file in `assembly/`, name it in `assembly/index.ts`, run `npm run build`.
 *   Accumulate through `madd` of `assembly/lanes.ts`, so that both builds differ in nothing else.
 */
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import type * as tf from "@tensorflow/tfjs"
import { withSharedMemory } from "./sharedMemory.ts"
import { engine, type Memory } from "./webAssembly.ts"

/** Plain SIMD, or relaxed SIMD with fused multiply-add, which rounds once where the other rounds twice. */
export type Build = "simd" | "fma"

/** What was loaded into a backend. */
export interface Kernels {
  readonly exports: Exports
  readonly build: Build
  /** SHA-256 of the file's bytes, in hex. */
  readonly digest: string
  /** The memory that they work in. */
  readonly memory: Memory
  /** The compiled module, for instances of other threads. */
  readonly module: object
}

/** Functions of numbers: addresses in bytes, counts in elements, float32 values. */
export type Exports = Readonly<Record<string, (...numbers: ReadonlyArray<number>) => number>>

/** A piece of the memory that is no tensor. */
export interface Block {
  readonly address: number
  readonly bytes: number
  readonly free: () => void
}

/** A backend's memory as a kernel sees it. */
export interface Heap {
  readonly exports: Exports
  /** Byte offset of a tensor's values. */
  readonly address: (tensor: tf.TensorInfo) => number
  /** A new tensor whose values are undefined. Throws RangeError when the memory is exhausted. */
  readonly allocate: (shape: ReadonlyArray<number>, dtype?: "float32" | "int32" | "bool") => tf.TensorInfo
  /** Frees a temporary tensor of the kernel's own. */
  readonly release: (tensor: tf.TensorInfo) => void
  /** Another tensor over the same values; both must be released. */
  readonly share: (tensor: tf.TensorInfo, shape: ReadonlyArray<number>) => tf.TensorInfo
  /** Runs with `bytes` of working memory at an address that is a multiple of 64. The values are undefined. */
  readonly withScratch: <A>(bytes: number, run: (address: number) => A) => A
  /** Working memory that stays until it is freed, at an address that is a multiple of 64. The values are undefined. */
  readonly reserve: (bytes: number) => Block
  /** Runs with a copy of `values` in the memory. */
  readonly withInts: <A>(values: ArrayLike<number>, run: (address: number) => A) => A
  /** Live views, valid until the next allocation. */
  readonly floats: (tensor: tf.TensorInfo) => Float32Array
  readonly ints: (tensor: tf.TensorInfo) => Int32Array
  readonly bytes: (tensor: tf.TensorInfo) => Uint8Array
}

/**
 * Loads our kernels into a backend's memory; a second call for the same backend gives the same ones.
 * **Details** `fma` where the engine knows relaxed SIMD and the machine really fuses: relaxed SIMD allows it to round twice,
 * and then one name would stand for two results. `PREFLINE_WASM=simd|fma` forces a build; rejects where `fma` cannot be had.
 */
export const loadKernels = (backend: object): Promise<Kernels> => {
  const known = loading.get(backend)
  if (known) return known
  const started = load(backend as WasmBackend)
  loading.set(backend, started)
  return started
}

/** The memory of a backend that `loadKernels` has finished with; throws otherwise. */
export const heapOf = (backend: object): Heap => {
  const heap = heaps.get(backend)
  if (!heap) throw new Error("our kernels are not loaded into this backend: await loadKernels(backend) first")
  return heap
}

/** What we use of tfjs's wasm backend, which keeps these members out of its types. */
interface WasmBackend {
  readonly wasm: {
    readonly asm: { readonly memory: Memory }
    _malloc: (bytes: number) => number
    readonly _free: (address: number) => void
  }
  readonly dataIdMap: { readonly get: (id: object) => { readonly memoryOffset: number } }
  readonly makeOutput: (shape: ReadonlyArray<number>, dtype: tf.DataType) => tf.TensorInfo
  readonly incRef: (id: object) => void
  readonly disposeData: (id: object) => boolean
}

const loading = new WeakMap<object, Promise<Kernels>>()
const heaps = new WeakMap<object, Heap>()

const load = async (backend: WasmBackend): Promise<Kernels> => {
  const forced = process.env.PREFLINE_WASM
  if (forced !== undefined && forced !== "simd" && forced !== "fma")
    throw new Error(`PREFLINE_WASM is "${forced}"; it may be simd or fma`)
  const { memory } = backend.wasm.asm
  const fused = forced === "simd" ? undefined : await instantiateIfFused(memory)
  if (forced === "fma" && !fused)
    throw new Error('PREFLINE_WASM is "fma", but this engine or machine has no fused multiply-add')
  const kernels = fused ?? (await instantiate("simd", memory))
  refuseNull(backend)
  heaps.set(backend, makeHeap(backend, memory, kernels.exports))
  return kernels
}

/** At 4 GiB the allocator answers with address 0, and the library would write a tensor over whatever lies there. */
const refuseNull = ({ wasm }: WasmBackend): void => {
  wasm._free(wasm._malloc(1)) // the first call replaces `_malloc` by what it stands for
  const malloc = wasm._malloc
  wasm._malloc = (bytes) => {
    const address = malloc(bytes) >>> 0
    if (address === 0) throw new RangeError(`the wasm device has no room for another ${bytes} bytes`)
    return address
  }
}

const fileOf = (build: Build) => readFile(new URL(`./prefline-${build}.wasm`, import.meta.url))

const instantiate = async (build: Build, memory: Memory): Promise<Kernels> => {
  const bytes = await fileOf(build)
  const shared = memory.buffer instanceof SharedArrayBuffer
  const { instance, module } = await engine.instantiate(shared ? withSharedMemory(bytes) : bytes, { env: { memory } })
  const digest = createHash("sha256").update(bytes).digest("hex")
  return { exports: instance.exports, build, digest, memory, module }
}

const instantiateIfFused = async (memory: Memory): Promise<Kernels | undefined> => {
  if (!engine.validate(await fileOf("fma"))) return undefined
  const kernels = await instantiate("fma", memory)
  return fuses(kernels.exports) ? kernels : undefined
}

/** (1 + 2^-12)^2 - (1 + 2^-11) is 2^-24 exactly, and 0 if the product is rounded first. */
const fuses = (exports: Exports): boolean => exports.maddOnce!(1 + 2 ** -12, 1 + 2 ** -12, -(1 + 2 ** -11)) !== 0

const makeHeap = (backend: WasmBackend, memory: Memory, exports: Exports): Heap => {
  const address = ({ dataId }: tf.TensorInfo) => backend.dataIdMap.get(dataId).memoryOffset
  const release = ({ dataId }: tf.TensorInfo) => void backend.disposeData(dataId)
  const size = ({ shape }: tf.TensorInfo) => shape.reduce((product, size) => product * size, 1)
  const reserve = (bytes: number): Block => {
    const start = backend.wasm._malloc(bytes + 63)
    return { address: Math.ceil(start / 64) * 64, bytes, free: () => backend.wasm._free(start) }
  }
  const withScratch = <A>(bytes: number, run: (address: number) => A): A => {
    const block = reserve(bytes)
    try {
      return run(block.address)
    } finally {
      block.free()
    }
  }
  return {
    exports,
    address,
    allocate: (shape, dtype = "float32") => backend.makeOutput([...shape], dtype),
    release,
    share: (tensor, shape) => {
      backend.incRef(tensor.dataId)
      return { dataId: tensor.dataId, shape: [...shape], dtype: tensor.dtype }
    },
    reserve,
    withScratch,
    withInts: (values, run) =>
      withScratch(values.length * 4, (start) => {
        new Int32Array(memory.buffer, start, values.length).set(values)
        return run(start)
      }),
    floats: (tensor) => new Float32Array(memory.buffer, address(tensor), size(tensor)),
    ints: (tensor) => new Int32Array(memory.buffer, address(tensor), size(tensor)),
    bytes: (tensor) => new Uint8Array(memory.buffer, address(tensor), size(tensor))
  }
}
