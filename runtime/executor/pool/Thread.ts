/** A worker thread as the main thread sees it: it runs one task at a time, can be interrupted, and may die. */
import { Worker } from "node:worker_threads"
import { Deferred, Duration, Effect, Exit, Queue } from "effect"
import * as Json from "../../../dsl/Json.ts"
import { Progress, type Report } from "../../../dsl/Progress.ts"
import type { ArtifactRef } from "../../store/ArtifactRef.ts"
import { describe, tagOf, WorkerDied, WorkerUnusable } from "../errors.ts"
import * as RemoteFailure from "../RemoteFailure.ts"
import type { FromWorker, Setting, ToWorker } from "./protocol.ts"

export interface Thread {
  /**
   * Runs a task, given as JSON, and passes its reports on. An interruption, or a listener that breaks down, ends when the
   * task has stopped; one that does not stop in time takes the thread with it.
   */
  readonly run: (node: string, task: string) => Effect.Effect<ArtifactRef, unknown>
  /** Whether it was given a task before: one that was not has the code of this moment. */
  readonly isUsed: () => boolean
  readonly isAlive: () => boolean
  /** Ends when the thread has: it closes its device in order, or is terminated. */
  readonly close: Effect.Effect<void>
}

/** How long things may take. A start takes a second, or some on a busy machine. */
export interface Limits {
  readonly start: Duration.Duration
  /** From an interruption of a task until the thread is terminated. */
  readonly stop: Duration.Duration
  readonly close: Duration.Duration
}

export const LIMITS: Limits = { start: Duration.minutes(1), stop: Duration.seconds(10), close: Duration.seconds(5) }

/**
 * Starts a thread, which has to compute as the numerics say. Only the wait for it can be interrupted: a thread that was
 * started is either returned or gone.
 */
export const open = Effect.fnUntraced(function* (
  setting: Setting,
  numerics: Json.JsonObject | null,
  limits: Limits
): Effect.fn.Return<Thread, WorkerUnusable> {
  const ready = yield* Deferred.make<Json.JsonObject | null, WorkerUnusable>()
  const gone = yield* Deferred.make<void>()
  const unusable = (problem: string) => Deferred.doneUnsafe(ready, Effect.fail(new WorkerUnusable({ problem })))
  let death: string | undefined
  let used = false
  let current: Current | undefined

  // stdout is for answers: what stages print goes where the main thread's prints go.
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: setting, stdout: true })
  worker.stdout.on("data", (text) => process.stderr.write(text))
  const post = (message: ToWorker) => worker.postMessage(message)
  worker.on("message", (message: FromWorker) => {
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
    }
  })
  let uncaught: string | undefined
  worker.on("error", (cause: unknown) => {
    const isMemory = cause instanceof Error && "code" in cause && cause.code === "ERR_WORKER_OUT_OF_MEMORY"
    uncaught = isMemory ? describe(cause) : `${tagOf(cause)}, which nothing caught: ${describe(cause)}`
  })
  worker.on("exit", (code) => {
    const reason = uncaught ?? `exit code ${code}`
    death = reason
    unusable(`it died while it started: ${reason}`)
    if (current !== undefined) current.end(Effect.fail(new WorkerDied({ node: current.node, reason })))
    Deferred.doneUnsafe(gone, Exit.void)
  })

  const terminate = Effect.andThen(
    Effect.sync(() => void worker.terminate()),
    Deferred.await(gone)
  )
  /** Terminates it if it has not gone by itself by then. The timer is no effect, so that nothing can interrupt it. */
  const goneWithin = <A>(limit: Duration.Duration, wait: Effect.Effect<A>) =>
    Effect.suspend(() => {
      const timer = setTimeout(() => void worker.terminate(), Duration.toMillis(limit))
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
      problem: `its device computes with ${there}, that of the main thread with ${here}`
    })
  }

  return {
    isUsed: () => used,
    isAlive: () => death === undefined,
    run: (node, task) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          if (death !== undefined) return Effect.fail(new WorkerDied({ node, reason: death }))
          used = true
          const mine = begin(node)
          current = mine
          post({ _tag: "Run", task })
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
