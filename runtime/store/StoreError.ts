/** What can go wrong between the store and the disk. */
import { Schema } from "effect"

/** The folder cannot serve as a store. */
export class StoreUnusable extends Schema.TaggedError<StoreUnusable>()("StoreUnusable", {
  root: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `cannot use ${this.root} as a store: ${this.problem}`
  }
}

/** Something could not be written: the disk is full, a folder is read-only. `path` is relative to the store. */
export class StoreWriteFailed extends Schema.TaggedError<StoreWriteFailed>()("StoreWriteFailed", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `cannot write ${this.path} in the store: ${this.problem}`
  }
}

/** Something is there but cannot be read, e.g. for lack of permission. `path` is relative to the store. */
export class StoreReadFailed extends Schema.TaggedError<StoreReadFailed>()("StoreReadFailed", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `cannot read ${this.path} in the store: ${this.problem}`
  }
}

/** An object that is not there, or whose bytes are not the ones it is named after. The cause of `ArtifactUnreadable`. */
export class ObjectUnusable extends Schema.TaggedError<ObjectUnusable>()("ObjectUnusable", {
  digest: Schema.String,
  state: Schema.Literals(["missing", "damaged"]),
  problem: Schema.String
}) {
  override get message() {
    return `object ${this.digest.slice(0, 12)} is ${this.state}: ${this.problem}`
  }
}
