/** Processes that work on overlapping sweeps in one store, killed and started again until they are done. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Rng from "../../dsl/Rng.ts"
import { problemsOf } from "../long/storeCheck.ts"
import * as System from "./support.ts"

const SWEEPS = ["first", "second", "third", "fourth"].map((name) => `test/system/children/sweeps.ts#${name}`)
/** How often each process is killed, unless it is faster; more with PREFLINE_LONG=1. */
const KILLS = process.env["PREFLINE_LONG"] === "1" ? 8 : 1
/** Signs of work after which a life ends at the latest. A whole run gives some hundred. */
const LONGEST = 60

it.live(
  `four processes on overlapping sweeps, each killed ${KILLS === 1 ? "once" : `up to ${KILLS} times`}, end as each alone would`,
  () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* System.folder
        let killed = 0
        const untilDone = Effect.fnUntraced(function* (target: string, i: number) {
          const draws = Rng.make(0, "victims").fork(i)
          for (let life = 0; life < KILLS; life++) {
            const kill = System.atWork(1 + draws.int(life, LONGEST), (child) => child.kill("SIGKILL"))
            const ended = yield* System.running(target, root, {}, kill)
            if (ended.signal === null) {
              assert.strictEqual(ended.code, 0, ended.stderr)
              return System.resultOf(ended)!
            }
            killed++
          }
          return (yield* System.finished(target, root)).result
        })
        const results = yield* Effect.all(SWEEPS.map(untilDone), { concurrency: "unbounded" })
        assert.isAtLeast(killed, SWEEPS.length - 1, "the kills missed the runs")

        const undisturbed = yield* System.folder
        for (const [i, target] of SWEEPS.entries()) {
          const alone = (yield* System.finished(target, undisturbed)).result
          assert.deepStrictEqual(results[i]!.digests, alone.digests)
        }
        const served = (yield* System.finished(SWEEPS[0]!, root)).result
        assert.deepStrictEqual(new Set(Object.values(served.statuses)), new Set(["cached"]))
        assert.deepStrictEqual(served.digests, results[0]!.digests)
        assert.deepStrictEqual(problemsOf(root, { settled: true }), [])
      })
    ),
  600_000
)
