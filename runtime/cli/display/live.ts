/** For terminals: finished nodes as lines that stay, above a line for each running node that is redrawn. */
import { Clock, Duration, Effect, Schedule } from "effect"
import * as Format from "../format.ts"
import type { Sink } from "../Output.ts"
import { begin, describeProgress, ended, type Listener, type Running, reported, retried, started } from "./progress.ts"

/** Milliseconds between two drawings. */
const EVERY = 100
/** Running nodes that are shown; the rest are counted. */
const SHOWN = 8

export const make = Effect.fnUntraced(function* (sink: Sink) {
  const { style } = sink
  const running = new Map<string, Running>()
  let drawn = 0
  let drawnAt = Number.NEGATIVE_INFINITY

  const block = (now: number): ReadonlyArray<string> => {
    const width = sink.columns() - 1
    const shown = [...running.values()].slice(0, SHOWN)
    const lines = shown.map((node) => Format.cut(`${frame(now)} ${node.id}  ${describeProgress(node, now)}`, width))
    return running.size > SHOWN ? [...lines, `  and ${running.size - SHOWN} more`] : lines
  }
  /** One write for the whole change, so that nothing of another fiber gets in between. */
  const draw = (permanent: ReadonlyArray<string>, now: number) =>
    Effect.suspend(() => {
      const lines = block(now)
      const erase = drawn === 0 ? "" : `\u001b[${drawn}A\r\u001b[J`
      drawn = lines.length
      drawnAt = now
      return sink.write(erase + [...permanent, ...lines].map((text) => `${text}\n`).join(""))
    })
  /** Also called on progress: a stage that keeps the thread busy leaves a timer no room. */
  const redrawIfDue = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (now - drawnAt >= EVERY && (running.size > 0 || drawn > 0)) yield* draw([], now)
  })
  yield* Effect.forkScoped(Effect.repeat(redrawIfDue, Schedule.spaced(Duration.millis(EVERY))))
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      running.clear()
      return drawn === 0 ? Effect.void : draw([], 0)
    })
  )

  const listen: Listener = Effect.fnUntraced(function* (event) {
    const now = yield* Clock.currentTimeMillis
    switch (event._tag) {
      case "Started":
        return yield* draw([started(event, style)], now)
      case "NodeStarted":
        running.set(event.node, begin(event.node, now))
        return yield* redrawIfDue
      case "NodeProgress": {
        const before = running.get(event.node)
        if (before !== undefined) running.set(event.node, reported(before, event.report, now))
        return yield* redrawIfDue
      }
      case "NodeRetried":
        return yield* draw([retried(event, style)], now)
      case "NodeEnded":
        running.delete(event.result.id)
        return yield* draw([ended(event, style)], now)
    }
  })
  return listen
})

const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
const frame = (now: number) => FRAMES[Math.floor(now / EVERY) % FRAMES.length]!
