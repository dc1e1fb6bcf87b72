import * as tf from "@tensorflow/tfjs"
import type { Heap } from "./host.ts"
import { type Inputs, type Others, override } from "./override.ts"

/** What the fused kernels of tfjs do to their product. */
export interface Epilogue {
  readonly activation: "linear" | "relu" | "relu6" | "elu" | "sigmoid" | "prelu" | "leakyrelu"
  readonly leakyreluAlpha?: number
}

/** Adds `inputs.bias`, where there is one, and applies the activation; takes `x` over. */
export const finish = (
  heap: Heap,
  x: tf.TensorInfo,
  { bias, preluActivationWeights }: Inputs,
  { activation, leakyreluAlpha }: Epilogue,
  { call }: Others
): tf.TensorInfo => {
  const then = (x: tf.TensorInfo, name: string, inputs: Inputs, attributes?: object) => {
    const out = call(name, inputs, attributes)
    heap.release(x)
    return out
  }
  const shifted = bias ? then(x, tf.Add, { a: x, b: bias }) : x
  switch (activation) {
    case "linear":
      return shifted
    case "relu":
      return then(shifted, tf.Relu, { x: shifted })
    case "relu6":
      return then(shifted, tf.Relu6, { x: shifted })
    case "elu":
      return then(shifted, tf.Elu, { x: shifted })
    case "sigmoid":
      return then(shifted, tf.Sigmoid, { x: shifted })
    case "leakyrelu":
      return then(shifted, tf.LeakyRelu, { x: shifted }, { alpha: leakyreluAlpha })
    case "prelu":
      return then(shifted, tf.Prelu, { x: shifted, alpha: preluActivationWeights! })
  }
}

export const epilogueKernels = [
  /** The published kernel keeps `alpha` by tensor, and a parameter may be written in place. */
  override(tf.Prelu, (heap, { alpha, x }, _, { call }) => {
    const zero = heap.allocate([], "float32")
    heap.floats(zero)[0] = 0
    const [positive, negative] = [call(tf.Maximum, { a: x!, b: zero }), call(tf.Minimum, { a: x!, b: zero })]
    const scaled = call(tf.Multiply, { a: negative, b: alpha! })
    const out = call(tf.Add, { a: positive, b: scaled })
    for (const temporary of [zero, positive, negative, scaled]) heap.release(temporary)
    return out
  })
]
