/** Cosines and sines of rotary position embedding: entry `position * pairs + i` turns the pair `i` of a head. */
export interface RotaryTable {
  readonly pairs: number
  readonly cos: Float64Array
  readonly sin: Float64Array
}

/**
 * The table for positions below `positions`: pair `i` of a head of `headDim` turns by `position * theta^(-2i / headDim)`.
 * **Details** Tables are shared between calls and grow by doubling; an old one stays right.
 * **Source** Su et al. 2021, arXiv 2104.09864; computed in float64.
 */
export const rotaryTable = (headDim: number, theta: number, positions: number): RotaryTable => {
  const key = `${headDim}:${theta}`
  const known = tables.get(key)
  const pairs = headDim / 2
  if (known && known.cos.length >= positions * pairs) return known
  const capacity = Math.max(64, positions, known ? (2 * known.cos.length) / pairs : 0)
  const cos = new Float64Array(capacity * pairs)
  const sin = new Float64Array(capacity * pairs)
  for (let position = 0; position < capacity; position++)
    for (let i = 0; i < pairs; i++) {
      const angle = position * theta ** ((-2 * i) / headDim)
      cos[position * pairs + i] = Math.cos(angle)
      sin[position * pairs + i] = Math.sin(angle)
    }
  const table = { pairs, cos, sin }
  tables.set(key, table)
  return table
}

const tables = new Map<string, RotaryTable>()

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
