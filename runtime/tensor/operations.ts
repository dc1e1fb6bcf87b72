/**
 * Operations with a gradient of their own. A device that has a kernel for one runs it; any other device runs the
 * operation's definition, composed of the tensor library's own operations.
 */
import * as tf from "@tensorflow/tfjs"

/** What an operation means, in terms of the library's own. */
export interface Definition<Name extends string, Attributes extends object> {
  /** Devices register a kernel as `Prefline<name>`, and its gradient as `Prefline<name>Gradient`. */
  readonly name: string
  /** Names of the tensors, in the order in which the gradient returns theirs. */
  readonly inputs: ReadonlyArray<Name>
  readonly composed: (inputs: Readonly<Record<Name, tf.Tensor>>, attributes: Attributes) => tf.Tensor
  /** The gradient of a kernel, where operations give it; else devices have a kernel for it too. */
  readonly gradient?: (
    dy: tf.Tensor,
    inputs: Readonly<Record<Name, tf.Tensor>>,
    attributes: Attributes
  ) => ReadonlyArray<tf.Tensor>
}

export interface Operation<Name extends string, Attributes extends object> {
  (inputs: Readonly<Record<Name, tf.Tensor>>, attributes: Attributes): tf.Tensor
  /** The definition itself, whatever kernels the device has. */
  readonly composed: Definition<Name, Attributes>["composed"]
}

/**
 * A differentiable operation.
 * **Details** A kernel returns the value first and then what its gradient wants kept; the gradient is given the inputs, `dy`,
 * the kept tensors as `kept0`, `kept1`, … and the same attributes, and returns one tensor per input.
 */
export const operation = <const Name extends string, Attributes extends object>({
  composed,
  gradient,
  inputs: names,
  name
}: Definition<Name, Attributes>): Operation<Name, Attributes> => {
  const define = (inputs: Readonly<Record<Name, tf.Tensor>>, attributes: Attributes) =>
    tf.tidy(() => composed(inputs, attributes))
  const run = (inputs: Readonly<Record<Name, tf.Tensor>>, attributes: Attributes): tf.Tensor => {
    if (!hasKernel(name)) return define(inputs, attributes)
    const fused = (...given: ReadonlyArray<unknown>) => {
      const tensors = given.slice(0, -1) as Array<tf.Tensor>
      const save = given.at(-1) as (tensors: Array<tf.Tensor>) => void
      const [value, ...kept] = call(name, named(names, tensors), attributes)
      save([...tensors, ...kept])
      return {
        value: value!,
        // All at once, never one by one on demand: the library disposes what one input's closure makes before the next.
        gradFunc: (dy: tf.Tensor, saved: ReadonlyArray<tf.Tensor>) => {
          const given = named([...names, ...kept.map((_, i) => `kept${i}`)], saved)
          return [
            ...(gradient
              ? gradient(dy, given as Readonly<Record<Name, tf.Tensor>>, attributes)
              : call(`${name}Gradient`, { ...given, dy }, attributes))
          ]
        }
      }
    }
    return tf.customGrad(fused as Parameters<typeof tf.customGrad>[0])(...names.map((input) => inputs[input]))
  }
  return Object.assign(run, { composed: define })
}

/** Whether the current device has a kernel for an operation. */
export const hasKernel = (name: string): boolean => tf.getKernel(`Prefline${name}`, tf.getBackend()) != null

/** Runs a device's kernel for an operation, without a gradient of its own. */
export const call = (
  name: string,
  inputs: Readonly<Record<string, tf.Tensor>>,
  attributes: object = {}
): ReadonlyArray<tf.Tensor> => {
  const outputs: unknown = tf.engine().runKernel(`Prefline${name}`, inputs, attributes as tf.NamedAttrMap)
  return outputs as ReadonlyArray<tf.Tensor>
}

const named = (names: ReadonlyArray<string>, tensors: ReadonlyArray<tf.Tensor>) =>
  Object.fromEntries(names.map((name, i) => [name, tensors[i]!] as const))
