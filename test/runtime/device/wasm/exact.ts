/** The fused operations and their gradients written out in float64, straight from their formulas. */
import type { UpdateRule } from "../../../../runtime/tensor/AdamW.ts"
import type { Heads } from "../../../../runtime/tensor/causalAttention.ts"

type Numbers = ArrayLike<number>

interface Result {
  readonly value: Float64Array
  readonly gradients: ReadonlyArray<Float64Array>
}

export const rmsNorm = (x: Numbers, w: Numbers, dy: Numbers, rows: number, width: number, epsilon: number): Result => {
  const [value, dx, dw] = [new Float64Array(x.length), new Float64Array(x.length), new Float64Array(width)]
  for (let n = 0; n < rows; n++) {
    const at = n * width
    let squares = 0
    let dot = 0
    for (let d = 0; d < width; d++) {
      squares += x[at + d]! ** 2
      dot += dy[at + d]! * x[at + d]! * w[d]!
    }
    const r = 1 / Math.sqrt(squares / width + epsilon)
    for (let d = 0; d < width; d++) {
      value[at + d] = x[at + d]! * r * w[d]!
      dx[at + d] = r * w[d]! * dy[at + d]! - (x[at + d]! * r ** 3 * dot) / width
      dw[d]! += dy[at + d]! * x[at + d]! * r
    }
  }
  return { value, gradients: [dx, dw] }
}

export const swiGlu = (gate: Numbers, up: Numbers, dy: Numbers): Result => {
  const [value, dGate, dUp] = [0, 1, 2].map(() => new Float64Array(gate.length)) as [
    Float64Array,
    Float64Array,
    Float64Array
  ]
  for (let i = 0; i < gate.length; i++) {
    const s = 1 / (1 + Math.exp(-gate[i]!))
    value[i] = gate[i]! * s * up[i]!
    dGate[i] = dy[i]! * up[i]! * s * (1 + gate[i]! * (1 - s))
    dUp[i] = dy[i]! * gate[i]! * s
  }
  return { value, gradients: [dGate, dUp] }
}

export const logProbs = (logits: Numbers, targets: Int32Array, dy: Numbers, rows: number, width: number): Result => {
  const [value, dx] = [new Float64Array(rows), new Float64Array(logits.length)]
  for (let n = 0; n < rows; n++) {
    const row = Array.from({ length: width }, (_, token) => logits[n * width + token]!)
    const normalizer = logSumExp(row)
    value[n] = row[targets[n]!]! - normalizer
    row.forEach((logit, token) => {
      dx[n * width + token] = dy[n]! * ((token === targets[n] ? 1 : 0) - Math.exp(logit - normalizer))
    })
  }
  return { value, gradients: [dx] }
}

const logSumExp = (row: ReadonlyArray<number>) => {
  const highest = Math.max(...row)
  return highest + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - highest), 0))
}

export const gatherRows = (x: Float32Array, rows: Int32Array, width: number): Float32Array => {
  const out = new Float32Array(rows.length * width)
  rows.forEach((row, i) => {
    out.set(x.subarray(row * width, (row + 1) * width), i * width)
  })
  return out
}

/** In float32 and in order, as the operation promises. */
export const scatterRows = (x: Float32Array, rows: Int32Array, count: number, width: number): Float32Array => {
  const out = new Float32Array(count * width)
  rows.forEach((row, i) => {
    for (let d = 0; d < width; d++) out[row * width + d]! += x[i * width + d]!
  })
  return out
}

export const adamW = (p: Numbers, m: Numbers, v: Numbers, g: Numbers, rule: UpdateRule) => {
  const { beta1, beta2, correction, epsilon, keep, scale, size } = rule
  const first = Float64Array.from(m, (m, i) => beta1 * m + (1 - beta1) * g[i]! * scale)
  const second = Float64Array.from(v, (v, i) => beta2 * v + (1 - beta2) * (g[i]! * scale) ** 2)
  const next = Float64Array.from(
    p,
    (p, i) => keep * p - (size * first[i]!) / (Math.sqrt(second[i]!) * correction + epsilon)
  )
  return [next, first, second] as const
}

