/** Pages and drawings as files. */
import { statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { Effect, FileSystem, Schema } from "effect"

/** A file that cannot be written, or could not. */
export class FileUnwritable extends Schema.TaggedError<FileUnwritable>()("FileUnwritable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `cannot write ${this.file}: ${this.problem}`
  }
}

/** Fails where a file of this name could not be made, so that nobody waits for a run to hear of it. */
export const checkWritable = (file: string): Effect.Effect<void, FileUnwritable> =>
  Effect.suspend(() => {
    const folder = dirname(resolve(file))
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
      return Effect.fail(new FileUnwritable({ file, problem: `there is no folder ${folder}` }))
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory())
      return Effect.fail(new FileUnwritable({ file, problem: "it is a folder" }))
    return Effect.void
  })

/** Writes a text; returns its size in bytes. */
export const writeText = Effect.fn("report.write")(function* (file: string, text: string) {
  yield* checkWritable(file)
  const bytes = new TextEncoder().encode(text)
  yield* (yield* FileSystem.FileSystem)
    .writeFile(file, bytes)
    .pipe(Effect.mapError((cause) => new FileUnwritable({ file, problem: cause.message })))
  return bytes.length
})
