import type { RotaryTable } from "../../tensor/rotary.ts"

/**
 * Turns one head's vector from `source[from..]` into `target[to..]`, times `scale`. The vector's halves are the two
 * coordinates (`[x1 cos - x2 sin, x2 cos + x1 sin]`), as Hugging Face lays Llama out.
 */
export const rotate = (
  { cos, pairs, sin }: RotaryTable,
  position: number,
  source: Float32Array,
  from: number,
  target: Float64Array,
  to: number,
  scale: number
): void => {
  const row = position * pairs
  for (let i = 0; i < pairs; i++) {
    const x1 = source[from + i]! * scale
    const x2 = source[from + pairs + i]! * scale
    const c = cos[row + i]!
    const s = sin[row + i]!
    target[to + i] = x1 * c - x2 * s
    target[to + pairs + i] = x2 * c + x1 * s
  }
}

/** Undoes `rotate`, which is also its gradient: turns back, times `scale`, and adds into `target`. */
export const rotateBack = (
  { cos, pairs, sin }: RotaryTable,
  position: number,
  source: Float64Array,
  from: number,
  target: Float32Array,
  to: number,
  scale: number
): void => {
  const row = position * pairs
  for (let i = 0; i < pairs; i++) {
    const x1 = source[from + i]! * scale
    const x2 = source[from + pairs + i]! * scale
    const c = cos[row + i]!
    const s = sin[row + i]!
    target[to + i]! += x1 * c + x2 * s
    target[to + pairs + i]! += x2 * c - x1 * s
  }
}
