/**
 * Partial state of a long stage, such as a training's weights and optimizer moments every N steps. It is kept under the
 * node's key, so it is found again only by exactly the same computation, and it is dropped once the node is finished.
 * A stage that resumes must end with the bytes of an undisturbed one.
 */
import { Effect, Option, Schema } from "effect"

/** Partial state could not be kept. */
export class PartialUnwritable extends Schema.TaggedError<PartialUnwritable>()("PartialUnwritable", {
  cause: Schema.Defect()
}) {
  override get message() {
    return `cannot keep partial state: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

export interface Partial {
  /** The state last saved by an interrupted run of this same computation. Damaged state counts as none. */
  readonly load: Effect.Effect<Option.Option<Uint8Array>>
  readonly save: (state: Uint8Array) => Effect.Effect<void, PartialUnwritable>
}

/** Keeps nothing. */
export const none: Partial = { load: Effect.succeed(Option.none()), save: () => Effect.void }
