import { Schema } from "effect"

/** A file that is no archive of a run, or one that says what is not so. Nothing of it was taken in. */
export class ArchiveInvalid extends Schema.TaggedError<ArchiveInvalid>()("ArchiveInvalid", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.file} is no archive that can be imported: ${this.problem}; nothing was imported`
  }
}
