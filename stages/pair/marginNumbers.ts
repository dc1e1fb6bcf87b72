import type { Pair } from "../../dsl/artifacts.ts"

/** The pair with what another objective gives its answers, under the names that `modpo` reads; other numbers are kept. */
export const withMargins = (pair: Pair, marginChosen: number, marginRejected: number): Pair => ({
  ...pair,
  numbers: { ...pair.numbers, marginChosen, marginRejected }
})

/** How far the other objective prefers the chosen answer; 0 where the pair has no such numbers. */
export const marginOf = ({ numbers }: Pair): number =>
  (numbers?.["marginChosen"] ?? 0) - (numbers?.["marginRejected"] ?? 0)
