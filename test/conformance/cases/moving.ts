/** Elements moved, repeated, picked and put together, never computed; and sums of segments, the gradient of picking. */
import * as tf from "@tensorflow/tfjs"
import { bool, type Case, float, type Input, int, type Sample } from "../Case.ts"
import type { Draw } from "../draw.ts"
import * as O from "../oracle.ts"

type Definition = Omit<Sample, "inputs">

/** One float tensor of some rank. */
const moving = (
  name: string,
  [fewest, most]: readonly [number, number],
  define: (draw: Draw, shape: ReadonlyArray<number>) => Definition,
  gradient = true
): Case => ({
  name,
  gradient,
  sample: (draw) => {
    const shape = draw.shape(draw.int(fewest, most))
    return { inputs: [float(draw, shape)], ...define(draw, shape) }
  }
})

/** The same, on integers and truth values, which have storage of their own. */
const movingWhole = (
  name: string,
  [fewest, most]: readonly [number, number],
  define: (draw: Draw, shape: ReadonlyArray<number>) => Definition
): Case => ({
  name,
  gradient: false,
  sample: (draw) => {
    const shape = draw.shape(draw.int(fewest, most))
    const input = draw.flag() ? int(draw, shape, -99, 99) : bool(draw, shape)
    return { inputs: [input], ...define(draw, shape) }
  }
})

const transposed = (draw: Draw, shape: ReadonlyArray<number>): Definition => {
  const order = draw.order(shape.length)
  return {
    attributes: { order },
    run: (x) => tf.transpose(x, [...order]),
    oracle: (x) => O.transpose(x, order)
  }
}

const sliced = (draw: Draw, shape: ReadonlyArray<number>): Definition => {
  const begin = shape.map((length) => draw.int(0, length - 1))
  const size = shape.map((length, axis) => draw.int(1, length - begin[axis]!))
  return {
    attributes: { begin, size },
    run: (x) => tf.slice(x, begin, size),
    oracle: (x) => O.slice(x, begin, size)
  }
}

const reversed = (draw: Draw, shape: ReadonlyArray<number>): Definition => {
  const axes = shape.map((_, axis) => axis).filter(() => draw.flag())
  return {
    attributes: { axes },
    run: (x) => (axes.length === 0 ? tf.reverse(x) : tf.reverse(x, axes)),
    oracle: (x) => {
      const turned = new Set(axes.length === 0 ? shape.map((_, axis) => axis) : axes)
      return O.move(x, shape, (at) => at.map((i, axis) => (turned.has(axis) ? shape[axis]! - 1 - i : i)))
    }
  }
}

const tiled = (draw: Draw, shape: ReadonlyArray<number>): Definition => {
  const times = shape.map(() => draw.int(1, 3))
  return {
    attributes: { times },
    run: (x) => tf.tile(x, times),
    oracle: (x) =>
      O.move(
        x,
        shape.map((length, axis) => length * times[axis]!),
        (at) => at.map((i, axis) => i % shape[axis]!)
      )
  }
}

const padded = (draw: Draw, shape: ReadonlyArray<number>): Definition => {
  const widths = shape.map((): [number, number] => [draw.int(0, 2), draw.int(0, 2)])
  const filler = draw.int(0, 1)
  return {
    attributes: { widths, filler },
    run: (x) => tf.pad(x, widths, filler),
    oracle: (x) =>
      O.move(
        x,
        shape.map((length, axis) => length + widths[axis]![0] + widths[axis]![1]),
        (at) => {
          const from = at.map((i, axis) => i - widths[axis]![0])
          return from.every((i, axis) => i >= 0 && i < shape[axis]!) ? from : undefined
        },
        filler
      )
  }
}

const mirrored = (mode: "reflect" | "symmetric"): Case =>
  moving(
    `mirrorPad, ${mode}`,
    [1, 3],
    (draw, shape) => {
      const most = (length: number) => Math.min(2, mode === "reflect" ? length - 1 : length)
      const widths = shape.map((length): [number, number] => [draw.int(0, most(length)), draw.int(0, most(length))])
      const edge = mode === "reflect" ? 0 : 1
      return {
        attributes: { widths },
        run: (x) => tf.mirrorPad(x, widths, mode),
        oracle: (x) =>
          O.move(
            x,
            shape.map((length, axis) => length + widths[axis]![0] + widths[axis]![1]),
            (at) =>
              at.map((i, axis) => {
                const from = i - widths[axis]![0]
                if (from < 0) return -from - edge
                return from < shape[axis]! ? from : 2 * shape[axis]! - 2 - from + edge
              })
          )
      }
    },
    mode === "reflect"
  )

