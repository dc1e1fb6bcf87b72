import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as System from "./support.ts"

interface Passed {
  readonly count: number
  /** Records that came out of the filter. */
  readonly records: number
  /** Of the three nodes' outputs. */
  readonly bytes: ReadonlyArray<number>
  /** The process's largest resident set so far. */
  readonly peakMB: number
}

/** A small young generation: left alone, Node lets it grow by some 100 MB before it bothers to collect. */
const flags = ["--max-old-space-size=96", "--max-semi-space-size=2"]

it.live(
  "records stream through score, filter and store: four times as many need no more memory",
  () =>
    Effect.scoped(
      Effect.gen(function* () {
        const counts = [40_000, 160_000]
        const root = yield* System.folder
        const { code, lines, stderr } = yield* System.child<Passed>("streaming", [root, ...counts.map(String)], {
          flags
        })
        assert.strictEqual(code, 0, stderr)
        const [few, many] = lines as [Passed, Passed]
        for (const [i, { bytes, count, records }] of [few, many].entries()) {
          assert.strictEqual(count, counts[i])
          assert.strictEqual(records, count / 2)
          assert.isAbove(Math.min(...bytes), 90 * count)
        }
        // The 120,000 records more are 23 MB as text in the source alone, and several times that as objects.
        assert.isBelow(many.peakMB - few.peakMB, 30)
        System.assertUndamaged(root)
      })
    ),
  180_000
)
