import { Effect, Option, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Folder from "../../../stages/load/checkpoint.ts"
import { invalid, rows } from "../../../stages/load/rows.ts"
import * as ChatTemplate from "../../interchange/ChatTemplate.ts"
import * as Convert from "../../interchange/convert.ts"
import * as Trl from "../../interchange/Trl.ts"
import { writeRows } from "../../interchange/writeRows.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { print, printJson } from "../Output.ts"

export const convert = Command.make(
  "convert",
  {
    from: Argument.String("in").pipe(
      Argument.withDescription(
        "A file of records of TRL: .jsonl, .jsonl.gz, .parquet, or hf://datasets/owner/name/file"
      )
    ),
    to: Argument.String("out").pipe(Argument.withDescription("Where they go: .jsonl or .parquet")),
    type: Flag.Literals("to", Trl.Type.literals).pipe(
      Flag.withDescription("The type that they become; theirs unless told"),
      Flag.optional
    ),
    template: Flag.String("template").pipe(
      Flag.withMetavar("<folder>"),
      Flag.withDescription("A checkpoint folder whose chat template makes texts of conversations"),
      Flag.optional
    ),
    limit: Flag.Int("limit").pipe(Flag.withDescription("How many records are read at most"), Flag.optional),
    force: Flags.force,
    json: Flags.json
  },
  Effect.fn("cli.convert")(function* ({ force, from, json, limit, template, to, type }) {
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
    if (json) return yield* printJson({ from, to, was, type: Option.getOrNull(type), read, written })
    const became = Option.match(type, { onNone: () => "", onSome: (wanted) => ` as ${wanted}` })
    yield* print(
      `${to}: ${Format.count(written, "record")}${became}, from ${Format.count(read, "record")} of ${was ?? "no type"}`
    )
  })
).pipe(
  Command.withDescription("Turns files of TRL's types into one another, and JSON lines into Parquet and back"),
  Command.withExamples([
    { command: "npm run prefline -- convert pairs.jsonl pairs.parquet", description: "Another form, the same records" },
    {
      command: "npm run prefline -- convert pairs.parquet unpaired.jsonl --to unpaired-preference",
      description: "Another type"
    },
    {
      command: "npm run prefline -- convert chats.jsonl texts.jsonl --template ./model",
      description: "Conversations as the texts that a model was trained on"
    }
  ])
)

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
