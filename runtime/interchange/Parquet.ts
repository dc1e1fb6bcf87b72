/**
 * Rows of JSON in Parquet files, read by row group and written in one go. Pages are checked before they are decoded: see
 * `internal/parquetPages.ts`.
 *
 * **Details** Columns are texts, booleans, numbers, lists of these, and lists of messages (`role`, `content`); anything
 * else is written as JSON text with that logical type, and read back as what it was. Numbers that are all integers of 32
 * bits are written as such, others as doubles.
 */
import { access, constants } from "node:fs/promises"
import { Effect, Schema, Stream } from "effect"
import type { AsyncBuffer, SchemaElement } from "hyparquet"
import { brief } from "../../dsl/internal/brief.ts"
import type { Json, JsonObject } from "../../dsl/Json.ts"

/** The bytes are no Parquet file, or not one whose rows are JSON. Never transient. */
export class ParquetInvalid extends Schema.TaggedError<ParquetInvalid>()("ParquetInvalid", {
  /** Counted from 1, where a row is known. */
  row: Schema.optionalKey(Schema.Int),
  problem: Schema.String
}) {
  override get message() {
    return `${this.row === undefined ? "" : `row ${this.row}: `}${this.problem}`
  }
}

/** The libraries are loaded when a Parquet file is first written, or read. */
const load = Effect.promise(() => import("./internal/parquet.ts"))
const loadReader = Effect.promise(() => import("./internal/parquetReader.ts"))

/** Fails as the file system does if there is no such file, or it cannot be read. */
export const readable = (path: string): Effect.Effect<void, NodeJS.ErrnoException> =>
  Effect.tryPromise({ try: () => access(path, constants.R_OK), catch: (cause) => cause as NodeJS.ErrnoException })

/** Bytes that are in memory. */
export interface Source extends AsyncBuffer {}

/** The rows of a file (by its path, or in memory) in order, a row group at a time. Rows are numbered from 1. */
export const rows = (
  file: string | Source
): Stream.Stream<readonly [row: JsonObject, number: number], ParquetInvalid> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { Fault, decoded, jsonRow, leavesOf, metadataOf, opened } = yield* loadReader
      const fault = (cause: unknown) =>
        cause instanceof Fault && cause.row !== undefined
          ? new ParquetInvalid({ row: cause.row, problem: brief(cause.message) })
          : new ParquetInvalid({ problem: brief(cause instanceof Error ? cause.message : String(cause)) })
      const attempted = <A>(use: () => A | Promise<A>) => Effect.tryPromise({ try: async () => use(), catch: fault })
      const { file: bytes } = yield* Effect.acquireRelease(
        attempted(() => opened(file)),
        ({ close }) => Effect.promise(close)
      )
      const metadata = yield* attempted(() => metadataOf(bytes))
      const leaves = yield* attempted(() => leavesOf(metadata))
      let before = 0
      return Stream.fromIterable(metadata.row_groups).pipe(
        Stream.flatMap((group) => {
          const start = before
          before += Number(group.num_rows)
          return Stream.unwrap(
            Effect.map(
              attempted(() => decoded(bytes, metadata, group)),
              (found) =>
                Stream.fromIterable(found.entries()).pipe(
                  Stream.mapEffect(([i, row]) =>
                    Effect.try({
                      try: () => [jsonRow(row, start + i + 1, leaves), start + i + 1] as const,
                      catch: fault
                    })
                  )
                )
            )
          )
        })
      )
    })
  )

/**
 * Writes rows, compressed by Snappy. A member that is absent in some rows, or `null`, is `null` there. The bytes depend
 * on the rows alone. `columns` are there in any case, as texts where no row tells otherwise.
 */
