/**
 * A kind of value that flows along the edges of a graph. An artifact owns its schema, its bytes (one or more named
 * files, streamed both ways) and the equality that a recomputation of it is held to.
 */
import { Effect, Option, Schema, Stream } from "effect"
import { brief } from "./internal/brief.ts"
import * as Json from "./Json.ts"

/** Marks artifacts. */
export const TypeId = "~prefline/dsl/Artifact"

/** Bytes that do not decode as the artifact they are said to be, or a value that does not encode. */
export class ArtifactInvalid extends Schema.TaggedError<ArtifactInvalid>()("ArtifactInvalid", {
  artifact: Schema.String,
  /** The file, with the 1-based line number where there are lines. */
  where: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.artifact}: ${this.where}: ${brief(this.problem)}`
  }
}

/** The bytes of an artifact could not be read from where they are kept. */
export class ArtifactUnreadable extends Schema.TaggedError<ArtifactUnreadable>()("ArtifactUnreadable", {
  file: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `cannot read ${this.file}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** Why an artifact cannot be read back: wrong bytes, or none. */
export type DecodeError = ArtifactInvalid | ArtifactUnreadable

/** What a recomputed value must satisfy: the same bytes, or every number within `relative * max(1, |a|, |b|)`. */
export type Equality = { readonly _tag: "Exact" } | { readonly _tag: "Within"; readonly relative: number }

/** A recomputation has to give the same bytes. */
export const exact: Equality = { _tag: "Exact" }
/** A recomputation may differ, number by number, by `relative * max(1, |a|, |b|)`. */
export const within = (relative: number): Equality => ({ _tag: "Within", relative })

/** One file of an encoded artifact. */
export interface FileContent<out E = never, out R = never> {
  readonly name: string
  readonly bytes: Stream.Stream<Uint8Array, E, R>
}

/** Where an encoded artifact is read from. */
export interface FileSource {
  readonly names: ReadonlyArray<string>
  readonly open: (name: string) => Stream.Stream<Uint8Array, ArtifactUnreadable>
}

/** A finished set of records. It can be streamed any number of times, always in the same order. */
export interface Records<out A> {
  readonly stream: Stream.Stream<A, DecodeError>
}

/** A kind of value by its name: `Value` is what consumers receive, `Produced` what a stage makes of it. */
export interface Artifact<out Name extends string, out Value, out Produced = Value> {
  readonly [TypeId]: { readonly value: () => Value; readonly produced: () => Produced }
  readonly name: Name
  readonly equality: Equality
  /** The record or value schema; `undefined` for folders, whose codec checks them. */
  readonly schema: Schema.Top | undefined
  readonly kind: "records" | "value" | "folder"
  readonly encode: <E, R>(
    produced: Output<any, E, R>
  ) => Stream.Stream<FileContent<E | ArtifactInvalid, R>, E | ArtifactInvalid, R>
  readonly decode: (files: FileSource) => Effect.Effect<Value, DecodeError>
  /** Where two values differ beyond the artifact's equality; `None` when they count as equal. */
  readonly compare: (stored: FileSource, fresh: FileSource) => Effect.Effect<Option.Option<string>, DecodeError>
}

/** An artifact of any kind. */
export interface Any extends Artifact<string, any, any> {}

/** What a consumer of the artifact receives. */
export type Value<A extends Any> = ReturnType<A[typeof TypeId]["value"]>

/** Marks, in `Artifact`'s third parameter, artifacts that a stage produces as a stream of items. */
export interface Streamed<out Item> {
  readonly item: () => Item
}

/** What a stage with this output artifact returns: a stream of records, else an effect. */
export type Output<A extends Any, E = any, R = any> =
  ReturnType<A[typeof TypeId]["produced"]> extends Streamed<infer Item>
    ? Stream.Stream<Item, E, R>
    : Effect.Effect<Value<A>, E, R>

/** Records encoded and decoded in one go. */
const RECORDS_AT_ONCE = 256

/**
 * Records kept as JSON lines (`records.jsonl`), one encoded record a line.
 *
 * @example
 * ```ts
 * import { Effect, Schema, Stream } from "effect"
 * import { Artifact, artifacts, Pipeline, Stage } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 *
 * const Lengths = Artifact.records("lengths", Schema.Struct({ prompt: Schema.String, characters: Schema.Int }))
 * const Longest = Artifact.value("longest", Schema.Struct({ characters: Schema.Int }))
 *
 * const measure = Stage.make({
 *   name: "measure",
 *   description: "Characters of every prompt",
 *   module: import.meta.url,
 *   params: {},
 *   input: artifacts.Prompts,
 *   output: Lengths,
 *   run: ({ input }) => input.stream.pipe(Stream.map(({ id, text }) => ({ prompt: id, characters: text.length })))
 * })
 * const longest = Stage.make({
 *   name: "longest",
 *   description: "The longest",
 *   module: import.meta.url,
 *   params: {},
 *   input: Lengths,
 *   output: Longest,
 *   run: ({ input }) =>
 *     Stream.runFold(input.stream, () => 0, (most, { characters }) => Math.max(most, characters)).pipe(
 *       Effect.map((characters) => ({ characters }))
 *     )
 * })
 *
 * export default Pipeline.make("lengths", { description: "Lengths", params: {} }, () => ({
 *   longest: Text.prompts({ split: "test", limit: 100 }).pipe(measure(), longest())
 * }))
 * ```
 */
export const records = <const Name extends string, A, I>(
  name: Name,
  schema: Schema.Codec<A, I>,
  options: { readonly equality?: Equality } = {}
): Artifact<Name, Records<A>, Streamed<A>> => {
  const codec = Schema.toCodecJson(schema)
  const encodeRecord = Schema.encodeUnknownSync(codec)
  const decodeRecord = Schema.decodeUnknownEffect(codec, { onExcessProperty: "error" })
  const equality = options.equality ?? exact
  const lines = (files: FileSource) =>
    files.open("records.jsonl").pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.zipWithIndex,
      Stream.filter(([line]) => line !== "")
    )
  const parsed = (files: FileSource) =>
    lines(files).pipe(
      Stream.mapEffect(([line, i]) =>
        parseJson(name, `records.jsonl, line ${i + 1}`, line).pipe(Effect.map((json) => [json, i] as const))
      )
    )
  return {
    ...base(name, "records", schema, equality),
    encode: (produced) =>
      Stream.succeed({
        name: "records.jsonl",
        bytes: (produced as Stream.Stream<A, any, any>).pipe(
          Stream.rechunk(RECORDS_AT_ONCE),
          Stream.mapAccumArrayEffect(
            () => 0,
            (count, records) =>
              Effect.map(encodeLines(name, encodeRecord, records, count), (bytes) => [count + records.length, [bytes]])
          )
        )
      }),
    decode: (files) =>
      Effect.succeed({
        stream: parsed(files).pipe(
          Stream.mapEffect(([json, i]) =>
            decodeRecord(json).pipe(Effect.mapError((cause) => invalid(name, `records.jsonl, line ${i + 1}`, cause)))
          )
        )
      }),
    compare: (stored, fresh) =>
      Stream.zipWith(
        Stream.concat(parsed(stored).pipe(Stream.map(([json]) => json)), Stream.succeed(undefined)),
        Stream.concat(parsed(fresh).pipe(Stream.map(([json]) => json)), Stream.succeed(undefined)),
        (a, b) => [a, b] as const
      ).pipe(
        Stream.zipWithIndex,
        Stream.map(([[a, b], i]) => firstDifference(equality, `record ${i + 1}`, a, b)),
        Stream.filter(Option.isSome),
        Stream.runHead,
        Effect.map(Option.flatten)
      )
  }
}

