import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Rng from "../../dsl/Rng.ts"
import * as System from "./support.ts"

const target = `${System.EXPERIMENT}#sweep`
const PROCESSES = 4
const VICTIMS = 2

it.live(
  "four processes run one sweep on one store, two are killed: all who end agree with a run that was alone",
  () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* System.folder
        const draws = Rng.make(0, "victims")
        const runs = Array.from({ length: PROCESSES }, (_, i) =>
          i < VICTIMS
            ? System.running(
                target,
                root,
                {},
                System.atWork(1 + draws.int(i, 60), (child) => child.kill("SIGKILL"))
              )
            : System.finished(target, root)
        )
        const ended = yield* Effect.all(runs, { concurrency: "unbounded" })
        const signals = ended.map(({ signal }) => signal)
        assert.deepStrictEqual(signals, [...Array(VICTIMS).fill("SIGKILL"), ...Array(PROCESSES - VICTIMS).fill(null)])

        const last = (yield* System.finished(target, root)).result
        assert.deepStrictEqual(new Set(Object.values(last.statuses)), new Set(["cached"]))
        const alone = (yield* System.finished(target, yield* System.folder)).result
        assert.deepStrictEqual(last.digests, alone.digests)
        for (const survivor of ended.slice(VICTIMS)) {
          assert.deepStrictEqual(System.resultOf(survivor)?.digests, alone.digests)
        }
        System.assertUndamaged(root)
      })
    ),
  120_000
)