/** Per row: the probability of all tokens before each token, and up to it, at a temperature; log-probabilities at 1. */
export const draw = (logits: Float32Array, uniforms: Float64Array, width: number, temperature: number) =>
  Array.from(uniforms, (_, n) => {
    const row = [...logits.subarray(n * width, (n + 1) * width)]
    const tempered = row.map((logit) => logit / temperature)
    const [normalizer, tempering] = [logSumExp(row), logSumExp(tempered)]
    let sum = 0
    const upTo = tempered.map((logit) => {
      sum += Math.exp(logit - tempering)
      return sum
    })
    return { upTo, below: [0, ...upTo.slice(0, -1)], logProbs: row.map((logit) => logit - normalizer) }
  })

/** Head by head, position by position. */
export const causalAttention = (
  q: Numbers,
  k: Numbers,
  v: Numbers,
  dy: Numbers,
  lengths: Int32Array,
  { headDim, heads, keyValueHeads, ropeTheta }: Heads
): Result => {
  const [value, dq, dk, dv] = [q, q, k, v].map(({ length }) => new Float64Array(length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array
  ]
  const half = headDim / 2
  const scale = 1 / Math.sqrt(headDim)
  /** `direction` 1 turns by the position's angles, -1 turns back. */
  const turned = (x: Numbers, at: number, position: number, direction: 1 | -1) => {
    const out = new Float64Array(headDim)
    for (let i = 0; i < half; i++) {
      const angle = direction * position * ropeTheta ** ((-2 * i) / headDim)
      const [x1, x2] = [x[at + i]!, x[at + half + i]!]
      out[i] = x1 * Math.cos(angle) - x2 * Math.sin(angle)
      out[half + i] = x2 * Math.cos(angle) + x1 * Math.sin(angle)
    }
    return out
  }
  const add = (target: Float64Array, at: number, x: Numbers, factor = 1) => {
    for (let d = 0; d < x.length; d++) target[at + d]! += factor * x[d]!
  }
  const dot = (a: Numbers, b: Numbers) => Array.from(a).reduce((sum, x, d) => sum + x * b[d]!, 0)
  let start = 0
  for (const length of lengths) {
    for (let head = 0; head < heads; head++) {
      const shared = Math.floor(head / (heads / keyValueHeads))
      const queryAt = (i: number) => ((start + i) * heads + head) * headDim
      const keyAt = (j: number) => ((start + j) * keyValueHeads + shared) * headDim
      const positions = Array.from({ length }, (_, position) => position)
      const keys = positions.map((j) => turned(k, keyAt(j), j, 1))
      const rows = positions.map((j) => Array.from({ length: headDim }, (_, d) => v[keyAt(j) + d]!))
      const dKeys = positions.map(() => new Float64Array(headDim))
      for (const i of positions) {
        const query = turned(q, queryAt(i), i, 1).map((x) => x * scale)
        const slopes = Array.from({ length: headDim }, (_, d) => dy[queryAt(i) + d]!)
        const scores = positions.slice(0, i + 1).map((j) => dot(query, keys[j]!))
        const normalizer = logSumExp(scores)
        const weights = scores.map((score) => Math.exp(score - normalizer))
        const dWeights = weights.map((_, j) => dot(slopes, rows[j]!))
        const mean = dot(weights, dWeights)
        const dQuery = new Float64Array(headDim)
        weights.forEach((weight, j) => {
          const dScore = weight * (dWeights[j]! - mean)
          add(value, queryAt(i), rows[j]!, weight)
          add(dv, keyAt(j), slopes, weight)
          add(dQuery, 0, keys[j]!, dScore * scale)
          add(dKeys[j]!, 0, query, dScore)
        })
        add(dq, queryAt(i), turned(dQuery, 0, i, -1))
      }
      for (const j of positions) add(dk, keyAt(j), turned(dKeys[j]!, 0, j, -1))
    }
    start += length
  }
  return { value, gradients: [dq, dk, dv] }
}