/** One JSON value (`value.json`). */
export const value = <const Name extends string, A, I>(
  name: Name,
  schema: Schema.Codec<A, I>,
  options: { readonly equality?: Equality } = {}
): Artifact<Name, A> => {
  const codec = Schema.toCodecJson(schema)
  const decodeValue = Schema.decodeUnknownEffect(codec, { onExcessProperty: "error" })
  const encodeValue = Schema.encodeUnknownEffect(codec)
  const equality = options.equality ?? exact
  const read = (files: FileSource) =>
    files.open("value.json").pipe(
      Stream.decodeText(),
      Stream.mkString,
      Effect.flatMap((text) => parseJson(name, "value.json", text))
    )
  return {
    ...base(name, "value", schema, equality),
    encode: (produced) =>
      Stream.fromEffect(
        (produced as Effect.Effect<A, any, any>).pipe(
          Effect.flatMap((decoded) =>
            encodeValue(decoded).pipe(
              Effect.flatMap((json) => toText(json)),
              Effect.mapError((cause) => invalid(name, "value.json", cause))
            )
          ),
          Effect.map((text) => ({ name: "value.json", bytes: Stream.succeed(new TextEncoder().encode(`${text}\n`)) }))
        )
      ),
    decode: (files) =>
      read(files).pipe(
        Effect.flatMap((json) => decodeValue(json).pipe(Effect.mapError((cause) => invalid(name, "value.json", cause))))
      ),
    compare: (stored, fresh) =>
      Effect.all([read(stored), read(fresh)]).pipe(
        Effect.map(([a, b]) => firstDifference(equality, "value.json", a, b))
      )
  }
}

