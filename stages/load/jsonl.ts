/** Files of JSON lines: one JSON object a line, plain or gzip-compressed (`.gz`), blank lines skipped. */
import { Effect, Schema, Stream } from "effect"
import * as File from "./File.ts"

/** Where the file lies, as the process sees it. Its content enters the key, its name does not. */
export const pathField = { path: Schema.NonEmptyString }

/** For `Stage.make`: the SHA-256 of the file's content stands in the key where its path would. */
export const fileSource = {
  params: ["path"] as const,
  fingerprint: ({ path }: { readonly path: string }) => File.digest(path)
}

/**
 * The file's records in order, each with the number of its line, counted from 1.
 * **Details** A line that is no JSON, lacks a field, has one of the wrong type or (with `excess: "error"`) one too many
 * fails with `RecordInvalid`, as do bytes that are not UTF-8. Nothing is skipped or repaired.
 */
export const records = <A, I>(
  path: string,
  schema: Schema.Codec<A, I>,
  options: { readonly excess: "error" | "ignore" }
): Stream.Stream<readonly [record: A, line: number], File.FileMissing | File.FileUnreadable | File.RecordInvalid> => {
  const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(schema), {
    onExcessProperty: options.excess,
    errors: "all"
  })
  return File.lines(path).pipe(
    Stream.filter(({ text }) => text.trim() !== ""),
    Stream.mapEffect(({ number, text }) => {
      const invalid = (problem: string) => new File.RecordInvalid({ file: path, line: number, problem })
      return Effect.try({
        try: () => JSON.parse(text) as unknown,
        catch: (cause) => invalid(`is no JSON: ${(cause as Error).message}`)
      }).pipe(
        Effect.flatMap((json) => decode(json).pipe(Effect.mapError((issue) => invalid(issue.message)))),
        Effect.map((record) => [record, number] as const)
      )
    })
  )
}
