/**
 * Runs the tasks that need the device in worker processes, each with a device of its own, and all others in this process:
 * those are quick, or stream through, and would gain nothing from another process. A worker is started with the first
 * task that finds none idle, so that a run that is served from the store starts none.
 */
import { getCompileCacheDir } from "node:module"
import { dirname } from "node:path"
import { Cause, Effect, Exit, Layer, Schema, Semaphore } from "effect"
import * as Json from "../../../dsl/Json.ts"
import { Device } from "../../device/Device.ts"
import { Store } from "../../store/Store.ts"
import { tagOf } from "../errors.ts"
import { numericsInForce } from "../keyOf.ts"
import { Dispatcher, Task } from "../Task.ts"
import * as Worker from "./Worker.ts"

const encode = Schema.encodeSync(Task)
/** By the text that keeps every number as it is. */
const toText = (task: Task): string => Json.canonicalUnsafe(encode(task))

/**
 * Dispatches to `size` workers at most, which end with the scope. Their devices are of the kind that this process holds,
 * and have to compute as it does.
 */
export const layer = (size: number, limits = Worker.LIMITS): Layer.Layer<never, never, Store | Device> =>
  Layer.effect(
    Dispatcher,
    Effect.map(make(size, limits), (run) => ({
      devices: size,
      dispatch: (task, here) => (task.resource === "device" ? run(task) : here) as typeof here
    }))
  )

/** Failures after which a worker is of no more use: of older code, or without its device. */
const UNFIT: ReadonlySet<string> = new Set(["TaskStale", "DeviceLost", "DeviceUnavailable"])

const make = Effect.fnUntraced(function* (size: number, limits: Worker.Limits) {
  const compiled = getCompileCacheDir()
  const setting = {
    root: (yield* Store).root,
    device: (yield* Device).kind,
    compiled: compiled === undefined ? undefined : dirname(compiled) // Node tells the folder of its own version in it
  }
  const numerics = yield* numericsInForce
  const permits = yield* Semaphore.make(size)
  const workers = new Set<Worker.Worker>()
  const idle: Array<Worker.Worker> = []
  const dismiss = (worker: Worker.Worker) => {
    workers.delete(worker)
    return worker.close
  }
  yield* Effect.addFinalizer(() => Effect.forEach([...workers], dismiss, { concurrency: "unbounded", discard: true }))

  const start = Effect.tap(Worker.open(setting, numerics, limits), (worker) => Effect.sync(() => workers.add(worker)))
  const next = Effect.suspend(() => {
    for (let worker = idle.pop(); worker !== undefined; worker = idle.pop()) {
      if (worker.isAlive()) return Effect.succeed(worker)
      workers.delete(worker)
    }
    return start
  })
  const run = (task: Task): Effect.Effect<any, unknown> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const text = toText(task)
        const worker = yield* next
        const wasUsed = worker.isUsed()
        const exit = yield* Effect.exit(restore(worker.run(task.node, text)))
        const tag = Exit.isFailure(exit) ? tagOf(Cause.squash(exit.cause)) : undefined
        if (tag !== undefined && UNFIT.has(tag)) yield* dismiss(worker)
        else idle.push(worker)
        // Modules are imported once in a worker: it may be older than the code that the task is about.
        if (tag === "TaskStale" && wasUsed) return yield* restore(run(task))
        return yield* exit
      })
    )
  return (task: Task) => permits.withPermit(run(task))
})
