/** One display for many runs that go on side by side. */
import type { Event } from "../../executor/Executor.ts"
import type { Listener } from "../display/progress.ts"

/** Passes on what happens in a run, its nodes named after the run. */
export const within =
  (listen: Listener) =>
  (run: string): Listener => {
    const named = (node: string) => `${run}: ${node}`
    return (event: Event) => {
      switch (event._tag) {
        case "Started":
          return listen(event)
        case "NodeEnded":
          return listen({ ...event, result: { ...event.result, id: named(event.result.id) } })
        default:
          return listen({ ...event, node: named(event.node) })
      }
    }
  }
