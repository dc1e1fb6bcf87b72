/** Draws one after the other from a counter-based stream: a case is a function of its stream alone. */
import type * as Rng from "../../dsl/Rng.ts"

export interface Draws {
  /** Uniform integer in [0, bound). */
  readonly int: (bound: number) => number
  readonly pick: <A>(items: ReadonlyArray<A>) => A
  /** True with this probability. */
  readonly chance: (probability: number) => boolean
  readonly bytes: (length: number) => Uint8Array
}

export const make = (rng: Rng.Rng): Draws => {
  let at = 0
  const int = (bound: number) => rng.int(at++, bound)
  return {
    int,
    pick: (items) => items[int(items.length)]!,
    chance: (probability) => rng.uniform(at++) < probability,
    bytes: (length) => Uint8Array.from({ length }, () => int(256))
  }
}
