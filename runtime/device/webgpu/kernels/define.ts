import * as tf from "@tensorflow/tfjs"
import type { Backend } from "../Backend.ts"

export type Inputs = Readonly<Record<string, tf.TensorInfo>>

/** Registers the kernel of an operation; see `operation` for what it is given and returns. */
export const define = <Attributes extends object>(
  name: string,
  run: (backend: Backend, inputs: Inputs, attributes: Attributes) => ReadonlyArray<tf.TensorInfo>
): void => {
  replace({
    kernelName: `Prefline${name}`,
    backendName: "webgpu",
    kernelFunc: ({ attrs, backend, inputs }) => [
      ...run(backend as Backend, inputs as Inputs, attrs as unknown as Attributes)
    ]
  })
}

/** Replaces a kernel in the library's registry, without its warning about that. */
export const replace = (config: tf.KernelConfig): void => {
  if (tf.getKernel(config.kernelName, config.backendName)) tf.unregisterKernel(config.kernelName, config.backendName)
  tf.registerKernel(config)
}

/** A new tensor whose values are undefined: the kernel writes every element. */
export const allocate = (backend: Backend, shape: ReadonlyArray<number>): tf.TensorInfo => {
  const empty = tf.util.sizeFromShape([...shape]) === 0
  return backend.makeTensorInfo([...shape], "float32", empty ? new Float32Array(0) : undefined)
}

/** Runs with temporary tensors, which are freed afterwards. */
export const using = <A>(
  backend: Backend,
  temporary: ReadonlyArray<tf.TensorInfo>,
  run: (...temporary: ReadonlyArray<tf.TensorInfo>) => A
): A => {
  try {
    return run(...temporary)
  } finally {
    for (const { dataId } of temporary) backend.disposeData(dataId)
  }
}

/** Host integers as a tensor. */
export const integers = (backend: Backend, values: Int32Array): tf.TensorInfo =>
  backend.makeTensorInfo([values.length], "int32", values)

/** Threads of a workgroup in programs that run along elements or reduce a row. */
export const THREADS = 256

/** A grid of at least `count` workgroups, none for none, within the limit of 65535 a dimension; `item` numbers them. */
export const grid = (count: number): [x: number, y: number] => {
  const x = Math.min(count, 65535)
  return [x, x === 0 ? 0 : Math.ceil(count / x)]
}

/** A grid of workgroups whose threads cover `count` elements; `element` numbers them. */
export const elements = (count: number): [x: number, y: number] => grid(Math.ceil(count / THREADS))

/**
 * The entry point: `item` is the number of the workgroup, `lane` the thread's number in it. The body must return where
 * `item` is too large.
 */
export const main = (body: string, threads = THREADS): string => `
@compute @workgroup_size(${threads})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32
) {
  let item = group.y * groups.x + group.x;
  ${body}
}`

/** An entry point that runs the body once for every `element` below the uniform `count`. */
export const each = (body: string): string =>
  main(`
  let element = item * ${THREADS}u + lane;
  if (element >= u.count) { return; }
  ${body}`)

/** `total(lane, x)` and `highest(lane, x)` over the threads of a workgroup, by halving, in a fixed order. */
export const REDUCE = `
var<workgroup> halves: array<f32, ${THREADS}>;
fn total(lane: u32, value: f32) -> f32 {
  halves[lane] = value;
  workgroupBarrier();
  for (var half = ${THREADS / 2}u; half > 0u; half >>= 1u) {
    if (lane < half) { halves[lane] += halves[lane + half]; }
    workgroupBarrier();
  }
  let result = halves[0];
  workgroupBarrier();
  return result;
}
fn highest(lane: u32, value: f32) -> f32 {
  halves[lane] = value;
  workgroupBarrier();
  for (var half = ${THREADS / 2}u; half > 0u; half >>= 1u) {
    if (lane < half) { halves[lane] = max(halves[lane], halves[lane + half]); }
    workgroupBarrier();
  }
  let result = halves[0];
  workgroupBarrier();
  return result;
}`
