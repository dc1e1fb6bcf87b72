/** Operations of our own: as devices run them, and as composed of the library's on every device. */
import * as tf from "@tensorflow/tfjs"
import {
  type CacheRows,
  cachedAttention,
  composedCachedAttention,
  type KeyValueCache
} from "../../../runtime/tensor/cachedAttention.ts"
import { CausalAttention, causalAttention } from "../../../runtime/tensor/causalAttention.ts"
import { GatherRows, gatherRows, ScatterRows, scatterRows } from "../../../runtime/tensor/gatherRows.ts"
import { LogProbs, logProbs } from "../../../runtime/tensor/logProbs.ts"
import { RmsNorm, rmsNorm } from "../../../runtime/tensor/rmsNorm.ts"
import { SwiGlu, swiGlu } from "../../../runtime/tensor/swiGlu.ts"
import { type Case, float, type Input, type Sample } from "../Case.ts"
import type { Draw } from "../draw.ts"
import * as O from "../oracle.ts"

/** The operation and its composed definition, on the same samples. */
const both = (
  name: string,
  sample: (draw: Draw) => Sample & { readonly composed: Sample["run"] }
): ReadonlyArray<Case> => [
  { name, gradient: true, sample },
  {
    name: `${name}, composed`,
    gradient: true,
    sample: (draw) => {
      const { composed, ...rest } = sample(draw)
      return { ...rest, run: composed }
    }
  }
]

const WIDTHS = [1, 2, 3, 4, 7, 8, 16, 33]

const heads = (draw: Draw): O.Heads => {
  const keyValueHeads = draw.int(1, 3)
  return {
    heads: keyValueHeads * draw.int(1, 3),
    keyValueHeads,
    headDim: draw.pick([2, 4, 6, 8, 16].slice(0, 1 + draw.size)),
    ropeTheta: draw.pick([10000, 500])
  }
}

const projections = (draw: Draw, rows: number, { headDim, heads, keyValueHeads }: O.Heads): ReadonlyArray<Input> =>
  [heads, keyValueHeads, keyValueHeads].map((count) => float(draw, [rows, count * headDim]))

/** Rows of some sequences: whole prompts, their continuations, one token at a time, in any order of sequences. */
const schedule = (draw: Draw, slotCount: number, capacity: number): CacheRows => {
  const slots: Array<number> = []
  const positions: Array<number> = []
  for (const slot of draw.order(slotCount)) {
    if (draw.int(0, 3) === 0) continue
    const from = draw.flag() ? 0 : draw.int(0, capacity - 1)
    const count = draw.flag() ? 1 : draw.int(1, capacity - from)
    for (let i = 0; i < count; i++) {
      slots.push(slot)
      positions.push(from + i)
    }
  }
  if (slots.length === 0) return { slots: Int32Array.of(0), positions: Int32Array.of(0) }
  return { slots: Int32Array.from(slots), positions: Int32Array.from(positions) }
}

const cached = (name: string, attend: typeof cachedAttention): Case => ({
  name,
  gradient: false,
  sample: (draw) => {
    const layout = heads(draw)
    const [slotCount, capacity] = [draw.int(1, 3), draw.int(1, 3 + 2 * draw.size)]
    const rows = schedule(draw, slotCount, capacity)
    const shape = [slotCount, capacity, layout.keyValueHeads * layout.headDim]
    return {
      inputs: [...projections(draw, rows.slots.length, layout), float(draw, shape), float(draw, shape)],
      attributes: { ...layout, slots: [...rows.slots], positions: [...rows.positions] },
      run: (q: tf.Tensor2D, k: tf.Tensor2D, v: tf.Tensor2D, keys: tf.Tensor3D, values: tf.Tensor3D) => {
        // Copies, not clones: the cache is written in place.
        const cache: KeyValueCache = {
          keys: tf.variable(tf.add<tf.Tensor3D>(keys, 0)),
          values: tf.variable(tf.add<tf.Tensor3D>(values, 0))
        }
        const out = attend(q, k, v, cache, rows, layout)
        const after = [tf.add(cache.keys, 0), tf.add(cache.values, 0)]
        tf.dispose([cache.keys, cache.values])
        return [out, ...after]
      },
      oracle: (q, k, v, keys, values) => {
        const result = O.cachedAttention(q, k, v, { keys: keys, values: values }, rows, layout)
        return [result.out, result.keys, result.values]
      }
    }
  }
})