const joined = (
  name: string,
  run: (xs: Array<tf.Tensor>, axis: number) => tf.Tensor,
  stacked: boolean,
  whole: boolean
): Case => ({
  name,
  gradient: !whole,
  sample: (draw) => {
    const shape = draw.shape(draw.int(1, stacked ? 3 : 4))
    const axis = draw.int(0, stacked ? shape.length : shape.length - 1)
    const inputs = Array.from({ length: draw.int(stacked ? 1 : 2, 4) }, (): Input => {
      const own = stacked ? shape : shape.with(axis, draw.length(5))
      return whole ? int(draw, own, -99, 99) : float(draw, own)
    })
    return {
      inputs,
      attributes: { axis },
      run: (...xs: ReadonlyArray<tf.Tensor>) => run([...xs], axis),
      oracle: (...xs) => (stacked ? O.stack : O.concat)(xs, axis)
    }
  }
})

/** Cuts an axis into parts; `unstack` takes the axis away besides. */
const parted = (name: string, lengthsOf: (draw: Draw) => Array<number>, unstack: boolean): Case => ({
  name,
  gradient: true,
  sample: (draw) => {
    const lengths = lengthsOf(draw)
    const around = draw.shape(draw.int(0, 2))
    const axis = draw.int(0, around.length)
    const total = lengths.reduce((sum, length) => sum + length, 0)
    return {
      inputs: [float(draw, around.toSpliced(axis, 0, total))],
      attributes: { axis, lengths },
      run: (x: tf.Tensor) => (unstack ? tf.unstack(x, axis) : tf.split(x, lengths, axis)),
      oracle: (x) =>
        lengths.map((_, i) => {
          const one = O.part(x, axis, lengths, i)
          return unstack ? O.reshape(one, around) : one
        })
    }
  }
})

const gathered = (name: string, batchDims: number, rankOfIndices: readonly [number, number]): Case => ({
  name,
  gradient: true,
  sample: (draw) => {
    const shape = draw.shape(draw.int(batchDims + 1, 3))
    const axis = draw.int(batchDims, shape.length - 1)
    const more = Array.from({ length: draw.int(...rankOfIndices) }, () => draw.length(7))
    const indices = int(draw, [...shape.slice(0, batchDims), ...more], 0, shape[axis]! - 1)
    return {
      inputs: [float(draw, shape), indices],
      attributes: { axis, batchDims },
      run: (x: tf.Tensor, indices: tf.Tensor) => tf.gather(x, indices as tf.Tensor1D, axis, batchDims),
      oracle: (x, indices) => O.gather(x, indices, axis, batchDims)
    }
  }
})

const oneHot = (dtype: "int32" | "float32" | "bool", own: boolean): Case => ({
  name: `oneHot ${dtype}${own ? " with values of its own" : ""}`,
  gradient: false,
  sample: (draw) => {
    const depth = 1 + draw.length()
    const [on, off] = own ? [draw.int(2, 5), draw.int(-3, -1)] : [1, 0]
    return {
      inputs: [int(draw, draw.shape(draw.int(1, 2)), -1, depth)],
      attributes: { depth, on, off },
      run: (x: tf.Tensor) => tf.oneHot(x, depth, on, off, dtype),
      oracle: (x) => {
        const row = (i: number) =>
          O.build(x.tape, [depth], dtype, ([d]) => O.input(x.tape, [], [i === d ? on : off]).ids[0]!)
        const ids = [...O.valuesOf(x)].flatMap((i) => row(i).ids)
        return { tape: x.tape, shape: [...x.shape, depth], dtype, ids }
      }
    }
  }
})

