/** Rows of JSON from a file, whatever its form: JSON lines, plain or gzip-compressed (`.gz`), or Parquet (`.parquet`). */
import { Effect, Stream } from "effect"
import * as Json from "../../dsl/Json.ts"
import type { ParquetInvalid } from "../../runtime/interchange/Parquet.ts"
import * as File from "./File.ts"
import * as Hub from "./Hub.ts"

export type RowError = File.FileMissing | File.FileUnreadable | File.RecordInvalid | Hub.HubFailed

/** A row, and its number: of the line in JSON lines, of the row in Parquet, counted from 1. */
export type Row = readonly [row: unknown, number: number]

/** Whether a file of that name is read as Parquet. */
export const isParquet = (path: string) => path.toLowerCase().endsWith(".parquet")

/** The error of a record, which names its line, or its row in a Parquet file. */
export const invalid = (path: string, number: number, problem: string) =>
  new File.RecordInvalid({ file: path, line: number, problem, ...(isParquet(path) && { unit: "row" as const }) })

/** The rows in order; blank lines are skipped. A line that is no JSON fails with `RecordInvalid`. */
export const rows = (path: string): Stream.Stream<Row, RowError> =>
  Hub.isPath(path) ? Stream.unwrap(Effect.map(Hub.local(path), onDisk)) : onDisk(path)

const onDisk = (path: string): Stream.Stream<Row, RowError> => (isParquet(path) ? parquet(path) : jsonLines(path))

const jsonLines = (path: string): Stream.Stream<Row, RowError> =>
  File.lines(path).pipe(
    Stream.filter(({ text }) => text.trim() !== ""),
    Stream.mapEffect(({ number, text }) =>
      Effect.try({
        try: () => [Json.parseUnsafe(text), number] as const,
        catch: (cause) => invalid(path, number, `is no JSON: ${(cause as Error).message}`)
      })
    )
  )

/** The module of the format is loaded where a file of it is read: most runs read none. */
const parquet = (path: string): Stream.Stream<Row, RowError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const Parquet = yield* Effect.promise(() => import("../../runtime/interchange/Parquet.ts"))
      yield* Effect.mapError(Parquet.readable(path), File.failed(path))
      return Parquet.rows(path).pipe(
        Stream.map(([row, number]) => [withoutNulls(row), number] as const),
        Stream.mapError((cause: ParquetInvalid) =>
          cause.row === undefined
            ? new File.FileUnreadable({
                file: path,
                problem: `is no intact Parquet file: ${cause.problem}`,
                retryable: false
              })
            : invalid(path, cause.row, cause.problem)
        )
      )
    })
  )

/** Parquet has every column in every row: a column that is `null` is one that the record does not have. */
const withoutNulls = (row: object) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))
