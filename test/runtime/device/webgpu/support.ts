import { assert, it } from "@effect/vitest"
import { findAdapter } from "../../../../runtime/device/webgpu/adapter.ts"

/** Why no GPU can be had here, not even a software one. */
export const missing: string | undefined = await findAdapter().then(
  () => undefined,
  (error: Error) => error.message
)

/** Says so and skips; or fails, where `PREFLINE_REQUIRE_DEVICES` names the device. */
export const skip = (what: string): void => {
  console.warn(`SKIPPED: ${what}. ${missing}`)
  const required = (process.env["PREFLINE_REQUIRE_DEVICES"] ?? "").split(",").includes("webgpu")
  it(what, (context) => (required ? assert.fail(missing) : context.skip(missing)))
}

/** Numbers in (-2, 2) that look random and need no seed. */
export const numbers = (count: number, stream: number): Float32Array =>
  Float32Array.from(
    { length: count },
    (_, i) => 2 * Math.sin(12.9898 * (i + 1) + 78.233 * stream) * Math.cos(i * i + stream)
  )

/** Relative Euclidean distance of values to what is expected. */
export const distance = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
  if (actual.length !== expected.length) return Number.NaN
  let [error, size] = [0, 0]
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i]! - expected[i]!) ** 2
    size += expected[i]! ** 2
  }
  return Math.sqrt(error / (size || 1))
}

export type Reference = (inputs: ReadonlyArray<Float64Array>) => Float64Array

/** Gradient of `sum(slope * reference)` in each input, by central differences in float64. */
export const differences = (
  reference: Reference,
  inputs: ReadonlyArray<Float64Array>,
  slope: ArrayLike<number>
): ReadonlyArray<Float64Array> => {
  const value = () => reference(inputs).reduce((sum, y, i) => sum + slope[i]! * y, 0)
  const step = 1e-5
  return inputs.map((input) =>
    input.map((x, i) => {
      input[i] = x + step
      const above = value()
      input[i] = x - step
      const below = value()
      input[i] = x
      return (above - below) / (2 * step)
    })
  )
}

interface Heads {
  readonly heads: number
  readonly keyValueHeads: number
  readonly headDim: number
  readonly ropeTheta: number
}

/** One head's vector of a row, turned by a position, halves being the coordinates. */
const turned = (x: Float64Array, from: number, position: number, { headDim, ropeTheta }: Heads): Float64Array => {
  const half = headDim / 2
  const out = new Float64Array(headDim)
  for (let i = 0; i < half; i++) {
    const angle = position * ropeTheta ** ((-2 * i) / headDim)
    const [x1, x2] = [x[from + i]!, x[from + half + i]!]
    out[i] = x1 * Math.cos(angle) - x2 * Math.sin(angle)
    out[half + i] = x2 * Math.cos(angle) + x1 * Math.sin(angle)
  }
  return out
}

/** Attention of rows over sequences that lie behind one another, straight from the definition. */
export const attention =
  (lengths: ReadonlyArray<number>, heads: Heads): Reference =>
  ([q, k, v]) => {
    const { headDim, heads: count, keyValueHeads } = heads
    const out = new Float64Array(q!.length)
    let start = 0
    for (const length of lengths) {
      for (let head = 0; head < count; head++) {
        const keyHead = Math.floor(head / (count / keyValueHeads))
        const at = (row: number) => ((start + row) * keyValueHeads + keyHead) * headDim
        const keys = Array.from({ length }, (_, j) => turned(k!, at(j), j, heads))
        for (let i = 0; i < length; i++) {
          const to = ((start + i) * count + head) * headDim
          const query = turned(q!, to, i, heads)
          const scores = keys
            .slice(0, i + 1)
            .map((key) => key.reduce((sum, x, d) => sum + x * query[d]!, 0) / Math.sqrt(headDim))
          const highest = Math.max(...scores)
          const weights = scores.map((score) => Math.exp(score - highest))
          const total = weights.reduce((sum, weight) => sum + weight, 0)
          weights.forEach((weight, j) => {
            for (let d = 0; d < headDim; d++) out[to + d]! += (weight / total) * v![at(j) + d]!
          })
        }
      }
      start += length
    }
    return out
  }
