import type { UpdateRule } from "../../tensor/AdamW.ts"
import { define } from "./memory.ts"

define<UpdateRule>("AdamW", (memory, { first, gradient, parameter, second }, rule) => {
  const { beta1, beta2, correction, epsilon, keep, scale, size } = rule
  const [ps, gs] = [memory.floats(parameter!), memory.floats(gradient!)]
  const [ms, vs] = [memory.floats(first!), memory.floats(second!)]
  for (let i = 0; i < ps.length; i++) {
    const g = gs[i]! * scale
    const m = beta1 * ms[i]! + (1 - beta1) * g
    const v = beta2 * vs[i]! + (1 - beta2) * g * g
    ms[i] = m
    vs[i] = v
    ps[i] = keep * ps[i]! - (size * m) / (Math.sqrt(v) * correction + epsilon)
  }
  return []
})

define("SumOfSquares", (memory, { x }) => {
  const out = memory.allocate([])
  let squares = 0
  for (const value of memory.floats(x!)) squares += value * value
  memory.floats(out)[0] = squares
  return [out]
})
