/** One display for many runs that go on side by side. */
import { Effect } from "effect"
import type { Event } from "../../executor/Executor.ts"
import type { Listener } from "../display/progress.ts"

/**
 * Passes on what is computed, retried or fails in a run, its nodes named after the run; not what is served or skipped,
 * for most nodes are those of other runs too.
 */
export const within =
  (listen: Listener) =>
  (run: string): Listener => {
    const named = (node: string) => `${run}: ${node}`
    return (event: Event) => {
      switch (event._tag) {
        case "Started":
          return Effect.void
        case "NodeEnded": {
          const { result } = event
          const isNews = result.status === "computed" || result.status === "failed"
          return isNews ? listen({ ...event, result: { ...result, id: named(result.id) } }) : Effect.void
        }
        default:
          return listen({ ...event, node: named(event.node) })
      }
    }
  }