const attention = (name: string, lengthsOf: (draw: Draw) => ReadonlyArray<number>): ReadonlyArray<Case> =>
  both(name, (draw) => {
    const layout = heads(draw)
    const lengths = Int32Array.from(lengthsOf(draw))
    const rows = lengths.reduce((total, length) => total + length, 0)
    return {
      inputs: projections(draw, rows, layout),
      attributes: { lengths: [...lengths], ...layout },
      run: (q: tf.Tensor2D, k: tf.Tensor2D, v: tf.Tensor2D) => causalAttention(q, k, v, lengths, layout),
      composed: (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
        CausalAttention.composed({ q, k, v }, { lengths, ...layout }),
      oracle: (q, k, v) => O.causalAttention(q, k, v, lengths, layout)
    }
  })

export const cases: ReadonlyArray<Case> = [
  ...both("rmsNorm", (draw) => {
    const [rows, width] = [draw.length(), draw.pick(WIDTHS)]
    const epsilon = draw.pick([1e-6, 1e-5, 0.1])
    return {
      inputs: [float(draw, [rows, width]), float(draw, [width])],
      attributes: { epsilon },
      run: (x: tf.Tensor2D, weight: tf.Tensor1D) => rmsNorm(x, weight, epsilon),
      composed: (x: tf.Tensor, weight: tf.Tensor) => RmsNorm.composed({ x, weight }, { epsilon }),
      oracle: (x, weight) => O.rmsNorm(x, weight, epsilon)
    }
  }),
  ...both("swiGlu", (draw) => {
    const shape = [draw.length(), draw.pick(WIDTHS)]
    const scale = draw.pick([1, 5, 20])
    return {
      inputs: [float(draw, shape, () => Math.fround(scale * draw.normal())), float(draw, shape)],
      attributes: { scale },
      run: (gate: tf.Tensor2D, up: tf.Tensor2D) => swiGlu(gate, up),
      composed: (gate: tf.Tensor, up: tf.Tensor) => SwiGlu.composed({ gate, up }, {}),
      oracle: (gate, up) => O.swiGlu(gate, up)
    }
  }),
  ...both("logProbs", (draw) => {
    const [rows, vocabulary] = [draw.length(), draw.pick(WIDTHS)]
    const scale = draw.pick([0.1, 1, 10])
    const targets = Int32Array.from({ length: rows }, () => draw.int(0, vocabulary - 1))
    return {
      inputs: [float(draw, [rows, vocabulary], () => Math.fround(scale * draw.normal()))],
      attributes: { scale, targets: [...targets] },
      run: (logits: tf.Tensor2D) => logProbs(logits, targets),
      composed: (logits: tf.Tensor) => LogProbs.composed({ logits }, { targets }),
      oracle: (logits) => O.logProbs(logits, targets)
    }
  }),
  ...both("gatherRows", (draw) => {
    const shape = [draw.length(), draw.pick(WIDTHS)]
    const rows = Int32Array.from({ length: draw.length() }, () => draw.int(0, shape[0]! - 1))
    return {
      inputs: [float(draw, shape)],
      attributes: { rows: [...rows] },
      run: (x: tf.Tensor2D) => gatherRows(x, rows),
      composed: (x: tf.Tensor) => GatherRows.composed({ x }, { rows }),
      oracle: (x) => O.rows(x, rows)
    }
  }),
  ...both("scatterRows", (draw) => {
    const shape = [draw.length(), draw.pick(WIDTHS)]
    const count = draw.length()
    const rows = Int32Array.from({ length: shape[0]! }, () => draw.int(0, count - 1))
    return {
      inputs: [float(draw, shape)],
      attributes: { rows: [...rows], count },
      run: (x: tf.Tensor2D) => scatterRows(x, rows, count),
      composed: (x: tf.Tensor) => ScatterRows.composed({ x }, { rows, count }),
      oracle: (x) => O.segmentSum(x, O.input(x.tape, [rows.length], rows, "int32"), count)
    }
  }),
  ...attention("causalAttention", (draw) =>
    Array.from({ length: draw.int(1, 3) }, () => draw.int(1, 1 + 2 * draw.size))
  ),
  ...attention("causalAttention with an empty sequence", (draw) => [draw.int(1, 4), 0, draw.int(1, 4)]),
  ...attention("causalAttention over a long sequence", (draw) => [draw.pick([17, 33]), draw.int(1, 3)]),
  cached("cachedAttention", cachedAttention),
  cached("cachedAttention, composed", composedCachedAttention),
  {
    name: "gatherRows and scatterRows of nothing",
    gradient: true,
    sample: (draw) => {
      const none = new Int32Array(0)
      return {
        inputs: [float(draw, [3, 2]), float(draw, [0, 2])],
        attributes: {},
        run: (x: tf.Tensor2D, y: tf.Tensor2D) => [gatherRows(x, none), scatterRows(y, none, 4)],
        oracle: (x, y) => [O.rows(x, none), O.segmentSum(y, O.input(y.tape, [0], none, "int32"), 4)]
      }
    }
  }
]
