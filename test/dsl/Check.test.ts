import { assert, describe, it } from "@effect/vitest"
import { meanOverSeeds, studentT975 } from "../../dsl/Check.ts"

/** Quantiles of Student's t at 0.975, from tables. */
const TABLE: ReadonlyArray<readonly [degrees: number, quantile: number]> = [
  [1, 12.7062],
  [2, 4.302653],
  [10, 2.228139],
  [11, 2.200985],
  [12, 2.178813],
  [15, 2.13145],
  [20, 2.085963],
  [30, 2.042272],
  [120, 1.97993]
]

describe("intervals over seeds", () => {
  it("Student's quantiles are those of the tables", () => {
    for (const [degrees, quantile] of TABLE) assert.closeTo(studentT975(degrees), quantile, 2e-4, `${degrees} degrees`)
  })

  it("three seeds, by hand", () => {
    const { interval, value } = meanOverSeeds([1, 2, 6])
    assert.strictEqual(value, 3)
    assert.closeTo(interval![1] - 3, 4.302653 * Math.sqrt(7 / 3), 1e-3)
    assert.throws(() => meanOverSeeds([1]), RangeError)
  })
})
