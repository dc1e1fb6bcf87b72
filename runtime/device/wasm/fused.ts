/** The fused operations of the wasm device: `runtime/tensor/operations.ts` runs them in place of the composed definitions. */
import * as tf from "@tensorflow/tfjs"
import type { UpdateRule } from "../../tensor/AdamW.ts"
import type { CacheRows } from "../../tensor/cachedAttention.ts"
import type { CausalAttributes, Heads } from "../../tensor/causalAttention.ts"
import { rotaryTable } from "../../tensor/rotary.ts"
import { type Heap, heapOf } from "./host.ts"

/** Registers them for every wasm backend that `loadKernels` is done with. A second time changes nothing. */
export const registerFused = (): void => {
  for (const [name, run] of Object.entries(kernels)) {
    const kernelName = `Prefline${name}`
    if (tf.getKernel(kernelName, "wasm")) continue
    tf.registerKernel({
      kernelName,
      backendName: "wasm",
      kernelFunc: ({ attrs, backend, inputs }) => [...run(heapOf(backend), inputs as Inputs, attrs as never)]
    })
  }
}

type Inputs = Readonly<Record<string, tf.TensorInfo>>
type Run = (heap: Heap, inputs: Inputs, attributes: never) => ReadonlyArray<tf.TensorInfo>

const size = ({ shape }: tf.TensorInfo) => shape.reduce((product, length) => product * length, 1)

