/** For pipes and files: a line for each event, and now and then one for a node that takes long. No escape codes. */
import { Clock, Effect } from "effect"
import { line, type Sink } from "../Output.ts"
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

/** Milliseconds between two progress lines of a node. */
const EVERY = 5000

export const make = (sink: Sink, many?: Many): Listener => {
  const { style } = sink
  const running = new Map<string, Running & { readonly told: number }>()
  return Effect.fnUntraced(function* (event) {
    const now = yield* Clock.currentTimeMillis
    switch (event._tag) {
      case "Started":
        return many === undefined ? yield* line(sink, started(event, style)) : undefined
      case "NodeStarted":
        running.set(event.node, { ...begin(event.node, now), told: now })
        return yield* line(sink, `> ${event.node}${event.attempt > 1 ? `  attempt ${event.attempt}` : ""}`)
      case "NodeProgress": {
        const before = running.get(event.node)
        if (before === undefined) return
        const due = now - before.told >= EVERY
        const after = { ...reported(before, event.report, now), told: due ? now : before.told }
        running.set(event.node, after)
        return due ? yield* line(sink, `  ${event.node}  ${describeProgress(after, now)}`) : undefined
      }
      case "NodeRetried":
        return yield* line(sink, retried(event, style))
      case "NodeEnded":
        running.delete(event.result.id)
        return isTold(event, many) ? yield* line(sink, ended(event, style)) : undefined
    }
  })
}
