import { assert, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Device } from "../../../../runtime/device/Device.ts"
import { relativeError, values } from "../../tensor/closeness.ts"
import { balanced, gradients, overwrite, random } from "./tensors.ts"

interface Case {
  readonly image: readonly [number, number, number, number]
  readonly filter: readonly [number, number, number, number]
  readonly strides: [number, number]
  readonly pad: "same" | "valid" | number | tf.backend_util.ExplicitPadding
  readonly dilations?: [number, number]
}

const explicit: tf.backend_util.ExplicitPadding = [
  [0, 0],
  [2, 1],
  [0, 3],
  [0, 0]
]

const cases: ReadonlyArray<Case> = [
  { image: [1, 1, 1, 1], filter: [1, 1, 1, 1], strides: [1, 1], pad: "valid" },
  { image: [2, 5, 7, 3], filter: [3, 3, 3, 5], strides: [1, 1], pad: "same" },
  { image: [2, 5, 7, 3], filter: [3, 2, 3, 5], strides: [1, 1], pad: "valid" },
  { image: [1, 9, 8, 8], filter: [3, 3, 8, 13], strides: [2, 2], pad: "same" },
  { image: [3, 8, 9, 4], filter: [2, 4, 4, 1], strides: [2, 3], pad: 1 },
  { image: [1, 6, 5, 2], filter: [3, 3, 2, 9], strides: [1, 2], pad: explicit },
  { image: [2, 4, 4, 65], filter: [1, 1, 65, 7], strides: [1, 1], pad: "same" },
  { image: [1, 4, 4, 5], filter: [1, 1, 5, 7], strides: [2, 2], pad: "valid" },
  { image: [1, 40, 40, 16], filter: [3, 3, 16, 8], strides: [1, 1], pad: "same" },
  { image: [2, 9, 9, 3], filter: [3, 2, 3, 4], strides: [1, 1], pad: "same", dilations: [2, 3] },
  { image: [2, 9, 9, 3], filter: [3, 3, 3, 4], strides: [1, 1], pad: "valid", dilations: [2, 2] }
]

const named = ({ dilations = [1, 1], filter, image, pad, strides }: Case) =>
  `[${image}] * [${filter}] strides ${strides} pad ${typeof pad === "object" ? "explicit" : pad} dilations ${dilations}`

const floor = (pad: Case["pad"]) => (typeof pad === "string" ? undefined : ("floor" as const))

/** Every product of an element of the image and one of the filter, as flat indices, with the output that it belongs to. */
const contributions = (
  c: Case,
  depthwise: boolean,
  visit: (image: number, filter: number, out: number) => void
): tf.backend_util.Conv2DInfo => {
  const [image, filter] = [[...c.image], [...c.filter]] as Array<[number, number, number, number]>
  const info = tf.backend_util.computeConv2DInfo(
    ...[image!, filter!, c.strides, c.dilations ?? 1, c.pad, floor(c.pad), depthwise]
  )
  const { batchSize, inChannels, inHeight, inWidth, outChannels, outHeight, outWidth } = info
  const multiplier = c.filter[3]
  for (let b = 0; b < batchSize; b++)
    for (let i = 0; i < outHeight; i++)
      for (let j = 0; j < outWidth; j++)
        for (let fi = 0; fi < info.filterHeight; fi++)
          for (let fj = 0; fj < info.filterWidth; fj++) {
            const row = i * info.strideHeight - info.padInfo.top + fi * info.dilationHeight
            const column = j * info.strideWidth - info.padInfo.left + fj * info.dilationWidth
            if (row < 0 || row >= inHeight || column < 0 || column >= inWidth) continue
            for (let channel = 0; channel < inChannels; channel++)
              for (let m = 0; m < multiplier; m++)
                visit(
                  ((b * inHeight + row) * inWidth + column) * inChannels + channel,
                  ((fi * info.filterWidth + fj) * inChannels + channel) * multiplier + m,
                  ((b * outHeight + i) * outWidth + j) * outChannels + (depthwise ? channel * multiplier + m : m)
                )
          }
  return info
}

