/** A run that is killed or interrupted at any point goes on from what is stored, and ends as an undisturbed one does. */
import * as Fs from "node:fs"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Rng from "../../dsl/Rng.ts"
import * as System from "./support.ts"

const KILLS = 12
const SAVE_EVERY = 4 // as in the experiment
const params = { baseSteps: 40, steps: 80 }
const target = `${System.EXPERIMENT}#default`

/** What the run makes when nobody disturbs it. */
class Undisturbed extends Context.Service<Undisturbed, System.Result["digests"]>()("test/Undisturbed") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const { result } = yield* System.finished(target, yield* System.folder, params)
      return result.digests
    })
  )
}

/** The training steps with which a process went on, rather than began: node -> the first step it did, from 2 on. */
const resumedAt = ({ lines }: System.Ended<System.Line>) => {
  const first = new Map<string, number>()
  for (const line of lines) {
    if (line._tag !== "NodeProgress" || line.report.unit !== "steps" || first.has(line.node)) continue
    first.set(line.node, line.report.done)
  }
  return [...first].filter(([, step]) => step > 1)
}

layer(Undisturbed.layer, { timeout: 60_000 })("a run", (it) => {
  it.effect(
    `killed ${KILLS} times ends with the digests of an undisturbed one`,
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const root = yield* System.folder
          const draws = Rng.make(0, "kills")
          const resumed: Array<readonly [node: string, step: number]> = []
          let killed = 0
          for (let life = 0; life < KILLS; life++) {
            const [signs, delay] = [1 + draws.fork("signs").int(life, 24), 8 * draws.fork("delay").uniform(life)]
            const kill = System.atWork(signs, (child) => setTimeout(() => child.kill("SIGKILL"), delay))
            const ended = yield* System.running(target, root, params, kill)
            assert.oneOf(ended.signal, ["SIGKILL", null], ended.stderr)
            resumed.push(...resumedAt(ended))
            if (ended.signal === null) {
              assert.strictEqual(ended.code, 0, ended.stderr)
              break // a fast machine is done before the last kill
            }
            killed++
          }
          assert.isAtLeast(killed, KILLS / 3)
          const last = yield* System.finished(target, root, params)
          resumed.push(...resumedAt(last))
          assert.deepStrictEqual(last.result.digests, yield* Undisturbed)
          System.assertUndamaged(root)
          assert.deepStrictEqual(Fs.readdirSync(`${root}/partial`), [])

          // None of this would say anything had the kills missed the trainings, or every life begun them anew.
          assert.isAtLeast(resumed.length, 3)
          assert.isAtLeast(new Set(resumed.map(([node]) => node)).size, 2, "both trainings were cut")
          for (const [, step] of resumed)
            assert.strictEqual(step % SAVE_EVERY, 1, "it went on right after a saved step")
        })
      ),
    180_000
  )

  it.effect(
    "interrupted by SIGINT says so in its journal, cleans up, and can be resumed",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const root = yield* System.folder
          const interrupt = System.atWork(24, (child) => child.kill("SIGINT"))
          const ended = yield* System.running(target, root, params, interrupt)
          assert.deepInclude(ended.lines.at(-1), { _tag: "Ended", outcome: "interrupted" })
          assert.isNull(ended.signal)
          const [journal] = Fs.globSync(`${root}/runs/*/journal.jsonl`)
          const events = Fs.readFileSync(journal!, "utf8").trim().split("\n")
          assert.deepInclude(JSON.parse(events.at(-1)!), { _tag: "RunFinished", status: "interrupted" })
          System.assertUndamaged(root)

          const resumed = yield* System.finished(target, root, params)
          assert.deepStrictEqual(resumed.result.digests, yield* Undisturbed)
          assert.isNotEmpty(resumedAt(resumed))
        })
      ),
    60_000
  )
})
