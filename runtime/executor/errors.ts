/** What can go wrong while a graph runs. */
import { Schema } from "effect"

const Params = Schema.JsonObject

/** A node failed, for good. `cause` is the stage's own error. */
export class NodeFailed extends Schema.TaggedError<NodeFailed>()("NodeFailed", {
  node: Schema.String,
  stage: Schema.String,
  params: Params,
  attempts: Schema.Int,
  cause: Schema.Defect()
}) {
  override get message() {
    const attempts = this.attempts > 1 ? ` after ${this.attempts} attempts` : ""
    return `${this.node} (${this.stage}) failed${attempts}: ${describe(this.cause)}`
  }
}

/** A stage took longer than its own limit. */
export class StageTimedOut extends Schema.TaggedError<StageTimedOut>()("StageTimedOut", {
  stage: Schema.String,
  limit: Schema.String
}) {
  override get message() {
    return `took longer than its limit of ${this.limit}`
  }
}

/** What a stage reads from outside changed while it was read: the result belongs to neither content. */
export class SourceChanged extends Schema.TaggedError<SourceChanged>()("SourceChanged", { stage: Schema.String }) {
  override get message() {
    return "what it reads changed while it was read; run again once it has settled"
  }
}

/** A stage used its random stream without declaring that it draws. */
export class RandomnessUndeclared extends Schema.TaggedError<RandomnessUndeclared>()("RandomnessUndeclared", {
  stage: Schema.String
}) {
  override get message() {
    return `${this.stage} draws random numbers but does not declare \`random: true\`, so its seed is not part of its key`
  }
}

/** The worker that computed a node died before it was done, as often as it was replaced. */
export class WorkerDied extends Schema.TaggedError<WorkerDied>()("WorkerDied", {
  node: Schema.String,
  /** Its exit code, or what nobody caught. */
  reason: Schema.String
}) {
  override get message() {
    return `the worker that computed ${this.node} died: ${this.reason}`
  }
}

/** A worker does not come up, or would compute other bits than this process. */
export class WorkerUnusable extends Schema.TaggedError<WorkerUnusable>()("WorkerUnusable", { problem: Schema.String }) {
  override get message() {
    return `a worker cannot be used: ${this.problem}`
  }
}

/** Some nodes failed; everything that did not depend on them is finished and kept. */
export class RunFailed extends Schema.TaggedError<RunFailed>()("RunFailed", {
  run: Schema.String,
  failures: Schema.Array(NodeFailed),
  result: Schema.Any
}) {
  override get message() {
    return this.failures.map((failure) => failure.message).join("\n")
  }
}

/** One line that says what happened: an error's message, else its text. */
export const describe = (cause: unknown): string =>
  cause instanceof Error ? (cause.message === "" ? cause.name : cause.message) : String(cause)

/** Whether an error declares that trying again can help. */
export const isRetryable = (error: unknown): boolean =>
  typeof error === "object" && error !== null && (error as { readonly retryable?: unknown }).retryable === true

/** The tag of a typed error, the name of any other. */
export const tagOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "_tag" in cause
    ? String(cause._tag)
    : cause instanceof Error
      ? cause.name
      : typeof cause
