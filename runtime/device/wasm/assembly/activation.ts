// The gated activation silu(gate) * up, eight elements at a time. `scratch` holds the constants of `exp`.
import { madd } from "./lanes"
import { exp, loadFirst, prepareExp, storeFirst } from "./math"

@inline
function sigmoid(x: v128, one: v128, constants: usize): v128 {
  return f32x4.div(one, f32x4.add(one, exp(f32x4.neg(x), constants)))
}

@inline
function activated(gate: v128, up: v128, one: v128, constants: usize): v128 {
  return f32x4.mul(f32x4.mul(gate, sigmoid(gate, one, constants)), up)
}

/** out = gate * sigmoid(gate) * up, over `count` elements. */
export function swiGlu(gate: usize, up: usize, out: usize, count: i32, scratch: usize): void {
  prepareExp(scratch)
  const one = v128.load(scratch)
  const end8 = gate + (<usize>(count & ~7) << 2)
  for (; gate < end8; gate += 32, up += 32, out += 32) {
    const a = activated(v128.load(gate), v128.load(up), one, scratch)
    const b = activated(v128.load(gate, 16), v128.load(up, 16), one, scratch)
    v128.store(out, a)
    v128.store(out, b, 16)
  }
  if (count & 4) {
    v128.store(out, activated(v128.load(gate), v128.load(up), one, scratch))
    gate += 16
    up += 16
    out += 16
  }
  const rest = count & 3
  if (rest) storeFirst(out, activated(loadFirst(gate, rest), loadFirst(up, rest), one, scratch), rest)
}

/** d/dgate = dy up s (1 + gate (1 - s)) and d/dup = dy gate s, with s = sigmoid(gate) computed again. */
export function swiGluGradient(
  gate: usize,
  up: usize,
  dy: usize,
  dGate: usize,
  dUp: usize,
  count: i32,
  scratch: usize
): void {
  prepareExp(scratch)
  const one = v128.load(scratch)
  const end8 = gate + (<usize>(count & ~7) << 2)
  for (; gate < end8; gate += 32, up += 32, dy += 32, dGate += 32, dUp += 32) {
    const g = v128.load(gate)
    const g2 = v128.load(gate, 16)
    const s = sigmoid(g, one, scratch)
    const s2 = sigmoid(g2, one, scratch)
    const slope = f32x4.mul(v128.load(dy), s)
    const slope2 = f32x4.mul(v128.load(dy, 16), s2)
    v128.store(dUp, f32x4.mul(slope, g))
    v128.store(dUp, f32x4.mul(slope2, g2), 16)
    v128.store(dGate, inGate(slope, v128.load(up), g, s, one))
    v128.store(dGate, inGate(slope2, v128.load(up, 16), g2, s2, one), 16)
  }
  if (count & 4) {
    const g = v128.load(gate)
    const s = sigmoid(g, one, scratch)
    const slope = f32x4.mul(v128.load(dy), s)
    v128.store(dUp, f32x4.mul(slope, g))
    v128.store(dGate, inGate(slope, v128.load(up), g, s, one))
    gate += 16
    up += 16
    dy += 16
    dGate += 16
    dUp += 16
  }
  const rest = count & 3
  if (rest) {
    const g = loadFirst(gate, rest)
    const s = sigmoid(g, one, scratch)
    const slope = f32x4.mul(loadFirst(dy, rest), s)
    storeFirst(dUp, f32x4.mul(slope, g), rest)
    storeFirst(dGate, inGate(slope, loadFirst(up, rest), g, s, one), rest)
  }
}

@inline
function inGate(slope: v128, up: v128, gate: v128, sigmoid: v128, one: v128): v128 {
  return f32x4.mul(f32x4.mul(slope, up), madd(gate, f32x4.sub(one, sigmoid), one))
}