const check = (
  c: Case,
  depthwise: boolean,
  run: (x: tf.Tensor4D, filter: tf.Tensor4D) => tf.Tensor4D,
  withGradients: boolean
) => {
  const [x, filter] = [random<tf.Rank.R4>("x", c.image), random<tf.Rank.R4>("filter", c.filter)]
  const got = run(x, filter)
  const dy = random<tf.Rank.R4>("dy", got.shape)
  const [xs, fs, dys] = [values(x), values(filter), values(dy)]
  const [out, dx, df] = [got, x, filter].map(({ size }) => new Float64Array(size)) as [
    Float64Array,
    Float64Array,
    Float64Array
  ]
  const info = contributions(c, depthwise, (image, filter, at) => {
    out[at]! += xs[image]! * fs[filter]!
    dx[image]! += fs[filter]! * dys[at]!
    df[filter]! += xs[image]! * dys[at]!
  })
  assert.deepStrictEqual(got.shape, info.outShape)
  assert.isBelow(relativeError(values(got), out), 2e-6)
  if (!withGradients) return
  const [gotX, gotFilter] = gradients((x, filter) => run(x!, filter!), [x, filter], dy)
  assert.isBelow(relativeError(values(gotX!), dx), 2e-6)
  assert.isBelow(relativeError(values(gotFilter!), df), 2e-6)
}

const convolved = (c: Case) => (x: tf.Tensor4D, filter: tf.Tensor4D) =>
  tf.conv2d(x, filter, c.strides, c.pad, "NHWC", c.dilations ?? [1, 1], floor(c.pad))

const depthwised = (c: Case) => (x: tf.Tensor4D, filter: tf.Tensor4D) =>
  tf.depthwiseConv2d(x, filter, c.strides, c.pad, "NHWC", c.dilations ?? [1, 1], floor(c.pad))

