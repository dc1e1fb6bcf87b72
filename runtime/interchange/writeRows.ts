/** Rows of JSON into a file: JSON lines (`.jsonl`), or Parquet (`.parquet`). */
import { Effect, FileSystem, Path, Schema, Stream } from "effect"
import type { JsonObject } from "../../dsl/Json.ts"
import * as Parquet from "./Parquet.ts"

/** Something is in the way of what should be written, and may be wanted. */
export class OutputExists extends Schema.TaggedError<OutputExists>()("OutputExists", { path: Schema.String }) {
  override get message() {
    return `${this.path} is there already; --force writes over it`
  }
}

/** The name of a file tells its form, and this one tells none that is written. */
export class FormUnknown extends Schema.TaggedError<FormUnknown>()("FormUnknown", {
  path: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    return `${this.path}: its name has to end in ${this.known.join(" or ")}, which tells the form`
  }
}

/** What was asked for could not be written. */
export class OutputFailed extends Schema.TaggedError<OutputFailed>()("OutputFailed", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.path} could not be written: ${this.problem}`
  }
}

export interface Options {
  /** Columns that are there even if no row has them. */
  readonly columns?: ReadonlyArray<string>
  readonly force: boolean
}

/**
 * Writes the rows and returns how many there were. The file is there when all of it is: it is written beside its place
 * and moved. JSON lines are streamed; for Parquet, whose columns have types, all rows are held.
 */
export const writeRows = Effect.fnUntraced(function* <E, R>(
  path: string,
  rows: Stream.Stream<JsonObject, E, R>,
  { columns, force }: Options
) {
  const lower = path.toLowerCase()
  let count = 0
  const counted = rows.pipe(Stream.tap(() => Effect.sync(() => count++)))
  if (lower.endsWith(".jsonl")) {
    const lines = counted.pipe(
      Stream.map((row) => `${JSON.stringify(row)}\n`),
      Stream.encodeText
    )
    yield* writeFile(path, lines, force)
  } else if (lower.endsWith(".parquet")) {
    const bytes = Effect.flatMap(Stream.runCollect(counted), (all) => Parquet.write(all, columns))
    yield* writeFile(path, Stream.fromEffect(bytes), force)
  } else return yield* new FormUnknown({ path, known: [".jsonl", ".parquet"] })
  return count
})

/** Writes a file beside its place and moves it there, so that a half of it is never seen under its name. */
export const writeFile = Effect.fnUntraced(function* <E, R>(
  path: string,
  bytes: Stream.Stream<Uint8Array, E, R>,
  force: boolean
) {
  const fs = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  const failed = (cause: Error) => new OutputFailed({ path, problem: cause.message })
  if (!force && (yield* Effect.mapError(fs.exists(path), failed))) return yield* new OutputExists({ path })
  yield* Effect.mapError(fs.makeDirectory(dirname(path), { recursive: true }), failed)
  const beside = `${path}.${process.pid}.part`
  const sink = fs.sink(beside)
  yield* Stream.run(bytes, sink).pipe(
    Effect.catchTag("PlatformError", (cause) => Effect.fail(failed(cause as Error))),
    Effect.andThen(Effect.mapError(fs.rename(beside, path), failed)),
    Effect.onExit(() => Effect.ignore(fs.remove(beside, { force: true })))
  )
})
