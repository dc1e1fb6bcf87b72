/**
 * A worker process as the main process sees it: it runs one task at a time, can be interrupted, and may die. A process and
 * not a thread, since what brings down a thread's engine (a fault in a device's library, a failed check of V8 while a
 * thread is ended) brings down all threads.
 */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Deferred, Duration, Effect, Exit, Option, Queue, type Tracer } from "effect"
import * as Json from "../../../dsl/Json.ts"
import { Progress, type Report } from "../../../dsl/Progress.ts"
import type { ArtifactRef } from "../../store/ArtifactRef.ts"
import { describe, WorkerDied, WorkerUnusable } from "../errors.ts"
import * as RemoteFailure from "../RemoteFailure.ts"
import type { FromWorker, Setting, ToWorker, Trace } from "./protocol.ts"

export interface Worker {
  /**
   * Runs a task, given as JSON, and passes its reports on. An interruption, or a listener that breaks down, ends when the
   * task has stopped; one that does not stop in time takes the worker with it.
   */
  readonly run: (node: string, task: string) => Effect.Effect<ArtifactRef, unknown>
  /** Whether it was given a task before: one that was not has the code of this moment. */
  readonly isUsed: () => boolean
  readonly isAlive: () => boolean
  /** Ends when the worker has: it closes its device in order, or is killed. */
  readonly close: Effect.Effect<void>
}

/** How long things may take. A start takes a second, or some on a busy machine. */
export interface Limits {
  readonly start: Duration.Duration
  /** From an interruption of a task until the worker is killed. */
  readonly stop: Duration.Duration
  readonly close: Duration.Duration
}

export const LIMITS: Limits = { start: Duration.minutes(1), stop: Duration.seconds(10), close: Duration.seconds(5) }

/**
 * Starts a worker, which has to compute as the numerics say. Only the wait for it can be interrupted: one that was started
 * is either returned or gone.
 */
export const open = Effect.fnUntraced(function* (
  setting: Setting,
  numerics: Json.JsonObject | null,
  limits: Limits
): Effect.fn.Return<Worker, WorkerUnusable> {
  const ready = yield* Deferred.make<Json.JsonObject | null, WorkerUnusable>()
  const gone = yield* Deferred.make<void>()
  const unusable = (problem: string) => Deferred.doneUnsafe(ready, Effect.fail(new WorkerUnusable({ problem })))
  let death: string | undefined
  let uncaught: string | undefined
  let used = false
  let current: Current | undefined

  // stdout is for answers: what stages print goes where this process's messages go.
  const worker = fork(fileURLToPath(new URL("./main.ts", import.meta.url)), [JSON.stringify(setting)], {
    serialization: "advanced",
    stdio: ["ignore", 2, 2, "ipc"]
  })
  const post = (message: ToWorker) => {
    if (worker.connected) worker.send(message)
  }
  worker.on("message", (sent) => {
    const message = sent as FromWorker
    switch (message._tag) {
      case "Ready":
        return Deferred.doneUnsafe(ready, Exit.succeed(message.numerics))
      case "Unready":
        return unusable(message.problem)
      case "Reported":
        return current?.report(message.report)
      case "Done":
        return current?.end(Effect.succeed(message.output))
      case "Failed":
        return current?.end(RemoteFailure.toEffect(message.failure))
      case "Dying":
        uncaught = message.reason
    }
  })
  // Its last words may be read after its end is known: it is gone once both are.
  let left = 2
  let reason = "it could not be started"
  const end = () => {
    left--
    if (left > 0) return
    death = uncaught ?? reason
    unusable(`it died while it started: ${death}`)
    if (current !== undefined) current.end(Effect.fail(new WorkerDied({ node: current.node, reason: death })))
    Deferred.doneUnsafe(gone, Exit.void)
  }
  worker.on("exit", (code, signal) => {
    reason = signal === null ? `exit code ${code}` : `signal ${signal}`
    end()
  })
  worker.on("disconnect", end)
  worker.on("error", (cause) => {
    if (worker.pid !== undefined) return // a message that did not reach it: its end tells more
    left = 1
    reason = describe(cause)
    end()
  })

  const terminate = Effect.andThen(
    Effect.sync(() => void worker.kill("SIGKILL")),
    Deferred.await(gone)
  )
  /** Kills it if it has not gone by itself by then. The timer is no effect, so that nothing can interrupt it. */
  const goneWithin = <A>(limit: Duration.Duration, wait: Effect.Effect<A>) =>
    Effect.suspend(() => {
      const timer = setTimeout(() => void worker.kill("SIGKILL"), Duration.toMillis(limit))
      return Effect.ensuring(
        wait,
        Effect.sync(() => clearTimeout(timer))
      )
    })

  const theirs = yield* Deferred.await(ready).pipe(
    Effect.timeoutOrElse({
      duration: limits.start,
      orElse: () => Effect.fail(new WorkerUnusable({ problem: `it was not ready in ${Duration.format(limits.start)}` }))
    }),
    Effect.interruptible,
    Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : terminate))
  )
  if (Json.canonicalUnsafe(theirs) !== Json.canonicalUnsafe(numerics)) {
    yield* terminate
    const [there, here] = [theirs, numerics].map((found) => JSON.stringify(found))
    return yield* new WorkerUnusable({
      problem: `its device computes with ${there}, that of the main process with ${here}`
    })
  }

  return {
    isUsed: () => used,
    isAlive: () => death === undefined,
    run: (node, task) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.option(Effect.currentSpan), (span) => {
          if (death !== undefined) return Effect.fail(new WorkerDied({ node, reason: death }))
          used = true
          const mine = begin(node)
          current = mine
          post({ _tag: "Run", task, trace: Option.getOrUndefined(Option.map(span, traceOf)) })
          return restore(Effect.andThen(mine.pass, mine.ended)).pipe(
            Effect.onExit(() => {
              if (mine.hasEnded()) return Effect.void
              post({ _tag: "Interrupt" })
              return goneWithin(limits.stop, Effect.exit(mine.ended))
            })
          )
        })
      ),
    close: Effect.suspend(() => {
      post({ _tag: "Close" })
      return goneWithin(limits.close, Deferred.await(gone))
    })
  }
}, Effect.uninterruptible)

const traceOf = ({ sampled, spanId, traceId }: Tracer.Span): Trace => ({ sampled, spanId, traceId })

type Current = ReturnType<typeof begin>

/** A task under way: its reports wait for whoever listens, and its end can be waited for more than once. */
const begin = (node: string) => {
  const reports = Effect.runSync(Queue.unbounded<Report | undefined>())
  const outcome = Deferred.makeUnsafe<ArtifactRef, unknown>()
  const pass: Effect.Effect<void> = Effect.gen(function* () {
    const listen = yield* Progress
    while (true) {
      const report = yield* Queue.take(reports)
      if (report === undefined) return
      yield* listen(report)
    }
  })
  return {
    node,
    pass,
    ended: Deferred.await(outcome),
    hasEnded: () => Deferred.isDoneUnsafe(outcome),
    report: (report: Report) => Queue.offerUnsafe(reports, report),
    end: (how: Effect.Effect<ArtifactRef, unknown>) => {
      Deferred.doneUnsafe(outcome, how)
      Queue.offerUnsafe(reports, undefined)
    }
  }
}