layer(Device.layer("wasm"))("convolutions on wasm", (it) => {
  for (const c of cases)
    it.effect(`conv2d ${named(c)}, values and gradients`, () =>
      balanced(() => check(c, false, convolved(c), c.dilations === undefined))
    )

  for (const c of cases.flatMap((c) =>
    [1, 3].map((multiplier): Case => ({ ...c, filter: [c.filter[0], c.filter[1], c.filter[2], multiplier] }))
  ))
    if (!(c.strides[0] > 1 && c.dilations))
      it.effect(`depthwiseConv2d ${named(c)}, values and gradients`, () =>
        balanced(() => check(c, true, depthwised(c), c.dilations === undefined))
      )

  it.effect("conv1d and the transposed convolution are the matching conv2d and its gradient", () =>
    balanced(() => {
      const [x, filter] = [random<tf.Rank.R3>("x", [2, 9, 3]), random<tf.Rank.R3>("f", [3, 3, 5])]
      const [image, wide] = [tf.reshape(x, [2, 1, 9, 3]), tf.reshape(filter, [1, 3, 3, 5])]
      const one = tf.conv2d(image as tf.Tensor4D, wide as tf.Tensor4D, [1, 2], "same")
      assert.deepStrictEqual(values(tf.conv1d(x, filter, 2, "same")), values(one))
      const [small, taps] = [random<tf.Rank.R4>("small", [2, 3, 4, 5]), random<tf.Rank.R4>("taps", [3, 3, 2, 5])]
      const large = tf.conv2dTranspose(small, taps, [2, 6, 8, 2], 2, "same")
      const [back] = gradients((x) => tf.conv2d(x!, taps, 2, "same"), [tf.zeros([2, 6, 8, 2])], small)
      assert.deepStrictEqual(values(large), values(back!))
      const slopes = random("slopes", [2, 6, 8, 2])
      const [gradient] = gradients((x) => tf.conv2dTranspose(x!, taps, [2, 6, 8, 2], 2, "same"), [small], slopes)
      assert.isBelow(relativeError(values(gradient!), values(tf.conv2d(slopes as tf.Tensor4D, taps, 2, "same"))), 1e-6)
    })
  )

  it.effect("filters written in place are seen, and the fused kernels agree with their parts", () =>
    balanced(() => {
      const x = random<tf.Rank.R4>("x", [1, 6, 6, 4])
      const [filter, taps] = [random<tf.Rank.R4>("f", [3, 3, 4, 8]), random<tf.Rank.R4>("t", [3, 3, 4, 2])]
      const bias = random<tf.Rank.R1>("bias", [8])
      const common = { x, strides: 1, pad: "same", bias, activation: "relu" } as const
      const plain = () => [tf.conv2d(x, filter, 1, "same"), tf.depthwiseConv2d(x, taps, 1, "same")]
      const first = plain().map(values)
      for (const tensor of [filter, taps]) overwrite(tensor, "other")
      const second = plain()
      const fused = [tf.fused.conv2d({ ...common, filter }), tf.fused.depthwiseConv2d({ ...common, filter: taps })]
      const fresh = [
        tf.conv2d(x, tf.tensor4d(values(filter), filter.shape), 1, "same"),
        tf.depthwiseConv2d(x, tf.tensor4d(values(taps), taps.shape), 1, "same")
      ]
      for (const [i, out] of second.entries()) {
        assert.notDeepEqual(values(out), first[i])
        assert.deepStrictEqual(values(out), values(fresh[i]!))
        assert.deepStrictEqual(values(fused[i]!), values(tf.relu(tf.add(out, bias))))
      }
    })
  )

  for (const [name, x] of [
    ["as they come", () => random<tf.Rank.R4>("x", [2, 7, 6, 5])],
    ["all negative", () => tf.neg(tf.add(tf.abs(random<tf.Rank.R4>("x", [2, 7, 6, 5])), 1))],
    ["all equal", () => tf.ones<tf.Rank.R4>([2, 7, 6, 5])]
  ] as const)
    for (const [size, strides, pad] of [
      [2, 2, "valid"],
      [3, 2, "same"],
      [[3, 2], 1, "same"],
      [3, 2, 1]
    ] as const)
      it.effect(`pooling of values ${name}: ${size} strides ${strides} pad ${pad}`, () =>
        balanced(() => {
          const image = x() as tf.Tensor4D
          const window = (typeof size === "number" ? [size, size] : [...size]) as [number, number]
          const rounding = floor(pad)
          const max = (x: tf.Tensor4D) => tf.maxPool(x, window, strides, pad, rounding)
          const average = (x: tf.Tensor4D) => tf.avgPool(x, window, strides, pad, rounding)
          const dy = random<tf.Rank.R4>("dy", max(image).shape)
          const [xs, dys] = [values(image), values(dy)]
          const windows = Array.from({ length: dy.size }, (): Array<number> => [])
          const c: Case = { image: image.shape, filter: [...window, 5, 1], strides: [strides, strides], pad }
          contributions(c, true, (at, _, out) => windows[out]!.push(at))
          const [largest, mean] = [new Float64Array(dy.size), new Float64Array(dy.size)]
          const [ofLargest, ofMean] = [new Float64Array(xs.length), new Float64Array(xs.length)]
          for (const [out, inside] of windows.entries()) {
            largest[out] = Math.max(...inside.map((at) => xs[at]!))
            ofLargest[inside.find((at) => xs[at] === largest[out])!]! += dys[out]!
            mean[out] = inside.reduce((sum, at) => sum + xs[at]!, 0) / inside.length
            for (const at of inside) ofMean[at]! += dys[out]! / inside.length
          }
          assert.isBelow(relativeError(values(max(image)), largest), 1e-6)
          assert.isBelow(relativeError(values(average(image)), mean), 1e-6)
          assert.isBelow(relativeError(values(gradients((x) => max(x!), [image], dy)[0]!), ofLargest), 1e-6)
          assert.isBelow(relativeError(values(gradients((x) => average(x!), [image], dy)[0]!), ofMean), 1e-6)
        })
      )

  it.effect("refuses another layout of the image than its own", () =>
    balanced(() => {
      const [x, filter] = [random<tf.Rank.R4>("x", [1, 3, 5, 5]), random<tf.Rank.R4>("f", [3, 3, 3, 2])]
      assert.throws(() => tf.conv2d(x, filter, 1, "same", "NCHW"), /NHWC/)
    })
  )
})
