import { define } from "./memory.ts"

define<{ epsilon: number }>("RmsNorm", (storage, { weight, x }, { epsilon }) => {
  const [rows, width] = x!.shape as [number, number]
  const out = storage.allocate([rows, width])
  const scale = storage.allocate([rows])
  const xs = storage.floats(x!)
  const ws = storage.floats(weight!)
  const ys = storage.floats(out)
  const scales = storage.floats(scale)
  for (let n = 0; n < rows; n++) {
    const at = n * width
    let squares = 0
    for (let d = 0; d < width; d++) squares += xs[at + d]! * xs[at + d]!
    const r = 1 / Math.sqrt(squares / width + epsilon)
    scales[n] = r
    for (let d = 0; d < width; d++) ys[at + d] = xs[at + d]! * r * ws[d]!
  }
  return [out, scale]
})

/** `dx = r (w dy - x r^2 mean(w dy x))` and `dw = sum over rows of dy x r`, with `r` the row's scale. */
define("RmsNormGradient", (storage, { dy, kept0: scale, weight, x }) => {
  const [rows, width] = x!.shape as [number, number]
  const dx = storage.allocate([rows, width])
  const dw = storage.allocate([width])
  const xs = storage.floats(x!)
  const ws = storage.floats(weight!)
  const scales = storage.floats(scale!)
  const dys = storage.floats(dy!)
  const dxs = storage.floats(dx)
  const sums = new Float64Array(width)
  for (let n = 0; n < rows; n++) {
    const at = n * width
    const r = scales[n]!
    let dot = 0
    for (let d = 0; d < width; d++) {
      const along = dys[at + d]! * xs[at + d]!
      sums[d]! += along * r
      dot += along * ws[d]!
    }
    const pull = (dot / width) * r * r * r
    for (let d = 0; d < width; d++) dxs[at + d] = r * ws[d]! * dys[at + d]! - pull * xs[at + d]!
  }
  storage.floats(dw).set(sums)
  return [dx, dw]
})
