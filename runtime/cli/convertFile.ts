/** The work of `convert`. */
import { Effect, Option, Stream } from "effect"
import * as Folder from "../../stages/load/checkpoint.ts"
import { invalid, rows } from "../../stages/load/rows.ts"
import * as ChatTemplate from "../interchange/ChatTemplate.ts"
import * as Convert from "../interchange/convert.ts"
import * as Trl from "../interchange/Trl.ts"
import { writeRows } from "../interchange/writeRows.ts"

interface Asked {
  readonly from: string
  readonly to: string
  /** The type that records become; theirs unless told. */
  readonly type: Option.Option<Trl.Type>
  /** A checkpoint folder whose chat template makes texts of conversations. */
  readonly template: Option.Option<string>
  readonly limit: Option.Option<number>
  readonly force: boolean
}

/** Writes the records of a file to another; tells how many were read and written, and what they were. */
export const convertFile = Effect.fn("convertFile")(function* ({ force, from, limit, template, to, type }: Asked) {
  const apply = yield* applied(template)
  let first: { readonly type: Trl.Type; readonly conversational: boolean; readonly row: number } | undefined
  let read = 0
  const examples = rows(from).pipe(
    Stream.take(Option.getOrElse(limit, () => Number.POSITIVE_INFINITY)),
    Stream.mapEffect(([row, number]) =>
      Effect.gen(function* () {
        const example = yield* Trl.decode(row)
        const conversational = Trl.isConversational(example)
        first ??= { type: example.type, conversational, row: number }
        if (first.type !== example.type || first.conversational !== conversational) {
          const said = `is ${form(example.type, conversational)}, record ${first.row} ${form(first.type, first.conversational)}`
          return yield* new Trl.RowInvalid({ problem: `${said}: a file has one type` })
        }
        read++
        const made = yield* Convert.to(Option.getOrElse(type, () => example.type))(example)
        return yield* Effect.forEach(made, apply)
      }).pipe(Effect.mapError((cause) => invalid(from, number, cause.message)))
    ),
    Stream.flattenIterable
  )
  const columns = Option.match(type, { onNone: () => [], onSome: (wanted) => Trl.columnsOf(wanted, false) })
  const written = yield* writeRows(to, Stream.map(examples, Trl.encode), { columns, force })
  const was = first === undefined ? null : form(first.type, first.conversational)
  return { read, was, written }
})

const form = (type: Trl.Type, conversational: boolean) => `${conversational ? "conversational " : ""}${type}`

const applied = (template: Option.Option<string>) =>
  Option.match(template, {
    onNone: () => Effect.succeed((example: Trl.Example) => Effect.succeed(example)),
    onSome: (folder) =>
      Effect.gen(function* () {
        const chat = yield* ChatTemplate.fromConfig(yield* Folder.tokenizerConfig(folder))
        return (example: Trl.Example): Effect.Effect<Trl.Example, ChatTemplate.ChatTemplateFailed> =>
          ChatTemplate.apply(chat, example)
      })
  })
