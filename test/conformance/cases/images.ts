/** Convolutions, pooling, resizing and normalization: what small U-Nets are made of. */
import * as tf from "@tensorflow/tfjs"
import { type Case, float } from "../Case.ts"
import type { Draw } from "../draw.ts"
import * as O from "../oracle.ts"

type Pair = [number, number]

interface Drawn {
  readonly size: Pair
  readonly strides: Pair
  readonly dilations: Pair
  readonly pad: "same" | "valid" | number
}

/** Windows of any shape, strides alike: TensorFlow's own convolution is wrong for some images where strides differ. */
const window = (draw: Draw): Drawn => {
  const stride = draw.int(1, 2)
  return {
    size: [draw.pick([1, 2, 3]), draw.pick([1, 2, 3])],
    strides: [stride, stride],
    dilations: [1, 1],
    pad: draw.pick(["same", "valid"])
  }
}

/** At least as long as the window reaches. */
const side = (draw: Draw, size: number, dilation: number) => (size - 1) * dilation + 1 + draw.int(0, 2 * draw.size)

const image = (draw: Draw, { dilations, size }: Drawn, channels: number): ReadonlyArray<number> => [
  draw.int(1, 2),
  side(draw, size[0], dilations[0]),
  side(draw, size[1], dilations[1]),
  channels
]

const channels = (draw: Draw) => draw.pick([1, 2, 3, 4, 5, 8].slice(0, 1 + draw.size))

const convolution = (name: string, windowOf: (draw: Draw) => Drawn, gradient = true): Case => ({
  name,
  gradient,
  sample: (draw) => {
    const drawn = windowOf(draw)
    const [from, to] = [channels(draw), channels(draw)]
    return {
      inputs: [float(draw, image(draw, drawn, from)), float(draw, [...drawn.size, from, to])],
      attributes: drawn,
      run: (x: tf.Tensor4D, filter: tf.Tensor4D) =>
        tf.conv2d(x, filter, drawn.strides, drawn.pad, "NHWC", 1, drawn.pad === 1 ? "floor" : undefined),
      oracle: (x, filter) => O.conv2d(x, filter, drawn)
    }
  }
})

const activations = { linear: (x: O.Arr) => x, relu: O.unary("relu"), sigmoid: O.sigmoid }

const pool = (
  name: string,
  pad: "same" | "valid",
  run: (x: tf.Tensor4D, size: Pair, strides: Pair, pad: "same" | "valid") => tf.Tensor,
  oracle: (x: O.Arr, window: O.Window) => O.Arr,
  shift: number
): Case => ({
  name,
  gradient: true,
  sample: (draw) => {
    const drawn = { ...window(draw), pad }
    return {
      inputs: [float(draw, image(draw, drawn, channels(draw)), () => Math.fround(draw.normal() + shift))],
      attributes: drawn,
      run: (x: tf.Tensor4D) => run(x, drawn.size, drawn.strides, pad),
      oracle: (x) => oracle(x, drawn)
    }
  }
})

const resize = (
  name: "resizeBilinear" | "resizeNearestNeighbor",
  mode: "plain" | "half pixels" | "corners" | "corners of one pixel",
  square: boolean
): Case => ({
  name: `${name}, ${mode}${square ? "" : ", oblong"}`,
  gradient: mode !== "half pixels",
  sample: (draw) => {
    const [corners, half] = [mode.startsWith("corners"), mode === "half pixels"]
    const lengths = mode === "corners of one pixel" ? [1] : mode === "corners" ? [2, 3, 4, 6] : [1, 2, 3, 4, 6]
    const length = () => draw.pick(lengths)
    const height = length()
    const shape = [draw.int(1, 2), height, square ? height : length(), channels(draw)] as const
    // The nearest pixel jumps: only scales that float32 holds exactly have one answer.
    const exact = (from: number) => from * draw.pick([1, 2, 4])
    const to = (from: number) => (name === "resizeBilinear" ? draw.int(1, 9) : exact(from))
    const rows = to(height)
    const size: Pair = [rows, square ? rows : to(shape[2])]
    return {
      inputs: [float(draw, shape)],
      attributes: { size },
      run: (x: tf.Tensor4D) => tf.image[name](x, size, corners, half),
      oracle: (x) => (name === "resizeBilinear" ? O.resizeBilinear : O.resizeNearest)(x, size, corners, half)
    }
  }
})

const EPSILON = 1e-5

const normalized = (x: O.Arr, axes: ReadonlyArray<number>) => {
  const centered = O.sub(x, O.mean(x, axes, true))
  return O.mul(centered, O.rsqrt(O.affine(O.mean(O.square(centered), axes, true), 1, EPSILON)))
}

