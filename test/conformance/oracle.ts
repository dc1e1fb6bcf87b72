/**
 * Tensor operations over float64 scalars that remember how they were made (`tape.ts`), each written from its definition,
 * one output element at a time. No code is shared with the runtime or with the tensor library.
 */
import * as Tape from "./tape.ts"

export type DType = "float32" | "int32" | "bool"

export interface Arr {
  readonly tape: Tape.Tape
  readonly shape: ReadonlyArray<number>
  readonly dtype: DType
  /** Row-major. */
  readonly ids: ReadonlyArray<Tape.Id>
}

type Coordinates = ReadonlyArray<number>

export const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((product, length) => product * length, 1)

/** An array whose elements are found one by one; everything below is made with it. */
export const build = (
  tape: Tape.Tape,
  shape: ReadonlyArray<number>,
  dtype: DType,
  element: (at: Coordinates) => Tape.Id
): Arr => {
  const at = shape.map(() => 0)
  const ids: Array<Tape.Id> = []
  for (let count = sizeOf(shape); count > 0; count--) {
    ids.push(element(at))
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at[axis]!++
      if (at[axis]! < shape[axis]!) break
      at[axis] = 0
    }
  }
  return { tape, shape, dtype, ids }
}

export const input = (
  tape: Tape.Tape,
  shape: ReadonlyArray<number>,
  values: ArrayLike<number>,
  dtype: DType = "float32"
): Arr => ({ tape, shape, dtype, ids: Array.from(values, (value) => Tape.leaf(tape, value)) })

export const valuesOf = ({ ids, tape }: Arr): Float64Array => Float64Array.from(ids, (id) => tape.values[id]!)
export const boundsOf = ({ ids, tape }: Arr): Float64Array => Float64Array.from(ids, (id) => tape.bounds[id]!)

/** The scalar at coordinates. */
export const get = ({ ids, shape }: Arr, at: Coordinates): Tape.Id => {
  let offset = 0
  for (let axis = 0; axis < shape.length; axis++) offset = offset * shape[axis]! + at[axis]!
  return ids[offset]!
}

const valueAt = (x: Arr, at: Coordinates): number => x.tape.values[get(x, at)]!

const positive = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)

// Elementwise

const FUNCTIONS = {
  neg: [(x) => -x, () => -1],
  abs: [Math.abs, (x) => Math.sign(x)],
  square: [(x) => x * x, (x) => 2 * x],
  sqrt: [Math.sqrt, (_, y) => 0.5 / y],
  rsqrt: [(x) => 1 / Math.sqrt(x), (x, y) => (-0.5 * y) / x],
  reciprocal: [(x) => 1 / x, (_, y) => -y * y],
  exp: [Math.exp, (_, y) => y],
  expm1: [Math.expm1, (_, y) => y + 1],
  log: [Math.log, (x) => 1 / x],
  log1p: [Math.log1p, (x) => 1 / (1 + x)],
  sin: [Math.sin, (x) => Math.cos(x)],
  cos: [Math.cos, (x) => -Math.sin(x)],
  tanh: [Math.tanh, (_, y) => 1 - y * y],
  sigmoid: [(x) => 1 / (1 + Math.exp(-x)), (_, y) => y * (1 - y)],
  softplus: [(x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), (x) => 1 / (1 + Math.exp(-x))],
  relu: [(x) => Math.max(x, 0), (x) => (x > 0 ? 1 : 0)],
  relu6: [(x) => Math.min(Math.max(x, 0), 6), (x) => (x > 0 && x < 6 ? 1 : 0)],
  elu: [(x) => (x >= 0 ? x : Math.expm1(x)), (x, y) => (x >= 0 ? 1 : y + 1)],
  erf: [(x) => erf(x), (x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x)],
  sign: [Math.sign, () => 0],
  floor: [Math.floor, () => 0],
  ceil: [Math.ceil, () => 0],
  round: [(x) => halfToEven(x), () => 0]
} satisfies Record<string, readonly [(x: number) => number, (x: number, y: number) => number]>

export type Function = keyof typeof FUNCTIONS

/** Results that float32 holds exactly when its argument is exact. */
const EXACT: ReadonlySet<string> = new Set(["neg", "abs", "relu", "relu6", "sign", "floor", "ceil", "round"])

