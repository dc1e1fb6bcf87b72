// Sums, differences and products of float32 tensors, element by element. `stepA` and `stepB` are 4, or 0 for a side of one
// element, which meets all elements of the other.

export function add(a: usize, b: usize, out: usize, count: i32, stepA: usize, stepB: usize): void {
  combine(0, a, b, out, count, stepA, stepB)
}

export function subtract(a: usize, b: usize, out: usize, count: i32, stepA: usize, stepB: usize): void {
  combine(1, a, b, out, count, stepA, stepB)
}

export function multiply(a: usize, b: usize, out: usize, count: i32, stepA: usize, stepB: usize): void {
  combine(2, a, b, out, count, stepA, stepB)
}

@inline
function combine(operation: i32, a: usize, b: usize, out: usize, count: i32, stepA: usize, stepB: usize): void {
  const onlyA = v128.load_splat<f32>(a)
  const onlyB = v128.load_splat<f32>(b)
  const end = out + (<usize>count << 2)
  if (stepA == 4 && stepB == 4) {
    for (; out + 32 <= end; out += 32) {
      v128.store(out, combined(operation, v128.load(a), v128.load(b)))
      v128.store(out, combined(operation, v128.load(a, 16), v128.load(b, 16)), 16)
      a += 32
      b += 32
    }
  } else {
    for (; out + 16 <= end; out += 16) {
      v128.store(out, combined(operation, stepA ? v128.load(a) : onlyA, stepB ? v128.load(b) : onlyB))
      a += 4 * stepA
      b += 4 * stepB
    }
  }
  for (; out < end; out += 4) {
    store<f32>(out, f32x4.extract_lane(combined(operation, v128.load_splat<f32>(a), v128.load_splat<f32>(b)), 0))
    a += stepA
    b += stepB
  }
}

@inline
function combined(operation: i32, x: v128, y: v128): v128 {
  if (operation == 0) return f32x4.add(x, y)
  if (operation == 1) return f32x4.sub(x, y)
  return f32x4.mul(x, y)
}