const normalize = (x: tf.Tensor, axes: Array<number>) => {
  const { mean, variance } = tf.moments(x, axes, true)
  return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, EPSILON)))
}

export const cases: ReadonlyArray<Case> = [
  convolution("conv2d", window),
  convolution("conv2d, padded by one", (draw) => {
    const [size, stride] = [draw.int(2, 3), draw.int(1, 2)]
    return { size: [size, size], strides: [stride, stride], dilations: [1, 1], pad: 1 }
  }),
  convolution(
    "conv2d of oblong windows, padded by one",
    (draw) => ({ size: [2, 3], strides: [draw.int(1, 2), 1], dilations: [1, 1], pad: 1 }),
    false
  ),
  {
    name: "conv2d, dilated",
    gradient: false,
    sample: (draw) => {
      const drawn: Drawn = { ...window(draw), strides: [1, 1], dilations: [2, 2] }
      const [from, to] = [channels(draw), channels(draw)]
      return {
        inputs: [float(draw, image(draw, drawn, from)), float(draw, [...drawn.size, from, to])],
        attributes: drawn,
        run: (x: tf.Tensor4D, filter: tf.Tensor4D) =>
          tf.conv2d(x, filter, drawn.strides, drawn.pad, "NHWC", drawn.dilations),
        oracle: (x, filter) => O.conv2d(x, filter, drawn)
      }
    }
  },
  {
    name: "conv1d",
    gradient: true,
    sample: (draw) => {
      const size = draw.pick([1, 2, 3, 5])
      const stride = draw.int(1, 2)
      const pad = draw.pick(["same", "valid"] as const)
      const [from, to] = [channels(draw), channels(draw)]
      const shape = [draw.int(1, 2), side(draw, size, 1), from] as const
      return {
        inputs: [float(draw, shape), float(draw, [size, from, to])],
        attributes: { stride, pad },
        run: (x: tf.Tensor3D, filter: tf.Tensor3D) => tf.conv1d(x, filter, stride, pad),
        oracle: (x, filter) => {
          const flat = O.conv2d(O.reshape(x, [shape[0], 1, shape[1], from]), O.reshape(filter, [1, size, from, to]), {
            strides: [1, stride],
            pad
          })
          return O.reshape(flat, [shape[0], flat.shape[2]!, to])
        }
      }
    }
  },
  {
    name: "conv2dTranspose",
    gradient: true,
    sample: (draw) => {
      const drawn = window(draw)
      const [from, to] = [channels(draw), channels(draw)]
      const shape = image(draw, drawn, to)
      const options: O.Window = { size: drawn.size, strides: drawn.strides, pad: drawn.pad }
      const small = [O.extent(shape[1]!, options, 0).length, O.extent(shape[2]!, options, 1).length]
      return {
        inputs: [float(draw, [shape[0]!, ...small, from]), float(draw, [...drawn.size, to, from])],
        attributes: { ...drawn, shape },
        run: (x: tf.Tensor4D, filter: tf.Tensor4D) =>
          tf.conv2dTranspose(x, filter, shape as [number, number, number, number], drawn.strides, drawn.pad),
        oracle: (x, filter) => O.conv2dTranspose(x, filter, shape, options)
      }
    }
  },
  {
    name: "depthwiseConv2d",
    gradient: true,
    sample: (draw) => {
      const options = window(draw)
      const from = channels(draw)
      return {
        inputs: [float(draw, image(draw, options, from)), float(draw, [...options.size, from, draw.int(1, 2)])],
        attributes: options,
        run: (x: tf.Tensor4D, filter: tf.Tensor4D) =>
          tf.depthwiseConv2d(x, filter, options.strides, options.pad as "same" | "valid"),
        oracle: (x, filter) => O.depthwiseConv2d(x, filter, options)
      }
    }
  },
  {
    name: "separableConv2d",
    gradient: true,
    sample: (draw) => {
      const size = draw.pick([1, 3])
      const [from, multiplier, to] = [channels(draw), draw.int(1, 2), channels(draw)]
      const shape = [1, size + draw.int(0, 4), size + draw.int(0, 4), from] as const
      const options = { strides: [1, 1], pad: "same" } as const
      return {
        inputs: [
          float(draw, shape),
          float(draw, [size, size, from, multiplier]),
          float(draw, [1, 1, from * multiplier, to])
        ],
        attributes: {},
        run: (x: tf.Tensor4D, depthwise: tf.Tensor4D, pointwise: tf.Tensor4D) =>
          tf.separableConv2d(x, depthwise, pointwise, 1, "same"),
        oracle: (x, depthwise, pointwise) => O.conv2d(O.depthwiseConv2d(x, depthwise, options), pointwise, options)
      }
    }
  },
  {
    name: "fused conv2d with bias and activation",
    gradient: true,
    sample: (draw) => {
      const drawn = window(draw)
      const activation = draw.pick(["linear", "relu"] as const)
      const [from, to] = [channels(draw), channels(draw)]
      return {
        inputs: [float(draw, image(draw, drawn, from)), float(draw, [...drawn.size, from, to]), float(draw, [to])],
        attributes: { ...drawn, activation },
        run: (x: tf.Tensor4D, filter: tf.Tensor4D, bias: tf.Tensor) =>
          tf.fused.conv2d({ x, filter, bias, strides: drawn.strides, pad: drawn.pad, activation }),
        oracle: (x, filter, bias) => activations[activation](O.add(O.conv2d(x, filter, drawn), bias))
      }
    }
  },
  ...(["same", "valid"] as const).flatMap((pad) => [
    pool(`maxPool, ${pad}`, pad, tf.maxPool, O.maxPool, 0),
    pool(`maxPool of negative images, ${pad}`, pad, tf.maxPool, O.maxPool, -9),
    pool(`avgPool, ${pad}`, pad, tf.avgPool, O.avgPool, 0)
  ]),
  resize("resizeBilinear", "corners of one pixel", true),
  ...[true, false].flatMap((square) => [
    resize("resizeBilinear", "plain", square),
    resize("resizeBilinear", "half pixels", square),
    resize("resizeBilinear", "corners", square),
    resize("resizeNearestNeighbor", "plain", square),
    resize("resizeNearestNeighbor", "half pixels", square)
  ]),
  {
    name: "upsampling by tiling",
    gradient: true,
    sample: (draw) => {
      const shape = [draw.int(1, 2), draw.length(4), draw.length(4), channels(draw)] as const
      const [n, height, width, c] = shape
      return {
        inputs: [float(draw, shape)],
        attributes: {},
        run: (x: tf.Tensor) => {
          const taller = tf.tile(tf.reshape(x, [n * height, 1, width, c]), [1, 2, 1, 1])
          const wider = tf.tile(tf.reshape(taller, [n * 2 * height * width, 1, c]), [1, 2, 1])
          return tf.reshape(wider, [n, 2 * height, 2 * width, c])
        },
        oracle: (x) => O.resizeNearest(x, [2 * height, 2 * width], false, false)
      }
    }
  },
  {
    name: "layer norm",
    gradient: true,
    sample: (draw) => {
      const width = 2 + draw.length()
      return {
        inputs: [float(draw, [draw.length(), width]), float(draw, [width]), float(draw, [width])],
        attributes: {},
        run: (x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) => tf.add(tf.mul(normalize(x, [1]), scale), shift),
        oracle: (x, scale, shift) => O.add(O.mul(normalized(x, [1]), scale), shift)
      }
    }
  },
  {
    name: "group norm",
    gradient: true,
    sample: (draw) => {
      const [groups, within] = [draw.int(1, 3), draw.int(1, 3)]
      const [n, height, width] = [draw.int(1, 2), 2 + draw.int(0, 2), 1 + draw.length(5)]
      const shape = [n, height, width, groups * within]
      const split = [n, height, width, groups, within]
      return {
        inputs: [float(draw, shape), float(draw, [groups * within]), float(draw, [groups * within])],
        attributes: { groups },
        run: (x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) =>
          tf.add(tf.mul(tf.reshape(normalize(tf.reshape(x, split), [1, 2, 4]), shape), scale), shift),
        oracle: (x, scale, shift) =>
          O.add(O.mul(O.reshape(normalized(O.reshape(x, split), [1, 2, 4]), shape), scale), shift)
      }
    }
  },
  {
    name: "batchNorm",
    gradient: true,
    sample: (draw) => {
      const c = channels(draw)
      return {
        inputs: [
          float(draw, [draw.int(1, 2), draw.length(4), draw.length(4), c]),
          float(draw, [c]),
          float(draw, [c], () => draw.real(0.5, 2)),
          float(draw, [c]),
          float(draw, [c])
        ],
        attributes: {},
        run: (x: tf.Tensor4D, mean: tf.Tensor1D, variance: tf.Tensor1D, offset: tf.Tensor1D, scale: tf.Tensor1D) =>
          tf.batchNorm(x, mean, variance, offset, scale, EPSILON),
        oracle: (x, mean, variance, offset, scale) =>
          O.add(O.mul(O.mul(O.sub(x, mean), O.rsqrt(O.affine(variance, 1, EPSILON))), scale), offset)
      }
    }
  }
]