export const cases: ReadonlyArray<Case> = [
  moving("transpose", [1, 6], transposed),
  movingWhole("transpose of integers and truth values", [1, 4], transposed),
  {
    name: "transpose of long matrices",
    gradient: true,
    sample: (draw) => {
      const shape = [draw.pick([1, 3, 16, 31]), draw.pick([4, 33, 64]), draw.int(1, 3)].slice(0, draw.int(2, 3))
      return { inputs: [float(draw, shape)], ...transposed(draw, shape) }
    }
  },
  moving("reshape", [0, 4], (draw, shape) => {
    const to = draw.flag() ? [shape.reduce((n, length) => n * length, 1)] : [...shape.toReversed(), 1]
    return { attributes: { to }, run: (x) => tf.reshape(x, to), oracle: (x) => O.reshape(x, to) }
  }),
  moving("expandDims and squeeze", [1, 4], (draw, shape) => {
    const axis = draw.int(0, shape.length)
    return {
      attributes: { axis },
      run: (x) => [tf.expandDims(x, axis), tf.squeeze(tf.expandDims(x, axis), [axis])],
      oracle: (x) => [O.reshape(x, shape.toSpliced(axis, 0, 1)), x]
    }
  }),
  moving("slice", [1, 4], sliced),
  moving("slice of five axes", [5, 5], sliced),
  movingWhole("slice of integers and truth values", [1, 3], sliced),
  moving("reverse", [1, 4], reversed),
  moving("tile", [1, 4], tiled),
  movingWhole("tile of integers and truth values", [1, 3], tiled),
  moving("pad", [1, 4], padded),
  movingWhole("pad of integers and truth values", [1, 3], padded),
  mirrored("reflect"),
  mirrored("symmetric"),
  moving("broadcastTo", [1, 3], (draw, shape) => {
    const narrow = shape.map((length) => (length > 1 ? length : draw.length(5)))
    const to = draw.flag() ? [draw.length(3), ...narrow] : narrow
    return {
      attributes: { to },
      run: (x) => tf.broadcastTo(x, to),
      oracle: (x) =>
        O.move(x, to, (at) => shape.map((length, axis) => (length === 1 ? 0 : at[axis + at.length - shape.length]!)))
    }
  }),
  moving(
    "stridedSlice",
    [1, 3],
    (draw, shape) => {
      const begin = shape.map((length) => draw.int(0, length - 1))
      const strides = shape.map(() => draw.int(1, 3))
      const to = shape.map((length, axis) => Math.ceil((length - begin[axis]!) / strides[axis]!))
      return {
        attributes: { begin, strides },
        run: (x) => tf.stridedSlice(x, begin, [...shape], strides),
        oracle: (x) => O.move(x, to, (at) => at.map((i, axis) => begin[axis]! + i * strides[axis]!))
      }
    },
    false
  ),
  joined("concat", (xs, axis) => tf.concat(xs, axis), false, false),
  joined("concat of integers", (xs, axis) => tf.concat(xs, axis), false, true),
  joined("stack", (xs, axis) => tf.stack(xs, axis), true, false),
  parted("split", (draw) => Array.from({ length: draw.int(2, 3) }, () => draw.length(5)), false),
  parted("split into one part", (draw) => [draw.length(5)], false),
  parted("unstack", (draw) => new Array<number>(draw.int(2, 4)).fill(1), true),
  parted("unstack of one", () => [1], true),
  gathered("gather", 0, [1, 1]),
  gathered("gather, indices of two axes", 0, [2, 2]),
  gathered("gather, batched", 1, [1, 1]),
  gathered("gather, one index a batch", 1, [0, 0]),
  {
    name: "gather of integers",
    gradient: false,
    sample: (draw) => {
      const shape = draw.shape(draw.int(1, 3))
      return {
        inputs: [int(draw, shape, -99, 99), int(draw, [draw.length()], 0, shape[0]! - 1)],
        attributes: {},
        run: (x: tf.Tensor, indices: tf.Tensor1D) => tf.gather(x, indices),
        oracle: (x, indices) => O.gather(x, indices, 0)
      }
    }
  },
  {
    name: "gatherND",
    gradient: false,
    sample: (draw) => {
      const shape = draw.shape(draw.int(2, 3))
      const depth = draw.int(1, shape.length)
      const count = draw.length()
      const places = Array.from({ length: count }, () => shape.slice(0, depth).map((length) => draw.int(0, length - 1)))
      const indices: Input = { shape: [count, depth], values: places.flat(), dtype: "int32", constant: true }
      return {
        inputs: [float(draw, shape), indices],
        attributes: {},
        run: (x: tf.Tensor, indices: tf.Tensor) => tf.gatherND(x, indices),
        oracle: (x) => O.move(x, [count, ...shape.slice(depth)], ([row, ...rest]) => [...places[row!]!, ...rest])
      }
    }
  },
  {
    name: "unsortedSegmentSum",
    gradient: true,
    sample: (draw) => {
      const shape = draw.shape(draw.int(1, 3))
      const count = draw.length()
      return {
        inputs: [float(draw, shape), int(draw, [shape[0]!], 0, count - 1)],
        attributes: { count },
        run: (x: tf.Tensor, ids: tf.Tensor1D) => tf.unsortedSegmentSum(x, ids, count),
        oracle: (x, ids) => O.segmentSum(x, ids, count)
      }
    }
  },
  {
    name: "unsortedSegmentSum, rows of no segment",
    gradient: false,
    sample: (draw) => {
      const shape = draw.shape(draw.int(1, 3))
      const count = draw.length()
      return {
        inputs: [float(draw, shape), int(draw, [shape[0]!], -1, count - 1)],
        attributes: { count },
        run: (x: tf.Tensor, ids: tf.Tensor1D) => tf.unsortedSegmentSum(x, ids, count),
        oracle: (x, ids) => O.segmentSum(x, ids, count)
      }
    }
  },
  oneHot("float32", false),
  oneHot("float32", true),
  oneHot("int32", false),
  oneHot("int32", true),
  oneHot("bool", false),
  {
    name: "bandPart",
    gradient: false,
    sample: (draw) => {
      const shape = draw.shape(draw.int(2, 3))
      const [rows, columns] = shape.slice(-2) as [number, number]
      const [lower, upper] = [draw.int(-1, rows - 1), draw.int(-1, columns - 1)]
      return {
        inputs: [float(draw, shape)],
        attributes: { lower, upper },
        run: (x: tf.Tensor) => tf.linalg.bandPart(x, lower, upper),
        oracle: (x) =>
          O.move(x, shape, (at) => {
            const [i, j] = at.slice(-2) as [number, number]
            return (lower < 0 || i - j <= lower) && (upper < 0 || j - i <= upper) ? at : undefined
          })
      }
    }
  },
  {
    name: "fill, zerosLike, onesLike, range, eye",
    gradient: false,
    sample: (draw) => {
      const shape = draw.shape(draw.int(1, 3))
      const value = draw.normal()
      const n = draw.length()
      return {
        inputs: [float(draw, shape)],
        attributes: { value, n },
        run: (x: tf.Tensor) => [
          tf.fill([...shape], value),
          tf.zerosLike(x),
          tf.onesLike(x),
          tf.range(0, n, 1, "int32"),
          tf.eye(n)
        ],
        oracle: (x) => {
          const filled = (value: number) => O.input(x.tape, shape, new Float64Array(x.ids.length).fill(value))
          const numbers = Array.from({ length: n }, (_, i) => i)
          return [
            filled(value),
            filled(0),
            filled(1),
            O.input(x.tape, [n], numbers, "int32"),
            O.input(
              x.tape,
              [n, n],
              numbers.flatMap((i) => numbers.map((j) => (i === j ? 1 : 0)))
            )
          ]
        }
      }
    }
  },
  {
    name: "moving nothing",
    gradient: true,
    sample: (draw) => {
      const shape = draw.pick([
        [0, 3],
        [2, 0]
      ])
      const full = float(
        draw,
        shape.map((length) => length || 2)
      )
      const axis = shape.indexOf(0)
      return {
        inputs: [float(draw, shape), full],
        attributes: { axis },
        run: (x: tf.Tensor, y: tf.Tensor) => tf.concat([tf.transpose(tf.transpose(x)), y], axis),
        oracle: (x, y) => O.concat([x, y], axis)
      }
    }
  },
  {
    name: "picking nothing",
    gradient: true,
    sample: (draw) => ({
      inputs: [float(draw, [3, 2]), { shape: [0], values: [], dtype: "int32", constant: true }],
      attributes: {},
      run: (x: tf.Tensor, indices: tf.Tensor1D) => tf.gather(x, indices),
      oracle: (x, indices) => O.gather(x, indices, 0)
    })
  }
]