export const write = (
  all: ReadonlyArray<JsonObject>,
  columns: ReadonlyArray<string> = []
): Effect.Effect<Uint8Array, ParquetInvalid> =>
  Effect.gen(function* () {
    const library = yield* load
    const names = [...new Set([...columns, ...all.flatMap((row) => Object.keys(row))])]
    if (names.length === 0) return yield* new ParquetInvalid({ problem: "there are no columns to write" })
    const kinds = names.map((name) => kindOf(all.map((row) => row[name] ?? null)))
    return yield* attempt(() => {
      const schema: ReadonlyArray<SchemaElement> = [
        { name: "root", num_children: names.length },
        ...names.flatMap((name, i) => elements(name, kinds[i]!))
      ]
      return library.writeRows(
        schema,
        names.map((name, i) => ({ name, data: all.map((row) => prepared(row[name] ?? null, kinds[i]!)) }))
      )
    })
  })

type Kind =
  | { readonly _tag: "Leaf"; readonly leaf: "text" | "boolean" | "int32" | "double" | "json" }
  | { readonly _tag: "List"; readonly item: Kind }
  | { readonly _tag: "Struct"; readonly members: ReadonlyArray<readonly [name: string, kind: Kind]> }

const leaf = (kind: Extract<Kind, { _tag: "Leaf" }>["leaf"]): Kind => ({ _tag: "Leaf", leaf: kind })

/** What holds all the values; `null` fits everywhere. */
const kindOf = (values: ReadonlyArray<Json>): Kind => {
  const present = values.filter((value) => value !== null)
  if (present.every((value) => typeof value === "string")) return leaf("text")
  if (present.every((value) => typeof value === "boolean")) return leaf("boolean")
  if (present.every((value) => typeof value === "number")) return leaf(present.every(isInt32) ? "int32" : "double")
  if (!present.every((value) => Array.isArray(value))) return leaf("json")
  const items = present.flatMap((value) => value as ReadonlyArray<Json>)
  if (items.length > 0 && items.every(isMessage)) {
    const names = [...new Set(items.flatMap((item) => Object.keys(item)))]
    return {
      _tag: "List",
      item: {
        _tag: "Struct",
        members: names.map((name) => [name, scalarOrJson(items.map((item) => item[name] ?? null))])
      }
    }
  }
  const item = scalarOrJson(items)
  return item._tag === "Leaf" && (item.leaf === "json" || items.includes(null)) ? leaf("json") : { _tag: "List", item }
}

const scalarOrJson = (values: ReadonlyArray<Json>): Kind => {
  const kind = kindOf(values)
  return kind._tag === "Leaf" ? kind : leaf("json")
}

const isInt32 = (value: Json) => Object.is(value, (value as number) | 0)
const isMessage = (value: Json): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value) && "role" in value && "content" in value

const PHYSICAL = {
  text: { type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } },
  json: { type: "BYTE_ARRAY", converted_type: "JSON", logical_type: { type: "JSON" } },
  boolean: { type: "BOOLEAN" },
  int32: { type: "INT32" },
  double: { type: "DOUBLE" }
} as const satisfies Readonly<Record<string, Partial<SchemaElement>>>

const elements = (name: string, kind: Kind): ReadonlyArray<SchemaElement> => {
  const optional = { name, repetition_type: "OPTIONAL" } as const
  switch (kind._tag) {
    case "Leaf":
      return [{ ...optional, ...PHYSICAL[kind.leaf] }]
    case "List":
      return [
        { ...optional, num_children: 1, converted_type: "LIST", logical_type: { type: "LIST" } },
        { name: "list", repetition_type: "REPEATED", num_children: 1 },
        ...elements("element", kind.item)
      ]
    case "Struct":
      return [
        { ...optional, num_children: kind.members.length },
        ...kind.members.flatMap(([member, of]) => elements(member, of))
      ]
  }
}

/** A value as the writer takes it; JSON columns are serialized by it, all but `null`, which is none. */
const prepared = (value: Json, kind: Kind): unknown => {
  if (value === null) return null
  if (kind._tag === "List") return (value as ReadonlyArray<Json>).map((item) => prepared(item, kind.item))
  if (kind._tag === "Leaf") return value
  const of = value as JsonObject
  return Object.fromEntries(kind.members.map(([name, member]) => [name, prepared(of[name] ?? null, member)]))
}

const attempt = <A>(make: () => A | Promise<A>): Effect.Effect<A, ParquetInvalid> =>
  Effect.tryPromise({
    try: async () => make(),
    catch: (cause) => new ParquetInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
  })