/**
 * A folder of named files with a codec of its own, such as a checkpoint. `compare` is asked only where the bytes
 * differ and the equality is not exact.
 */
export const folder = <const Name extends string, A>(
  name: Name,
  codec: {
    readonly encode: (
      value: A
    ) => Effect.Effect<ReadonlyArray<{ readonly name: string; readonly bytes: Iterable<Uint8Array> }>, ArtifactInvalid>
    readonly decode: (files: FileSource) => Effect.Effect<A, DecodeError>
    readonly compare: (stored: A, fresh: A, equality: Equality) => Option.Option<string>
  },
  options: { readonly equality?: Equality } = {}
): Artifact<Name, A> => {
  const equality = options.equality ?? exact
  return {
    ...base(name, "folder", undefined, equality),
    encode: (produced) =>
      Stream.fromIterableEffect(
        (produced as Effect.Effect<A, any, any>).pipe(
          Effect.flatMap(codec.encode),
          Effect.map((files) =>
            files.map((file) => ({ name: file.name, bytes: Stream.fromIterable(file.bytes, { chunkSize: 1 }) }))
          )
        )
      ),
    decode: codec.decode,
    compare: (stored, fresh) =>
      Effect.all([codec.decode(stored), codec.decode(fresh)]).pipe(
        Effect.map(([a, b]) => codec.compare(a, b, equality))
      )
  }
}

/** Whether two numbers count as equal. */
export const sameNumber =
  (equality: Equality) =>
  (a: number, b: number): boolean =>
    Object.is(a, b) ||
    (equality._tag === "Within" && Math.abs(a - b) <= equality.relative * Math.max(1, Math.abs(a), Math.abs(b)))

/** Records from memory, for tests and laws. */
export const recordsOf = <A>(items: Iterable<A>): Records<A> => ({ stream: Stream.fromIterable(items) })

const base = <Name extends string>(
  name: Name,
  kind: Any["kind"],
  schema: Schema.Top | undefined,
  equality: Equality
) => ({
  [TypeId]: { value: absurd, produced: absurd } as any,
  name,
  kind,
  schema,
  equality
})

const absurd = (): never => {
  throw new Error("the type of an artifact has no value")
}

const invalid = (artifact: string, where: string, cause: unknown) =>
  cause instanceof ArtifactInvalid
    ? cause
    : new ArtifactInvalid({ artifact, where, problem: cause instanceof Error ? cause.message : String(cause) })

/** Deeper than what is read from outside, for that is put into records of ours. */
const DEPTH = 512

const parseJson = (artifact: string, where: string, text: string) =>
  Effect.try({ try: () => Json.parseUnsafe(text, DEPTH), catch: (cause) => invalid(artifact, where, cause) })

/** A chunk of records as JSON lines; `before` records stand in front of it. */
const encodeLines = (
  artifact: string,
  encode: (record: unknown) => unknown,
  records: ReadonlyArray<unknown>,
  before: number
): Effect.Effect<Uint8Array, ArtifactInvalid> =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    for (const record of records) {
      try {
        lines.push(Json.canonicalUnsafe(encode(record)), "\n")
      } catch (cause) {
        return Effect.fail(invalid(artifact, `record ${before + lines.length / 2 + 1}`, cause))
      }
    }
    return Effect.succeed(new TextEncoder().encode(lines.join("")))
  })

const toText = (json: unknown) => Effect.try({ try: () => Json.canonicalUnsafe(json), catch: (cause) => cause })

const firstDifference = (
  equality: Equality,
  where: string,
  stored: Json.Json | undefined,
  fresh: Json.Json | undefined
) => {
  const [first] = Json.differences(stored, fresh, sameNumber(equality))
  return first === undefined
    ? Option.none<string>()
    : Option.some(
        `${where}: ${first.at || "value"}: stored ${JSON.stringify(first.left)}, recomputed ${JSON.stringify(first.right)}`
      )
}
