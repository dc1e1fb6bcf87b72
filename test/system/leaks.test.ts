/** However a run ends, nothing of it stays: no tensor, no open file, no temporary file, nothing that keeps a process. */
import * as Fs from "node:fs"
import { assert, it, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { Device } from "../../runtime/device/Device.ts"
import * as Executor from "../../runtime/executor/Executor.ts"
import { CodeHash } from "../../runtime/store/CodeHash.ts"
import { Store } from "../../runtime/store/Store.ts"
import experiment, { failing } from "./children/experiment.ts"
import * as System from "./support.ts"

/** The files, pipes and sockets that this process holds open. */
const openFiles = () =>
  Fs.readdirSync("/proc/self/fd")
    .flatMap((fd) => {
      try {
        return [`${fd} ${Fs.readlinkSync(`/proc/self/fd/${fd}`)}`]
      } catch {
        return [] // the handle that listed the folder
      }
    })
    .sort()

const source = { module: "", export: "" }

/** Runs a pipeline in this process, and demands that it leaves nothing, however it ends. */
const leavingNothing = <A, E>(root: string, use: Effect.Effect<A, E, Store | CodeHash | Device>) =>
  Effect.gen(function* () {
    const { tensors } = yield* Device
    const before = { tensors: tensors(), files: openFiles() }
    const services = Layer.mergeAll(Store.layer(root), CodeHash.layer)
    const exit = yield* Effect.exit(Effect.provide(use, services, { local: true }))
    assert.deepStrictEqual({ tensors: tensors(), files: openFiles() }, before)
    assert.deepStrictEqual(Fs.readdirSync(`${root}/tmp`), [])
    return exit
  })

/** Runs the experiment until a node has reported `times` times, then interrupts it. Returns how the run ended. */
const interruptedAt = (node: string, times: number) =>
  Effect.gen(function* () {
    let reports = 0
    let interrupt = () => {}
    const listen = (event: Executor.Event) =>
      Effect.sync(() => {
        if (event._tag === "NodeProgress" && event.node === node && ++reports === times) interrupt()
      })
    const fiber = yield* Effect.forkChild(Executor.run(yield* Pipeline.build(experiment), { source, listen }))
    interrupt = () => fiber.interruptUnsafe()
    return yield* Fiber.await(fiber)
  })

layer(Device.layer("wasm"))("in a process that lives on", (it) => {
  it.effect("a run that succeeds, and one that is served, leave nothing", () =>
    Effect.gen(function* () {
      const root = yield* System.folder
      for (const status of ["computed", "cached"] as const) {
        const run = Effect.flatMap(Pipeline.build(experiment), (built) => Executor.run(built, { source }))
        const { nodes } = yield* Effect.flatten(leavingNothing(root, run))
        assert.isTrue(nodes.every((node) => node.status === status))
      }
    })
  )

  it.effect("a run that fails with two models loaded leaves nothing", () =>
    Effect.gen(function* () {
      const run = Effect.flatMap(Pipeline.build(failing), (built) => Executor.run(built, { source }))
      const error = yield* Effect.flip(Effect.flatten(leavingNothing(yield* System.folder, run)))
      assert.strictEqual(error._tag, "RunFailed")
      assert.include(error.message, "report (evaluate) failed: the reward nowhere scored answer 0")
    })
  )

  it.effect("a run that is interrupted in a training, while sampling or while evaluating leaves nothing", () =>
    Effect.gen(function* () {
      const root = yield* System.folder
      for (const [node, times] of [
        ["base", 6], // after a save
        ["samples", 1],
        ["policy", 2],
        ["report", 1]
      ] as const) {
        const exit = yield* Effect.flatten(leavingNothing(root, interruptedAt(node, times)))
        assert.isTrue(Exit.hasInterrupts(exit), node)
      }
    })
  )
})

for (const [how, name, options, outcome] of [
  ["succeeded", "default", {}, "succeeded"],
  ["failed", "failing", {}, "failed"],
  ["been interrupted", "default", System.atWork(20, (child) => child.kill("SIGINT")), "interrupted"]
] as const) {
  it.live(`a process whose run has ${how} ends by itself`, () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* System.folder
        const ended = yield* System.running(`${System.EXPERIMENT}#${name}`, root, {}, options)
        assert.deepStrictEqual(ended.lines.at(-1), { _tag: "Ended", outcome })
        assert.isNull(ended.signal, "something kept it alive")
        System.assertUndamaged(root)
      })
    )
  )
}
