/** How a long stage tells how far it is. Reports are for people and tests: they never enter a result. */
import { Context, Effect } from "effect"

export interface Report {
  readonly done: number
  /** How many there are in all, where that is known. */
  readonly total?: number
  /** What is counted, in the plural: "steps", "prompts". */
  readonly unit: string
  /** Tokens read or drawn so far, where that is known at no cost: people are shown how many a second. */
  readonly tokens?: number
  /** Current values worth seeing, e.g. the loss. */
  readonly metrics?: Readonly<Record<string, number>>
}

/** Where reports go; nowhere unless a runtime listens. */
export const Progress = Context.Reference<(report: Report) => Effect.Effect<void>>("prefline/dsl/Progress", {
  defaultValue: () => () => Effect.void
})

export const report = (report: Report): Effect.Effect<void> => Effect.flatMap(Progress, (listen) => listen(report))
