/**
 * A worker process: opens a device of its own for its life, then carries out tasks, one at a time, until it is told to
 * close. Everything large goes through the store.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Clock, Effect, Exit, type Fiber, Layer, Tracer } from "effect"
import { Progress, type Report } from "../../../dsl/Progress.ts"
import { Device } from "../../device/Device.ts"
import * as Metrics from "../../observe/metrics.ts"
import * as Telemetry from "../../observe/Telemetry.ts"
import { CodeHash } from "../../store/CodeHash.ts"
import { Store } from "../../store/Store.ts"
import { describe, tagOf } from "../errors.ts"
import * as ExecuteTask from "../executeTask.ts"
import { numericsInForce } from "../keyOf.ts"
import * as RemoteFailure from "../RemoteFailure.ts"
import type { FromWorker, Setting, ToWorker, Trace } from "./protocol.ts"

/** Milliseconds between two reports of a task's progress: as often as anybody could look. */
const EVERY = 50

const { device, root } = JSON.parse(process.argv[2]!) as Setting
const say = (message: FromWorker) => {
  if (process.connected) process.send!(message)
}

// Without the process that started this one there is nobody to work for.
process.on("disconnect", () => process.exit())
process.on("uncaughtException", (cause) => {
  const message: FromWorker = { _tag: "Dying", reason: `${tagOf(cause)}, which nothing caught: ${describe(cause)}` }
  if (!process.connected) process.exit(1)
  process.send!(message, undefined, undefined, () => process.exit(1))
})

/** Whatever the failure holds: unanswered, the main process would wait for ever. */
const sayFailed = (cause: Cause.Cause<unknown>) => {
  try {
    say({ _tag: "Failed", failure: RemoteFailure.fromCause(cause) })
  } catch (problem) {
    const untold = new Error(`the stage failed, and how cannot be told: ${describe(problem)}`)
    say({ _tag: "Failed", failure: RemoteFailure.fromCause(Cause.die(untold)) })
  }
}

/** Passes on a task's first report, its last one, and those between them that are due. */
const throttled = () => {
  let told = Number.NEGATIVE_INFINITY
  return (report: Report) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (now - told < EVERY && report.done !== report.total) return Effect.void
      told = now
      say({ _tag: "Reported", report })
      return Metrics.deviceNow
    })
}

const serve = Effect.gen(function* () {
  const execute = yield* ExecuteTask.make
  const fork = Effect.runForkWith(yield* Effect.context<ExecuteTask.Needs>())
  let running: Fiber.Fiber<unknown, unknown> | undefined
  const begin = (task: string, trace: Trace | undefined) => {
    const executed = Effect.provideService(execute(task), Progress, throttled())
    running = fork(trace === undefined ? executed : Effect.withParentSpan(executed, Tracer.externalSpan(trace)))
    running.addObserver((exit) => {
      if (Exit.isSuccess(exit)) say({ _tag: "Done", output: exit.value as never })
      else sayFailed(exit.cause)
    })
  }
  say({ _tag: "Ready", numerics: yield* numericsInForce })
  yield* Effect.callback<void>((resume) => {
    process.on("message", (sent) => {
      const message = sent as ToWorker
      if (message._tag === "Run") begin(message.task, message.trace)
      else if (message._tag === "Interrupt") running?.interruptUnsafe()
      else resume(Effect.void)
    })
  })
})

const surroundings = Layer.mergeAll(Store.layer(root), CodeHash.layer, Device.layer(device), NodeServices.layer)
// What keeps telemetry from its collector the main process tells.
const observed = Telemetry.observed(() => Effect.void)(serve.pipe(Effect.scoped, Effect.provide(surroundings)))
Effect.runFork(observed).addObserver((exit) => {
  if (Exit.isFailure(exit)) say({ _tag: "Unready", problem: describe(Cause.squash(exit.cause)) })
  if (process.connected) process.disconnect()
})
