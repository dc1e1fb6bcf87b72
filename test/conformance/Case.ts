import type * as tf from "@tensorflow/tfjs"
import type { Draw } from "./draw.ts"
import type { Arr, DType } from "./oracle.ts"

/** A tensor handed to an operation. */
export interface Input {
  readonly shape: ReadonlyArray<number>
  readonly values: ArrayLike<number>
  readonly dtype: DType
  /** No gradient is asked for: not a float, or the operation has none by it. */
  readonly constant: boolean
}

/** One application of an operation: on the device, and as the reference defines it. */
export interface Sample {
  readonly inputs: ReadonlyArray<Input>
  /** Everything but the inputs, for people. */
  readonly attributes: object
  readonly run: (...inputs: ReadonlyArray<never>) => tf.Tensor | ReadonlyArray<tf.Tensor>
  readonly oracle: (...inputs: ReadonlyArray<Arr>) => Arr | ReadonlyArray<Arr>
}

/** Runs a sample on tensors of its inputs, in order; that they fit is the sample's business. */
export const apply = ({ run }: Pick<Sample, "run">, inputs: ReadonlyArray<tf.Tensor>): ReadonlyArray<tf.Tensor> =>
  [run(...(inputs as ReadonlyArray<never>))].flat()

/** An operation with a generator of its samples. */
export interface Case {
  readonly name: string
  /** Whether the gradient is a part of what is claimed. */
  readonly gradient: boolean
  readonly sample: (draw: Draw) => Sample
}

export const float = (draw: Draw, shape: ReadonlyArray<number>, one?: () => number): Input => ({
  shape,
  values: draw.values(shape, one),
  dtype: "float32",
  constant: false
})

export const fixed = (input: Input): Input => ({ ...input, constant: true })

export const int = (draw: Draw, shape: ReadonlyArray<number>, low: number, high: number): Input => ({
  shape,
  values: draw.values(shape, () => draw.int(low, high)),
  dtype: "int32",
  constant: true
})

export const bool = (draw: Draw, shape: ReadonlyArray<number>): Input => ({
  ...int(draw, shape, 0, 1),
  dtype: "bool"
})
