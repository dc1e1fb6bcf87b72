import { define } from "./memory.ts"

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

define("SwiGlu", (memory, { gate, up }) => {
  const out = memory.allocate(gate!.shape)
  const gates = memory.floats(gate!)
  const ups = memory.floats(up!)
  const ys = memory.floats(out)
  for (let i = 0; i < ys.length; i++) ys[i] = gates[i]! * sigmoid(gates[i]!) * ups[i]!
  return [out]
})

/** With `s` the sigmoid of the gate `g`: `dg = dy up s (1 + g (1 - s))` and `dup = dy g s`. */
define("SwiGluGradient", (memory, { dy, gate, up }) => {
  const dGate = memory.allocate(gate!.shape)
  const dUp = memory.allocate(gate!.shape)
  const [gates, ups, dys] = [memory.floats(gate!), memory.floats(up!), memory.floats(dy!)]
  const [dGates, dUps] = [memory.floats(dGate), memory.floats(dUp)]
  for (let i = 0; i < dys.length; i++) {
    const g = gates[i]!
    const s = sigmoid(g)
    const d = dys[i]!
    dGates[i] = d * ups[i]! * s * (1 + g * (1 - s))
    dUps[i] = d * g * s
  }
  return [dGate, dUp]
})