/** New tensors, all of them or, where the memory ends, none. */
const allocate = (heap: Heap, shapes: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<tf.TensorInfo> => {
  const made: Array<tf.TensorInfo> = []
  try {
    for (const shape of shapes) made.push(heap.allocate(shape))
    return made
  } catch (cause) {
    for (const tensor of made) heap.release(tensor)
    throw cause
  }
}

const addresses = (heap: Heap, tensors: ReadonlyArray<tf.TensorInfo | undefined>) =>
  tensors.map((tensor) => heap.address(tensor!))

const rmsNorm = (heap: Heap, { weight, x }: Inputs, { epsilon }: { readonly epsilon: number }) => {
  const [rows, width] = x!.shape as [number, number]
  const out = allocate(heap, [[rows, width], [rows]])
  heap.exports.rmsNorm!(...addresses(heap, [x, weight, ...out]), rows, width, epsilon)
  return out
}

const rmsNormGradient = (heap: Heap, { dy, kept0: scales, weight, x }: Inputs) => {
  const [rows, width] = x!.shape as [number, number]
  return heap.withScratch(heap.exports.rmsNormScratch!(width), (scratch) => {
    const out = allocate(heap, [[rows, width], [width]])
    heap.exports.rmsNormGradient!(...addresses(heap, [x, weight, scales, dy, ...out]), rows, width, scratch)
    return out
  })
}

const swiGlu = (heap: Heap, { gate, up }: Inputs) => {
  return heap.withScratch(heap.exports.expScratch!(), (scratch) => {
    const out = allocate(heap, [gate!.shape])
    heap.exports.swiGlu!(...addresses(heap, [gate, up, ...out]), size(gate!), scratch)
    return out
  })
}

const swiGluGradient = (heap: Heap, { dy, gate, up }: Inputs) => {
  return heap.withScratch(heap.exports.expScratch!(), (scratch) => {
    const out = allocate(heap, [gate!.shape, gate!.shape])
    heap.exports.swiGluGradient!(...addresses(heap, [gate, up, dy, ...out]), size(gate!), scratch)
    return out
  })
}

interface Targets {
  readonly targets: Int32Array
}

const logProbs = (heap: Heap, { logits }: Inputs, { targets }: Targets) => {
  const [rows, vocabulary] = logits!.shape as [number, number]
  if (targets.length !== rows) throw new RangeError(`${targets.length} targets for ${rows} rows of logits`)
  for (const target of targets)
    if (!(target >= 0 && target < vocabulary))
      throw new RangeError(`target ${target} is outside a vocabulary of ${vocabulary}`)
  return withTargets(heap, targets, (chosen, scratch) => {
    const out = allocate(heap, [[rows], [2, rows]])
    const [from, ...others] = addresses(heap, [logits, ...out])
    heap.exports.logProbs!(from!, chosen, ...others, rows, vocabulary, scratch)
    return out
  })
}

const logProbsGradient = (heap: Heap, { dy, kept0: kept, logits }: Inputs, { targets }: Targets) => {
  const [rows, vocabulary] = logits!.shape as [number, number]
  return withTargets(heap, targets, (chosen, scratch) => {
    const out = allocate(heap, [logits!.shape])
    const [from, ...others] = addresses(heap, [logits, kept, dy, ...out])
    heap.exports.logProbsGradient!(from!, chosen, ...others, rows, vocabulary, scratch)
    return out
  })
}

const withTargets = <A>(heap: Heap, targets: Int32Array, run: (chosen: number, scratch: number) => A) =>
  heap.withInts(targets, (chosen) => heap.withScratch(heap.exports.expScratch!(), (scratch) => run(chosen, scratch)))

const checkRows = (rows: Int32Array, count: number) => {
  for (const row of rows)
    if (!(row >= 0 && row < count)) throw new RangeError(`row ${row} is outside a matrix of ${count} rows`)
}

const gatherRows = (heap: Heap, { x }: Inputs, { rows }: { readonly rows: Int32Array }) => {
  const [count, width] = x!.shape as [number, number]
  checkRows(rows, count)
  return heap.withInts(rows, (chosen) => {
    const out = allocate(heap, [[rows.length, width]])
    heap.exports.gatherRows!(heap.address(x!), chosen, heap.address(out[0]!), rows.length, width)
    return out
  })
}

const scatterRows = (
  heap: Heap,
  { x }: Inputs,
  { count, rows }: { readonly rows: Int32Array; readonly count: number }
) => {
  const [given, width] = x!.shape as [number, number]
  if (rows.length !== given) throw new RangeError(`${rows.length} row numbers for ${given} rows`)
  checkRows(rows, count)
  return heap.withInts(rows, (chosen) => {
    const out = allocate(heap, [[count, width]])
    heap.exports.scatterRows!(heap.address(x!), chosen, heap.address(out[0]!), given, width, count)
    return out
  })
}

/** What a call of causal attention covers; refuses lengths and heads that do not fit. */
const measure = (rows: number, { headDim, heads, keyValueHeads, lengths }: CausalAttributes) => {
  let total = 0
  let longest = 0
  for (const length of lengths) {
    if (length < 0) throw new RangeError(`a sequence of ${length} rows`)
    total += length
    longest = Math.max(longest, length)
  }
  if (total !== rows) throw new RangeError(`sequence lengths sum to ${total}, but there are ${rows} rows`)
  if (heads % keyValueHeads !== 0 || headDim % 2 !== 0)
    throw new RangeError(`${heads} heads of ${headDim} do not fit ${keyValueHeads} key-value heads`)
  return longest
}

const causalAttention = (heap: Heap, { k, q, v }: Inputs, attributes: CausalAttributes) => {
  const { headDim, heads, keyValueHeads, lengths } = attributes
  const longest = measure(q!.shape[0]!, attributes)
  const table = turns(heap, attributes, longest)
  const { causalAttention, causalScratch, triangle } = heap.exports
  let weights = 0
  for (const length of lengths) weights += heads * triangle!(length)
  return heap.withInts(lengths, (cut) =>
    heap.withScratch(causalScratch!(longest, headDim), (scratch) => {
      const out = allocate(heap, [q!.shape, [weights]])
      const numbers = [lengths.length, heads, keyValueHeads, headDim, longest]
      causalAttention!(...addresses(heap, [q, k, v, ...out]), cut, ...numbers, table, scratch)
      return out
    })
  )
}

const causalAttentionGradient = (heap: Heap, { dy, k, kept0: weights, q, v }: Inputs, attributes: CausalAttributes) => {
  const { headDim, heads, keyValueHeads, lengths } = attributes
  const longest = measure(q!.shape[0]!, attributes)
  const table = turns(heap, attributes, longest)
  const { causalAttentionGradient, causalGradientScratch } = heap.exports
  return heap.withInts(lengths, (cut) =>
    heap.withScratch(causalGradientScratch!(longest, headDim), (scratch) => {
      const out = allocate(heap, [q!.shape, k!.shape, v!.shape])
      const numbers = [lengths.length, heads, keyValueHeads, headDim, longest]
      causalAttentionGradient!(...addresses(heap, [q, k, v, weights, dy, ...out]), cut, ...numbers, table, scratch)
      return out
    })
  )
}

const cachedAttention = (heap: Heap, { k, keys, q, v, values }: Inputs, attributes: CacheRows & Heads) => {
  const { headDim, heads, keyValueHeads, positions, slots } = attributes
  const [slotCount, capacity] = keys!.shape as [number, number]
  let last = -1
  for (const position of positions) {
    if (!(position >= 0 && position < capacity))
      throw new RangeError(`position ${position} is outside a cache of ${capacity} positions`)
    last = Math.max(last, position)
  }
  for (const slot of slots)
    if (!(slot >= 0 && slot < slotCount)) throw new RangeError(`slot ${slot} is outside ${slotCount} slots`)
  const table = turns(heap, attributes, last + 1)
  const { cachedAttention, cachedScratch } = heap.exports
  const rows = slots.length
  return heap.withInts([...slots, ...positions], (where) =>
    heap.withScratch(cachedScratch!(last, headDim), (scratch) => {
      const out = allocate(heap, [q!.shape])
      const numbers = [rows, capacity, heads, keyValueHeads, headDim]
      const tensors = addresses(heap, [q, k, v, keys, values, ...out])
      cachedAttention!(...tensors, where, where + 4 * rows, ...numbers, table, scratch)
      return out
    })
  )
}

/** Tables of rotary angles in a backend's memory, shared by all calls; one that grows replaces the smaller. */
const tables = new WeakMap<Heap, Map<string, { readonly tensor: tf.TensorInfo; readonly positions: number }>>()

/**
 * Address of the angles of positions below `positions`: per position the cosines of all pairs and then the sines, each
 * padded with zeros to a multiple of four. Computed in float64; grows by doubling.
 */
const turns = (heap: Heap, { headDim, ropeTheta }: Heads, positions: number): number => {
  const known = tables.get(heap) ?? new Map()
  tables.set(heap, known)
  const key = `${headDim}:${ropeTheta}`
  const table = known.get(key)
  if (table && table.positions >= positions) return heap.address(table.tensor)
  const capacity = Math.max(64, positions, 2 * (table?.positions ?? 0))
  const { cos, pairs, sin } = rotaryTable(headDim, ropeTheta, capacity)
  const padded = Math.ceil(pairs / 4) * 4
  const tensor = heap.allocate([capacity, 2, padded])
  const floats = heap.floats(tensor).fill(0)
  for (let position = 0; position < capacity; position++) {
    const [from, to] = [position * pairs, (position + 1) * pairs]
    floats.set(cos.subarray(from, to), 2 * position * padded)
    floats.set(sin.subarray(from, to), (2 * position + 1) * padded)
  }
  if (table) heap.release(table.tensor)
  known.set(key, { tensor, positions: capacity })
  return heap.address(tensor)
}

const adamW = (heap: Heap, { first, gradient, parameter, second }: Inputs, rule: UpdateRule) => {
  const { beta1, beta2, correction, epsilon, keep, scale, size: step } = rule
  const tensors = addresses(heap, [parameter, first, second, gradient])
  heap.exports.adamW!(...tensors, size(parameter!), scale, beta1, beta2, epsilon, step, correction, keep)
  return []
}

const sumOfSquares = (heap: Heap, { x }: Inputs) => {
  const out = heap.allocate([])
  heap.floats(out)[0] = heap.exports.sumOfSquares!(heap.address(x!), size(x!))
  return [out]
}

const draw = (
  heap: Heap,
  { logits }: Inputs,
  { temperature, uniforms }: { readonly temperature: number; readonly uniforms: Float64Array }
) => {
  const [rows, vocabulary] = logits!.shape as [number, number]
  if (uniforms.length !== rows) throw new RangeError(`${uniforms.length} uniform numbers for ${rows} rows of logits`)
  if (!(temperature >= 0)) throw new RangeError(`temperature ${temperature} is negative`)
  // Temperatures whose inverse is no float32 number between 0 and infinity: any two logits are as far apart, or as near.
  const inRange = temperature === 0 ? 0 : Math.min(Math.max(temperature, 2 ** -126), 2 ** 126)
  const words = new Int32Array(Float64Array.from(uniforms).buffer)
  return heap.withInts(words, (chances) =>
    heap.withScratch(heap.exports.drawScratch!(vocabulary), (scratch) => {
      const tokens = heap.allocate([rows], "int32")
      const [logProbs] = allocate(heap, [[rows]]) as [tf.TensorInfo]
      const [from, ...to] = addresses(heap, [logits, tokens, logProbs])
      heap.exports.draw!(from!, chances, ...to, rows, vocabulary, inRange, scratch)
      return [tokens, logProbs]
    })
  )
}

/** By the operation's name. */
const kernels: Readonly<Record<string, Run>> = {
  RmsNorm: rmsNorm,
  RmsNormGradient: rmsNormGradient,
  SwiGlu: swiGlu,
  SwiGluGradient: swiGluGradient,
  LogProbs: logProbs,
  LogProbsGradient: logProbsGradient,
  GatherRows: gatherRows,
  ScatterRows: scatterRows,
  CausalAttention: causalAttention,
  CausalAttentionGradient: causalAttentionGradient,
  CachedAttention: cachedAttention,
  AdamW: adamW,
  SumOfSquares: sumOfSquares,
  Draw: draw
}
