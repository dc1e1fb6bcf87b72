import { define } from "./memory.ts"

interface Attributes {
  readonly targets: Int32Array
}

/** `log(sum(exp(x)))` of `width` numbers from `at`, float64. */
const logSumExp = (xs: Float32Array, at: number, width: number): number => {
  let highest = -Infinity
  for (let i = at; i < at + width; i++) if (xs[i]! > highest) highest = xs[i]!
  let total = 0
  for (let i = at; i < at + width; i++) total += Math.exp(xs[i]! - highest)
  return highest + Math.log(total)
}

define<Attributes>("LogProbs", (memory, { logits }, { targets }) => {
  const [rows, vocabulary] = logits!.shape as [number, number]
  const out = memory.allocate([rows])
  const xs = memory.floats(logits!)
  const ys = memory.floats(out)
  for (let n = 0; n < rows; n++) ys[n] = xs[n * vocabulary + targets[n]!]! - logSumExp(xs, n * vocabulary, vocabulary)
  return [out]
})

define<Attributes>("LogProbsGradient", (memory, { dy, logits }, { targets }) => {
  const [rows, vocabulary] = logits!.shape as [number, number]
  const out = memory.allocate([rows, vocabulary])
  const [xs, dys, dxs] = [memory.floats(logits!), memory.floats(dy!), memory.floats(out)]
  for (let n = 0; n < rows; n++) {
    const at = n * vocabulary
    const normalizer = logSumExp(xs, at, vocabulary)
    for (let token = 0; token < vocabulary; token++)
      dxs[at + token] = dys[n]! * ((token === targets[n] ? 1 : 0) - Math.exp(xs[at + token]! - normalizer))
  }
  return [out]
})
