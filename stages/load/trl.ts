/** Files of TRL's types for the loaders: one type a file, plain, or conversational with the checkpoint that makes texts of it. */
import { Effect, Option, Schema, Stream } from "effect"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import { withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { attempt, type Numbered } from "../../runtime/interchange/artifacts.ts"
import type { ChatTemplateFailed } from "../../runtime/interchange/ChatTemplate.ts"
import { extractPrompt } from "../../runtime/interchange/convert.ts"
import * as Trl from "../../runtime/interchange/Trl.ts"
import { invalid, type RowError, rows } from "./rows.ts"

/** `prefline` is this project's own record, as its stages write it. */
export const formatField = { format: Schema.Literals(["prefline", "trl"]).pipe(withDefault("prefline")) }

/** For conversational records: the checkpoint whose chat template makes texts of them. */
export const chatInput = { chat: Stage.optional(CheckpointFolder) }

/**
 * The records of a file with the numbers of their lines, or rows, all of one type, the wanted one.
 * **Details** Preferences with an implicit prompt count as explicit ones: their prompt is extracted. The type is told by
 * the columns of each record; one of another type than the first, or than the wanted, fails with `RecordInvalid`.
 */
export const examples = <T extends Trl.Type>(path: string, wanted: T): Stream.Stream<Numbered<T>, RowError> => {
  let first: { readonly form: string; readonly row: number } | undefined
  return Stream.suspend(() => {
    first = undefined
    return rows(path).pipe(
      Stream.mapEffect(([row, number]) =>
        Effect.gen(function* () {
          const example = yield* Trl.decode(row)
          const form = `${Trl.isConversational(example) ? "conversational " : ""}${example.type}`
          first ??= { form, row: number }
          if (form !== first.form) {
            const before = `${first.form}, as record ${first.row} is`
            return yield* new Trl.RowInvalid({ problem: `is ${form}, not ${before}` })
          }
          const explicit = wanted === "preference" && example.type === "preference-implicit"
          const made = explicit ? extractPrompt(example) : example
          if (made.type !== wanted) {
            const problem = `is ${made.type}; this stage reads ${wanted} (\`prefline convert\` makes one of the other)`
            return yield* new Trl.RowInvalid({ problem })
          }
          return [made as Trl.Example<T>, number] as const
        }).pipe(Effect.mapError(({ problem }) => invalid(path, number, problem)))
      )
    )
  })
}

/** As `examples`, made plain by the chat template of `chat` where it is given, and read into what stages exchange. */
export const load = <T extends Trl.Type, A>(
  path: string,
  wanted: T,
  chat: Checkpoint | undefined,
  read: (example: Numbered<T>) => A
): Stream.Stream<A, RowError | ChatTemplateFailed> =>
  Stream.unwrap(
    Effect.map(plainBy(chat), (apply) =>
      examples(path, wanted).pipe(
        Stream.mapEffect(([example, row]) =>
          apply(example).pipe(
            Effect.flatMap((plain) => attempt(() => read([plain, row]))),
            Effect.mapError(({ problem }) => invalid(path, row, problem))
          )
        )
      )
    )
  )

/** Templates are loaded where one is used. */
const plainBy = (chat: Checkpoint | undefined) =>
  Option.match(Option.fromUndefinedOr(chat), {
    onNone: () => Effect.succeed(<T extends Trl.Type>(example: Trl.Example<T>) => Effect.succeed(example)),
    onSome: ({ tokenizerConfig }) =>
      Effect.gen(function* () {
        const ChatTemplate = yield* Effect.promise(() => import("../../runtime/interchange/ChatTemplate.ts"))
        const template = yield* ChatTemplate.fromConfig(tokenizerConfig)
        return <T extends Trl.Type>(example: Trl.Example<T>) => ChatTemplate.apply(template, example)
      })
  })
