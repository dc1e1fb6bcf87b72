/** What is particular to each device: how exact its functions are, how many samples it is given, and what it cannot do. */
import type { Kind } from "../../runtime/device/Device.ts"
import type { Part } from "./check.ts"
import { type Accuracy, ROUNDOFF } from "./tape.ts"

export interface Profile {
  readonly accuracy: Accuracy
  /** Samples per case and part, and how many more are tried to find a small one that fails. */
  readonly samples: number
  readonly attempts: number
  /** By `case, part`: why not. What is listed here must fail, so that the list cannot outlive its reasons. */
  readonly unsupported: Readonly<Record<string, string>>
}

export const keyOf = (caseName: string, part: Part): string => `${caseName}, ${part}`

/** The library approximates erf by Abramowitz and Stegun's 7.1.26, off by up to 1.5e-7, in float32 on some devices. */
const library: Accuracy = { erf: () => 6e-7 }

/** Short polynomials: an absolute error, whatever the size of the result. */
const polynomial = () => 6 * ROUNDOFF

/** Eigen computes elu by exp(x) - 1 in vectors. */
const tensorflow: Accuracy = { ...library, elu: (_, y) => 4 * ROUNDOFF * (1 + Math.abs(y)) }

const each = (
  names: ReadonlyArray<string>,
  entries: (name: string) => ReadonlyArray<readonly [string, string]>
): Readonly<Record<string, string>> => Object.fromEntries(names.flatMap(entries))

/** Where tensors are freed at once: the library's gradient asks for one that is gone by then. Use `-softplus(-x)`. */
const freed = { "log of sigmoid of an intermediate, gradient": "tfjs asks for a tensor that is gone by then" }

/** Faults of the tensor library itself, whatever the device. */
const everywhere: Readonly<Record<string, string>> = {
  "maximum, broadcast, gradient": "tfjs does not sum the gradient over the axes that were broadcast",
  "minimum, broadcast, gradient": "tfjs does not sum the gradient over the axes that were broadcast",
  "squaredDifference, broadcast, gradient": "tfjs does not sum the gradient over the axes that were broadcast",
  "prod along the last axis, gradient": "tfjs does not take negative axes there",
  ...each(["", ", reversed"], (order) => [
    [
      `cumsum along any axis${order}, gradient`,
      "tfjs turns the gradient's axes the wrong way: right along the last axis only"
    ],
    [`cumprod${order}, gradient`, "tfjs has no gradient for it"]
  ]),
  "conv2d of oblong windows, padded by one, forward": "tfjs takes a window's height for its width too",
  "mirrorPad, reflect, gradient": "tfjs forgets the mirrored parts",
  "split into one part, gradient": "tfjs hands a single gradient over as a list of none",
  "unstack of one, gradient": "tfjs hands a single gradient over as a list of none",
  "matMul with gradient of a batch and one matrix NN, gradient": "tfjs does not sum the gradient over the batch"
}

const averages = { "avgPool, same, gradient": "tfjs divides by the whole window at the edges too" }

const cpu: Readonly<Record<string, string>> = {
  ...each(["NN", "TN", "NT", "TT"], (layout) => [
    [`matMul, some batch axes broadcast ${layout}, forward`, "tfjs broadcasts a batch of one matrix only"]
  ]),
  ...each(["plain", "corners"], (mode) => [
    [`resizeBilinear, ${mode}, oblong, gradient`, "tfjs swaps height and width"]
  ]),
  ...each(["", ", oblong"], (shape) => [
    [`resizeNearestNeighbor, plain${shape}, gradient`, "tfjs mixes the images of a batch up"]
  ]),
  ...averages
}

const node: Readonly<Record<string, string>> = {
  "conv2d, padded by one, forward": "tfjs-node takes the paddings same and valid only",
  "conv2d, padded by one, gradient": "tfjs-node takes the paddings same and valid only"
}

const webgpu: Readonly<Record<string, string>> = {
  ...averages,
  "log1p, forward": "tfjs computes log(1 + x): small x lose their digits",
  "expm1, forward": "tfjs computes exp(x) - 1: small x lose their digits",
  "argMax of a vector, forward": "tfjs gives the scalar the shape [1]",
  "slice of five axes, gradient": "tfjs pads up to four axes on WebGPU",
  "resizeBilinear, corners of one pixel, gradient": "tfjs gives zero for an axis of one"
}

/** WGSL's limits on accuracy (W3C, WebGPU Shading Language, section 15.7.4), in units of `2^-24`, and what tfjs makes of them. */
const wgsl: Accuracy = {
  ...library,
  exp: (x, y) => expUnits(x) * Math.abs(y),
  log: (_, y) => Math.max(2 ** -21, 6 * ROUNDOFF * Math.abs(y)),
  sin: () => 2 ** -11,
  cos: () => 2 ** -11,
  "slope of sin": () => 2 ** -11,
  "slope of cos": () => 2 ** -11,
  "slope of softplus": (x, y) => (expUnits(x) + 8 * ROUNDOFF) * Math.abs(y),
  "slope of erf": (x, y) => (expUnits(x * x) + 4 * ROUNDOFF) * Math.abs(y),
  tanh: () => 1e-5,
  sigmoid: (x, y) => (expUnits(x) + 8 * ROUNDOFF) * Math.abs(y),
  // As log(1 + exp(x)): small results keep few digits.
  softplus: (_, y) => Math.max(2 ** -20, 8 * ROUNDOFF * Math.abs(y)),
  elu: (x, y) => (expUnits(x) + 2 * ROUNDOFF) * (1 + Math.abs(y)),
  pow: (x, n) => expUnits(n * Math.log(Math.abs(x))) + 2 ** -20 * Math.abs(n)
}

function expUnits(x: number): number {
  return 2 * ROUNDOFF * (3 + 2 * Math.abs(x))
}

export const profiles: Readonly<Record<Kind, Profile>> = {
  cpu: { accuracy: library, samples: 20, attempts: 60, unsupported: { ...everywhere, ...freed, ...cpu } },
  wasm: {
    accuracy: {
      ...library,
      sin: polynomial,
      cos: polynomial,
      "slope of sin": polynomial,
      "slope of cos": polynomial
    },
    samples: 20,
    attempts: 60,
    unsupported: { ...everywhere, ...freed }
  },
  webgpu: { accuracy: wgsl, samples: 3, attempts: 8, unsupported: { ...everywhere, ...webgpu } },
  node: { accuracy: tensorflow, samples: 20, attempts: 60, unsupported: { ...everywhere, ...freed, ...node } },
  "node-gpu": { accuracy: tensorflow, samples: 20, attempts: 60, unsupported: { ...everywhere, ...freed, ...node } }
}