/** Series of positive terms (Abramowitz and Stegun 1964, 7.1.6): no cancellation. */
const erf = (x: number): number => {
  if (Math.abs(x) > 6) return Math.sign(x)
  let term = x
  let total = x
  for (let n = 1; n < 200; n++) {
    term *= (2 * x * x) / (2 * n + 1)
    total += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total
}

const halfToEven = (x: number): number => {
  const below = Math.floor(x)
  if (x - below !== 0.5) return Math.round(x)
  return below % 2 === 0 ? below : below + 1
}

export const unary = (name: Function) => {
  const [value, slope] = FUNCTIONS[name] as readonly [(x: number) => number, (x: number, y: number) => number]
  return (x: Arr): Arr => {
    const tape = EXACT.has(name) ? { ...x.tape, accuracy: { [name]: () => 0 } } : x.tape
    return { ...x, ids: x.ids.map((id) => Tape.apply(tape, { name, value, slope }, id)) }
  }
}

export const exp = unary("exp")
export const log = unary("log")
export const neg = unary("neg")
export const square = unary("square")
export const rsqrt = unary("rsqrt")
export const sigmoid = unary("sigmoid")
export const softplus = unary("softplus")

export const broadcastShape = (...shapes: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> => {
  const rank = Math.max(...shapes.map(({ length }) => length))
  return Array.from({ length: rank }, (_, axis) => {
    const lengths = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1)
    return lengths.find((length) => length !== 1) ?? 1
  })
}

/** The scalar that lies at coordinates after broadcasting. */
const spread = (x: Arr, at: Coordinates): Tape.Id =>
  get(
    x,
    x.shape.map((length, axis) => (length === 1 ? 0 : at[axis + at.length - x.shape.length]!))
  )

const combine =
  (element: (tape: Tape.Tape, a: Tape.Id, b: Tape.Id) => Tape.Id) =>
  (a: Arr, b: Arr): Arr =>
    build(a.tape, broadcastShape(a.shape, b.shape), a.dtype, (at) => element(a.tape, spread(a, at), spread(b, at)))

export const add = combine((tape, a, b) => Tape.sum(tape, [a, b]))
export const sub = combine((tape, a, b) => Tape.sum(tape, [a, Tape.sum(tape, [b], [-1])]))
export const mul = combine(Tape.multiply)
export const div = combine((tape, a, b) => Tape.multiply(tape, a, reciprocal(tape, b)))
export const pow = combine(Tape.power)
export const maximum = combine((tape, a, b) => (tape.values[a]! >= tape.values[b]! ? a : b))
export const minimum = combine((tape, a, b) => (tape.values[a]! <= tape.values[b]! ? a : b))
export const squaredDifference = (a: Arr, b: Arr): Arr => square(sub(a, b))

const reciprocal = (tape: Tape.Tape, id: Tape.Id) =>
  Tape.apply(tape, { name: "reciprocal", value: FUNCTIONS.reciprocal[0], slope: FUNCTIONS.reciprocal[1] }, id)

/** A pair of values to a value that has no derivative and is exact: comparisons, logic, integer division. */
export const exactly = (f: (a: number, b: number) => number, dtype?: DType) => (a: Arr, b: Arr) =>
  build(a.tape, broadcastShape(a.shape, b.shape), dtype ?? a.dtype, (at) =>
    Tape.leaf(a.tape, f(a.tape.values[spread(a, at)]!, a.tape.values[spread(b, at)]!))
  )

/** `x * factor + offset` with numbers. */
export const affine = (x: Arr, factor: number, offset = 0): Arr => {
  const one = Tape.leaf(x.tape, 1)
  return { ...x, ids: x.ids.map((id) => Tape.sum(x.tape, [id, one], [factor, offset])) }
}

export const clip = (x: Arr, low: number, high: number): Arr => {
  const [lowest, highest] = [Tape.leaf(x.tape, low), Tape.leaf(x.tape, high)]
  return {
    ...x,
    ids: x.ids.map((id) => (x.tape.values[id]! < low ? lowest : x.tape.values[id]! > high ? highest : id))
  }
}

export const leakyRelu = (x: Arr, alpha: number): Arr => ({
  ...x,
  ids: x.ids.map((id) => (x.tape.values[id]! >= 0 ? id : Tape.sum(x.tape, [id], [alpha])))
})

export const where = (condition: Arr, a: Arr, b: Arr): Arr =>
  build(a.tape, broadcastShape(condition.shape, a.shape, b.shape), a.dtype, (at) =>
    a.tape.values[spread(condition, at)]! !== 0 ? spread(a, at) : spread(b, at)
  )

/** Truncates towards zero to integers; anything but zero is true. */
export const cast = (x: Arr, dtype: DType): Arr => {
  if (dtype === "float32" || dtype === x.dtype) return { ...x, dtype }
  const change = dtype === "int32" ? Math.trunc : (value: number) => (value === 0 ? 0 : 1)
  return { ...x, dtype, ids: x.ids.map((id) => Tape.leaf(x.tape, change(x.tape.values[id]!))) }
}

// Reductions

/** Folds the scalars along some axes (all by default), in row-major order. */
export const reduce = (
  x: Arr,
  axes: ReadonlyArray<number> | undefined,
  keepDims: boolean,
  fold: (tape: Tape.Tape, ids: ReadonlyArray<Tape.Id>) => Tape.Id,
  dtype: DType = x.dtype
): Arr => {
  const rank = x.shape.length
  const folded = new Set((axes ?? x.shape.map((_, axis) => axis)).map((axis) => positive(axis, rank)))
  const kept = x.shape.map((length, axis) => (folded.has(axis) ? 1 : length))
  const groups = new Map<string, Array<Tape.Id>>()
  build(x.tape, x.shape, x.dtype, (at) => {
    const key = at.map((i, axis) => (folded.has(axis) ? 0 : i)).join()
    const id = get(x, at)
    if (!groups.has(key)) groups.set(key, [])
    groups.get(key)!.push(id)
    return id
  })
  const out = build(x.tape, kept, dtype, (at) => fold(x.tape, groups.get(at.join()) ?? []))
  return keepDims ? out : { ...out, shape: kept.filter((_, axis) => !folded.has(axis)) }
}

export const sum = (x: Arr, axes?: ReadonlyArray<number>, keepDims = false): Arr =>
  reduce(x, axes, keepDims, (tape, ids) => Tape.sum(tape, ids), x.dtype === "bool" ? "int32" : x.dtype)

export const mean = (x: Arr, axes?: ReadonlyArray<number>, keepDims = false): Arr =>
  reduce(x, axes, keepDims, (tape, ids) => Tape.sum(tape, [Tape.sum(tape, ids)], [1 / ids.length]), "float32")

const extreme = (better: (a: number, b: number) => boolean) => (tape: Tape.Tape, ids: ReadonlyArray<Tape.Id>) =>
  ids.reduce((best, id) => (better(tape.values[id]!, tape.values[best]!) ? id : best))

const greatest = extreme((a, b) => a > b)
const least = extreme((a, b) => a < b)

export const max = (x: Arr, axes?: ReadonlyArray<number>, keepDims = false): Arr => reduce(x, axes, keepDims, greatest)
export const min = (x: Arr, axes?: ReadonlyArray<number>, keepDims = false): Arr => reduce(x, axes, keepDims, least)

export const prod = (x: Arr, axes?: ReadonlyArray<number>, keepDims = false): Arr =>
  reduce(x, axes, keepDims, (tape, ids) => ids.reduce((a, b) => Tape.multiply(tape, a, b)))

export const logSumExp = (x: Arr, axes?: ReadonlyArray<number>, keepDims = false): Arr => {
  const highest = constants(max(x, axes, true))
  const total = log(sum(exp(sub(x, highest)), axes, keepDims))
  return add(total, { ...highest, shape: total.shape })
}

/** Index of the first extreme element along an axis. */
export const argExtreme = (x: Arr, axis: number, better: (a: number, b: number) => boolean): Arr =>
  reduce(x, [axis], false, (tape, ids) => Tape.leaf(tape, ids.indexOf(extreme(better)(tape, ids))), "int32")

export const any = (x: Arr, axes?: ReadonlyArray<number>, keepDims = false): Arr =>
  reduce(x, axes, keepDims, (tape, ids) => Tape.leaf(tape, ids.some((id) => tape.values[id] !== 0) ? 1 : 0))
export const all = (x: Arr, axes?: ReadonlyArray<number>, keepDims = false): Arr =>
  reduce(x, axes, keepDims, (tape, ids) => Tape.leaf(tape, ids.every((id) => tape.values[id] !== 0) ? 1 : 0))

/** The same values without a past. */
export const constants = (x: Arr): Arr => ({ ...x, ids: x.ids.map((id) => Tape.leaf(x.tape, x.tape.values[id]!)) })

export const cumulate = (
  x: Arr,
  axis: number,
  exclusive: boolean,
  reverse: boolean,
  fold: (tape: Tape.Tape, ids: ReadonlyArray<Tape.Id>) => Tape.Id
): Arr =>
  build(x.tape, x.shape, x.dtype, (at) => {
    const before = Array.from({ length: x.shape[axis]! }, (_, i) => i).filter((i) => {
      const ahead = reverse ? i - at[axis]! : at[axis]! - i
      return exclusive ? ahead > 0 : ahead >= 0
    })
    return fold(
      x.tape,
      before.map((i) => get(x, at.with(axis, i)))
    )
  })

export const logSoftmax = (x: Arr): Arr => {
  const shifted = sub(x, constants(max(x, [-1], true)))
  return sub(shifted, log(sum(exp(shifted), [-1], true)))
}

export const softmax = (x: Arr): Arr => {
  const weights = exp(sub(x, constants(max(x, [-1], true))))
  return div(weights, sum(weights, [-1], true))
}

/** The `k` largest along the last axis, and where they were. */
export const topk = (x: Arr, k: number): readonly [Arr, Arr] => {
  const row = (at: Coordinates) =>
    Array.from({ length: x.shape.at(-1)! }, (_, i) => i).sort(
      (i, j) => valueAt(x, at.with(-1, j)) - valueAt(x, at.with(-1, i)) || i - j
    )[at.at(-1)!]!
  const shape = [...x.shape.slice(0, -1), k]
  return [
    build(x.tape, shape, x.dtype, (at) => get(x, at.with(-1, row(at)))),
    build(x.tape, shape, "int32", (at) => Tape.leaf(x.tape, row(at)))
  ]
}

// Moving elements

/** Every element is one of `x` or, where there is no place, a number. */
export const move = (
  x: Arr,
  shape: ReadonlyArray<number>,
  place: (at: Coordinates) => Coordinates | undefined,
  otherwise = 0
): Arr =>
  build(x.tape, shape, x.dtype, (at) => {
    const from = place(at)
    return from ? get(x, from) : Tape.leaf(x.tape, otherwise)
  })

export const reshape = (x: Arr, shape: ReadonlyArray<number>): Arr => ({ ...x, shape })

export const transpose = (x: Arr, order: ReadonlyArray<number>): Arr =>
  move(
    x,
    order.map((axis) => x.shape[axis]!),
    (at) => {
      const from = at.slice()
      order.forEach((axis, i) => {
        from[axis] = at[i]!
      })
      return from
    }
  )

export const concat = (xs: ReadonlyArray<Arr>, axis: number): Arr => {
  const first = xs[0]!
  const total = xs.reduce((length, { shape }) => length + shape[axis]!, 0)
  return build(first.tape, first.shape.with(axis, total), first.dtype, (at) => {
    let i = at[axis]!
    for (const x of xs) {
      if (i < x.shape[axis]!) return get(x, at.with(axis, i))
      i -= x.shape[axis]!
    }
    throw new Error("coordinates outside the parts")
  })
}

export const stack = (xs: ReadonlyArray<Arr>, axis: number): Arr =>
  concat(
    xs.map((x) => reshape(x, x.shape.toSpliced(axis, 0, 1))),
    axis
  )

export const slice = (x: Arr, begin: ReadonlyArray<number>, size: ReadonlyArray<number>): Arr =>
  move(x, size, (at) => at.map((i, axis) => i + begin[axis]!))

/** Along one axis, the `i`-th of `lengths` parts. */
export const part = (x: Arr, axis: number, lengths: ReadonlyArray<number>, i: number): Arr => {
  const before = lengths.slice(0, i).reduce((total, length) => total + length, 0)
  return slice(
    x,
    x.shape.map((_, a) => (a === axis ? before : 0)),
    x.shape.with(axis, lengths[i]!)
  )
}

export const gather = (x: Arr, indices: Arr, axis: number, batchDims = 0): Arr => {
  const rank = indices.shape.length - batchDims
  const shape = [...x.shape.slice(0, axis), ...indices.shape.slice(batchDims), ...x.shape.slice(axis + 1)]
  return move(x, shape, (at) => {
    const index = valueAt(indices, [...at.slice(0, batchDims), ...at.slice(axis, axis + rank)])
    return [...at.slice(0, axis), index, ...at.slice(axis + rank)]
  })
}

/** Sums the rows of each segment; rows of segments outside the range are dropped. */
export const segmentSum = (x: Arr, segments: Arr, count: number): Arr =>
  build(x.tape, [count, ...x.shape.slice(1)], x.dtype, (at) =>
    Tape.sum(
      x.tape,
      segments.ids.flatMap((id, row) => (x.tape.values[id] === at[0] ? [get(x, at.with(0, row))] : []))
    )
  )

// Products

/** Batched matrix product of the last two axes, either of them transposed, batches broadcast. */
export const matMul = (a: Arr, b: Arr, transposeA = false, transposeB = false): Arr => {
  const turned = (x: Arr, turn: boolean) => {
    const axes = x.shape.map((_, axis) => axis)
    return turn ? transpose(x, [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!]) : x
  }
  const [left, right] = [turned(a, transposeA), turned(b, transposeB)]
  const batch = broadcastShape(left.shape.slice(0, -2), right.shape.slice(0, -2))
  const inner = left.shape.at(-1)!
  const within = (x: Arr, at: Coordinates, row: number, column: number) => {
    const own = x.shape
      .slice(0, -2)
      .map((length, axis) => (length === 1 ? 0 : at[axis + batch.length + 2 - x.shape.length]!))
    return get(x, [...own, row, column])
  }
  return build(a.tape, [...batch, left.shape.at(-2)!, right.shape.at(-1)!], "float32", (at) => {
    const [m, n] = [at.at(-2)!, at.at(-1)!]
    const [xs, ys]: [Array<Tape.Id>, Array<Tape.Id>] = [[], []]
    for (let k = 0; k < inner; k++) {
      xs.push(within(left, at, m, k))
      ys.push(within(right, at, k, n))
    }
    return Tape.dot(a.tape, xs, ys)
  })
}

/** Two operands, subscripts without ellipsis, every letter once per operand. */
export const einsum = (equation: string, a: Arr, b: Arr): Arr => {
  const [inputs, output] = equation.split("->") as [string, string]
  const [left, right] = inputs.split(",") as [string, string]
  const lengths = new Map([
    ...[...left].map((l, i) => [l, a.shape[i]!] as const),
    ...[...right].map((l, i) => [l, b.shape[i]!] as const)
  ])
  const summed = [...lengths.keys()].filter((letter) => !output.includes(letter))
  return build(
    a.tape,
    [...output].map((letter) => lengths.get(letter)!),
    "float32",
    (at) => {
      const [xs, ys]: [Array<Tape.Id>, Array<Tape.Id>] = [[], []]
      build(
        a.tape,
        summed.map((letter) => lengths.get(letter)!),
        "float32",
        (over) => {
          const where = (letter: string) =>
            output.includes(letter) ? at[output.indexOf(letter)]! : over[summed.indexOf(letter)]!
          xs.push(get(a, [...left].map(where)))
          ys.push(get(b, [...right].map(where)))
          return 0
        }
      )
      return Tape.dot(a.tape, xs, ys)
    }
  )
}

// Convolutions: images `[N, height, width, channels]`

export interface Window {
  readonly size: readonly [number, number]
  readonly strides: readonly [number, number]
  readonly pad: "same" | "valid" | number
  readonly dilations?: readonly [number, number]
}

/** Output length along one axis and how far the first window starts before the image. */
export const extent = (
  length: number,
  window: Window,
  axis: 0 | 1
): { readonly length: number; readonly before: number } => {
  const reach = (window.size[axis] - 1) * (window.dilations ?? [1, 1])[axis] + 1
  const stride = window.strides[axis]
  if (window.pad === "same") {
    const out = Math.ceil(length / stride)
    return { length: out, before: Math.floor(Math.max(0, (out - 1) * stride + reach - length) / 2) }
  }
  const pad = window.pad === "valid" ? 0 : window.pad
  return { length: Math.floor((length + 2 * pad - reach) / stride) + 1, before: pad }
}

/** For every output place, the places of the window that lie inside the image, as `[row, column, windowRow, windowColumn]`. */
const windowed = (x: Arr, window: Window) => {
  const [, height, width] = x.shape as [number, number, number]
  const [rows, columns] = [extent(height, window, 0), extent(width, window, 1)]
  const dilations = window.dilations ?? [1, 1]
  const inside = (row: number, column: number) => {
    const places: Array<readonly [number, number, number, number]> = []
    for (let i = 0; i < window.size[0]; i++)
      for (let j = 0; j < window.size[1]; j++) {
        const y = row * window.strides[0] - rows.before + i * dilations[0]
        const z = column * window.strides[1] - columns.before + j * dilations[1]
        if (y >= 0 && y < height && z >= 0 && z < width) places.push([y, z, i, j])
      }
    return places
  }
  return { rows: rows.length, columns: columns.length, inside }
}

/** `filter` is `[height, width, in, out]`. */
export const conv2d = (x: Arr, filter: Arr, options: Omit<Window, "size">): Arr => {
  const [height, width, channels, outputs] = filter.shape as [number, number, number, number]
  const { columns, inside, rows } = windowed(x, { ...options, size: [height, width] })
  return build(x.tape, [x.shape[0]!, rows, columns, outputs], "float32", (at) => {
    const [n, row, column, output] = at as [number, number, number, number]
    const [xs, ys]: [Array<Tape.Id>, Array<Tape.Id>] = [[], []]
    for (const [y, z, i, j] of inside(row, column))
      for (let channel = 0; channel < channels; channel++) {
        xs.push(get(x, [n, y, z, channel]))
        ys.push(get(filter, [i, j, channel, output]))
      }
    return Tape.dot(x.tape, xs, ys)
  })
}

/** `filter` is `[height, width, in, multiplier]`; output channel `in * multiplier + m`. */
export const depthwiseConv2d = (x: Arr, filter: Arr, options: Omit<Window, "size">): Arr => {
  const [height, width, channels, multiplier] = filter.shape as [number, number, number, number]
  const { columns, inside, rows } = windowed(x, { ...options, size: [height, width] })
  return build(x.tape, [x.shape[0]!, rows, columns, channels * multiplier], "float32", (at) => {
    const [n, row, column, output] = at as [number, number, number, number]
    const channel = Math.floor(output / multiplier)
    const places = inside(row, column)
    return Tape.dot(
      x.tape,
      places.map(([y, z]) => get(x, [n, y, z, channel])),
      places.map(([, , i, j]) => get(filter, [i, j, channel, output % multiplier]))
    )
  })
}

/** `filter` is `[height, width, out, in]`: each element of `x` adds a window into the output. */
export const conv2dTranspose = (
  x: Arr,
  filter: Arr,
  shape: ReadonlyArray<number>,
  options: Omit<Window, "size">
): Arr => {
  const [height, width, , channels] = filter.shape as [number, number, number, number]
  const window: Window = { ...options, size: [height, width] }
  const [top, left] = [extent(shape[1]!, window, 0).before, extent(shape[2]!, window, 1).before]
  return build(x.tape, shape, "float32", (at) => {
    const [n, row, column, output] = at as [number, number, number, number]
    const [xs, ys]: [Array<Tape.Id>, Array<Tape.Id>] = [[], []]
    for (let y = 0; y < x.shape[1]!; y++)
      for (let z = 0; z < x.shape[2]!; z++) {
        const [i, j] = [row + top - y * options.strides[0], column + left - z * options.strides[1]]
        if (i < 0 || i >= height || j < 0 || j >= width) continue
        for (let channel = 0; channel < channels; channel++) {
          xs.push(get(x, [n, y, z, channel]))
          ys.push(get(filter, [i, j, output, channel]))
        }
      }
    return Tape.dot(x.tape, xs, ys)
  })
}

const pool = (fold: (tape: Tape.Tape, ids: ReadonlyArray<Tape.Id>) => Tape.Id) => (x: Arr, window: Window) => {
  const { columns, inside, rows } = windowed(x, window)
  return build(x.tape, [x.shape[0]!, rows, columns, x.shape[3]!], "float32", (at) =>
    fold(
      x.tape,
      inside(at[1]!, at[2]!).map(([y, z]) => get(x, [at[0]!, y, z, at[3]!]))
    )
  )
}

export const maxPool = pool(greatest)
/** Padding does not count. */
export const avgPool = pool((tape, ids) => Tape.sum(tape, [Tape.sum(tape, ids)], [1 / ids.length]))

/** Where an output row or column lies in the input. */
const source = (length: number, out: number, alignCorners: boolean, halfPixelCenters: boolean) => (i: number) => {
  const scale = alignCorners && out > 1 ? (length - 1) / (out - 1) : length / out
  return halfPixelCenters ? scale * (i + 0.5) - 0.5 : scale * i
}

export const resizeBilinear = (
  x: Arr,
  size: readonly [number, number],
  alignCorners: boolean,
  halfPixelCenters: boolean
) => {
  const [n, height, width, channels] = x.shape as [number, number, number, number]
  const along = (length: number, out: number) => {
    const position = source(length, out, alignCorners, halfPixelCenters)
    return (i: number) => {
      const at = Math.min(Math.max(position(i), 0), length - 1)
      const below = Math.min(Math.floor(at), length - 1)
      return { below, above: Math.min(below + 1, length - 1), share: at - below }
    }
  }
  const [row, column] = [along(height, size[0]), along(width, size[1])]
  return build(x.tape, [n, ...size, channels], "float32", (at) => {
    const [v, h] = [row(at[1]!), column(at[2]!)]
    // A device computes the place of a pixel in float32: the weights are off by roundoff of the place, not of themselves.
    const weight = (value: number) => Tape.leaf(x.tape, value, 8 * Tape.ROUNDOFF * (1 + height + width))
    const corners = [
      [v.below, h.below, (1 - v.share) * (1 - h.share)],
      [v.below, h.above, (1 - v.share) * h.share],
      [v.above, h.below, v.share * (1 - h.share)],
      [v.above, h.above, v.share * h.share]
    ] as const
    return Tape.dot(
      x.tape,
      corners.map(([y, z]) => get(x, [at[0]!, y, z, at[3]!])),
      corners.map(([, , share]) => weight(share))
    )
  })
}

export const resizeNearest = (
  x: Arr,
  size: readonly [number, number],
  alignCorners: boolean,
  halfPixelCenters: boolean
) => {
  const [n, height, width, channels] = x.shape as [number, number, number, number]
  const along = (length: number, out: number) => (i: number) => {
    const scale = alignCorners && out > 1 ? (length - 1) / (out - 1) : length / out
    const at = halfPixelCenters ? scale * (i + 0.5) : scale * i
    return Math.min(length - 1, alignCorners ? Math.round(at) : Math.floor(at))
  }
  const [row, column] = [along(height, size[0]), along(width, size[1])]
  return move(x, [n, ...size, channels], (at) => [at[0]!, row(at[1]!), column(at[2]!), at[3]!])
}

// The models' own

/** `[N, D]` rows to unit root mean square, times `weight` `[D]`. */
export const rmsNorm = (x: Arr, weight: Arr, epsilon: number): Arr =>
  mul(mul(x, rsqrt(affine(mean(square(x), [-1], true), 1, epsilon))), weight)

export const swiGlu = (gate: Arr, up: Arr): Arr => mul(mul(gate, sigmoid(gate)), up)

export const rows = (x: Arr, numbers: ArrayLike<number>): Arr =>
  move(x, [numbers.length, x.shape[1]!], ([row, column]) => [numbers[row!]!, column!])

export const logProbs = (logits: Arr, targets: ArrayLike<number>): Arr => {
  const all = logSoftmax(logits)
  return build(logits.tape, [targets.length], "float32", ([row]) => get(all, [row!, targets[row!]!]))
}

export interface Heads {
  readonly heads: number
  readonly keyValueHeads: number
  readonly headDim: number
  readonly ropeTheta: number
}

/** Turns one head's vector (`[x1 cos - x2 sin, x2 cos + x1 sin]`, halves as coordinates) to a position. */
const turned = (x: Arr, position: number, { headDim, ropeTheta }: Heads): Arr => {
  const half = headDim / 2
  const factor = (value: number) => Tape.leaf(x.tape, value, ROTATION)
  return build(x.tape, [headDim], "float32", ([d]) => {
    const angle = position * ropeTheta ** ((-2 * (d! % half)) / headDim)
    const [own, other] = [x.ids[d!]!, x.ids[(d! + half) % headDim]!]
    return Tape.dot(
      x.tape,
      [own, other],
      [factor(Math.cos(angle)), factor(d! < half ? -Math.sin(angle) : Math.sin(angle))]
    )
  })
}

/** Tables of cosines and sines are float64 on the host, float32 where they are used. */
const ROTATION = Tape.ROUNDOFF

/** Row `row`'s vector of one head, out of `[N, heads * headDim]`. */
const headOf = (x: Arr, row: number, head: number, headDim: number): Arr => {
  const from = row * x.shape[1]! + head * headDim
  return { ...x, shape: [headDim], ids: x.ids.slice(from, from + headDim) }
}

const mixture = (query: Arr, keys: ReadonlyArray<Arr>, values: ReadonlyArray<Arr>): ReadonlyArray<Tape.Id> => {
  const { tape } = query
  const scale = 1 / Math.sqrt(query.ids.length)
  const scores = keys.map((key) => Tape.sum(tape, [Tape.dot(tape, query.ids, key.ids)], [scale]))
  const weights = softmax({ tape, dtype: "float32", shape: [scores.length], ids: scores }).ids
  return query.ids.map((_, d) =>
    Tape.dot(
      tape,
      weights,
      values.map((value) => value.ids[d]!)
    )
  )
}

/** Causal attention with rotary positions over sequences of the given lengths, one behind another. */
export const causalAttention = (q: Arr, k: Arr, v: Arr, lengths: ArrayLike<number>, heads: Heads): Arr => {
  const { headDim, keyValueHeads } = heads
  const group = heads.heads / keyValueHeads
  const ids: Array<Tape.Id> = []
  let start = 0
  for (const length of Array.from(lengths)) {
    const keys = Array.from({ length }, (_, j) =>
      Array.from({ length: keyValueHeads }, (_, head) => turned(headOf(k, start + j, head, headDim), j, heads))
    )
    for (let i = 0; i < length; i++)
      for (let head = 0; head < heads.heads; head++) {
        const shared = Math.floor(head / group)
        const seen = keys.slice(0, i + 1)
        ids.push(
          ...mixture(
            turned(headOf(q, start + i, head, headDim), i, heads),
            seen.map((key) => key[shared]!),
            seen.map((_, j) => headOf(v, start + j, shared, headDim))
          )
        )
      }
    start += length
  }
  return { tape: q.tape, shape: q.shape, dtype: "float32", ids }
}

/** Writes each row's turned key and its value into the caches `[slots, capacity, width]`, then attends, row after row. */
export const cachedAttention = (
  q: Arr,
  k: Arr,
  v: Arr,
  cache: { readonly keys: Arr; readonly values: Arr },
  at: { readonly slots: ArrayLike<number>; readonly positions: ArrayLike<number> },
  heads: Heads
): { readonly out: Arr; readonly keys: Arr; readonly values: Arr } => {
  const { headDim, keyValueHeads } = heads
  const [, capacity, width] = cache.keys.shape as [number, number, number]
  const [keys, values] = [cache.keys.ids.slice(), cache.values.ids.slice()]
  const ids: Array<Tape.Id> = []
  for (let row = 0; row < q.shape[0]!; row++) {
    const [slot, position] = [at.slots[row]!, at.positions[row]!]
    const base = (slot * capacity + position) * width
    for (let head = 0; head < keyValueHeads; head++) {
      turned(headOf(k, row, head, headDim), position, heads).ids.forEach((id, d) => {
        keys[base + head * headDim + d] = id
      })
      headOf(v, row, head, headDim).ids.forEach((id, d) => {
        values[base + head * headDim + d] = id
      })
    }
    for (let head = 0; head < heads.heads; head++) {
      const column = Math.floor((head * keyValueHeads) / heads.heads) * headDim
      const seen = (ids: ReadonlyArray<Tape.Id>) =>
        Array.from({ length: position + 1 }, (_, j): Arr => {
          const from = (slot * capacity + j) * width + column
          return { ...q, shape: [headDim], ids: ids.slice(from, from + headDim) }
        })
      ids.push(...mixture(turned(headOf(q, row, head, headDim), position, heads), seen(keys), seen(values)))
    }
  }
  return {
    out: { ...q, ids },
    keys: { ...cache.keys, ids: keys },
    values: { ...cache.values, ids: values }
  }
}
