/**
 * For terminals: finished nodes as lines that stay, above a line for each running node and one for the whole run, which
 * are redrawn in place.
 */
import { Clock, Duration, Effect, Option, Schedule } from "effect"
import { Store } from "../../store/Store.ts"
import * as Format from "../format.ts"
import type { Sink } from "../Output.ts"
import * as History from "./history.ts"
import * as Overall from "./overall.ts"
import {
  begin,
  describeProgress,
  ended,
  isTold,
  type Listener,
  type Many,
  type Running,
  reported,
  retried,
  started
} from "./progress.ts"

/** Milliseconds between two drawings. */
const EVERY = 100
/** Running nodes that are shown on a terminal of usual height; the rest are counted. */
const SHOWN = 8

export const make = Effect.fnUntraced(function* (sink: Sink, many?: Many) {
  const { style } = sink
  const store = yield* Effect.serviceOption(Store)
  const scope = yield* Effect.scope
  const running = new Map<string, Running>()
  let overall = many === undefined ? undefined : Overall.ofMany(many.nodes, yield* Clock.currentTimeMillis)
  let drawn: ReadonlyArray<string> = []
  let drawnAt = Number.NEGATIVE_INFINITY

  const block = (now: number): ReadonlyArray<string> => {
    const width = Math.max(sink.columns() - 1, 1)
    // The block must not be taller than the terminal: what has left the screen cannot be redrawn.
    const most = Math.min(SHOWN, Math.max(sink.rows() - 3, 1))
    const shown = [...running.values()].slice(0, most)
    const lines = shown.map((node) => `${frame(now)} ${node.id}  ${describeProgress(node, now)}`)
    if (running.size > most) lines.push(`  and ${running.size - most} more`)
    if (overall !== undefined && running.size > 0) lines.push(Overall.describe(overall, running, now, width))
    return lines.map((line) => Format.cut(line, width))
  }
  /**
   * One write for the whole change, so that nothing of another fiber gets in between; a line that is redrawn is written
   * over the old one and only then cleared to its end, so that nothing flickers.
   */
  const draw = (permanent: ReadonlyArray<string>, now: number) =>
    Effect.suspend(() => {
      const lines = block(now)
      const up = rowsOf(drawn, sink.columns())
      drawn = lines
      drawnAt = now
      const stays = permanent.map((line) => `${line}\n`).join("")
      if (up === 0) return sink.write(stays + lines.map((line) => `${line}\n`).join(""))
      const redrawn = lines.map((line) => `${line}${CLEAR_LINE}\n`).join("")
      return sink.write(`\u001b[${up}A\r${stays === "" ? "" : CLEAR_BELOW}${stays}${redrawn}${CLEAR_BELOW}`)
    })
  /** Also called on progress: a stage that keeps the thread busy leaves a timer no room. */
  const redrawIfDue = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (now - drawnAt >= EVERY && (running.size > 0 || drawn.length > 0)) yield* draw([], now)
  })
  yield* Effect.forkScoped(Effect.repeat(redrawIfDue, Schedule.spaced(Duration.millis(EVERY))))
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      running.clear()
      return drawn.length === 0 ? Effect.void : draw([], 0)
    })
  )

  const listen: Listener = Effect.fnUntraced(function* (event) {
    const now = yield* Clock.currentTimeMillis
    switch (event._tag) {
      case "Started": {
        if (many !== undefined) return
        const begun = Overall.begin(event.graph, now)
        overall = begun
        if (Option.isSome(store)) {
          const read = Effect.map(History.load(event.graph), (history) => {
            begun.history = history
          })
          yield* Effect.forkIn(Effect.provideService(read, Store, store.value), scope)
        }
        return yield* draw([started(event, style)], now)
      }
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
        overall?.ended.add(event.result.id)
        return isTold(event, many) ? yield* draw([ended(event, style)], now) : yield* redrawIfDue
    }
  })
  return listen
})

const CLEAR_LINE = "\u001b[K"
const CLEAR_BELOW = "\u001b[J"

/** The rows that lines of the last drawing take now: a terminal that became narrower since has wrapped them. */
const rowsOf = (lines: ReadonlyArray<string>, columns: number) =>
  lines.reduce((rows, line) => rows + Math.max(1, Math.ceil(line.length / Math.max(columns, 1))), 0)

const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
const frame = (now: number) => FRAMES[Math.floor(now / EVERY) % FRAMES.length]!
