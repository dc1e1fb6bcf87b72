/** Files of records: JSON lines, plain or gzip-compressed (`.gz`), blank lines skipped; or Parquet (`.parquet`). */
import { Effect, Schema, Stream } from "effect"
import * as File from "./File.ts"
import * as Hub from "./Hub.ts"
import { invalid, type RowError, rows } from "./rows.ts"

/**
 * Where the file lies, as the process sees it, or `hf://datasets/owner/name@revision/file` for one of the Hugging Face Hub.
 * Its content enters the key, its name does not.
 */
export const pathField = { path: Schema.NonEmptyString }

type FileError = File.FileMissing | File.FileUnreadable | Hub.HubFailed

/** For `Stage.make`: the SHA-256 of the file's content stands in the key where its path would. */
export const fileSource = {
  params: ["path"] as const,
  fingerprint: ({ path }: { readonly path: string }): Effect.Effect<string, FileError> =>
    Hub.isPath(path) ? Hub.fingerprint(path) : File.digest(path)
}

/**
 * The file's records in order, each with the number of its line (in a Parquet file, of its row), counted from 1.
 * **Details** A line that is no JSON, lacks a field, has one of the wrong type or (with `excess: "error"`) one too many
 * fails with `RecordInvalid`, as do bytes that are not UTF-8. Nothing is skipped or repaired.
 */
export const records = <A, I>(
  path: string,
  schema: Schema.Codec<A, I>,
  options: { readonly excess: "error" | "ignore" }
): Stream.Stream<readonly [record: A, line: number], RowError> => {
  const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(schema), {
    onExcessProperty: options.excess,
    errors: "all"
  })
  return rows(path).pipe(
    Stream.mapEffect(([row, number]) =>
      decode(row).pipe(
        Effect.mapBoth({
          onFailure: (issue) => invalid(path, number, issue.message),
          onSuccess: (record) => [record, number] as const
        })
      )
    )
  )
}
