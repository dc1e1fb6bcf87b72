/** Sets of points of which every coordinate is better the larger it is. */
import type { Numbers } from "./numbers.ts"

/** Whether `a` is at least as good as `b` everywhere and better somewhere. */
export const dominates = (a: Numbers, b: Numbers): boolean => {
  if (a.length !== b.length) throw new RangeError(`points of ${a.length} and ${b.length} coordinates`)
  let better = false
  for (let i = 0; i < a.length; i++) {
    if (a[i]! < b[i]!) return false
    if (a[i]! > b[i]!) better = true
  }
  return better
}

/** Indices, ascending, of the points that no other one dominates; equal points are all kept. */
export const nonDominated = (points: ReadonlyArray<Numbers>): ReadonlyArray<number> =>
  points.flatMap((point, i) => (points.some((other) => dominates(other, point)) ? [] : [i]))

/** Area that points in the plane dominate above a reference point; points not above it count nothing. */
export const hypervolume = (
  points: ReadonlyArray<readonly [number, number]>,
  reference: readonly [number, number]
): number => {
  const above = points
    .filter(([x, y]) => x > reference[0] && y > reference[1])
    .sort((a, b) => b[0] - a[0] || b[1] - a[1])
  let area = 0
  let height = reference[1]
  for (const [x, y] of above)
    if (y > height) {
      area += (x - reference[0]) * (y - height)
      height = y
    }
  return area
}
