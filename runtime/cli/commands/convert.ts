import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Trl from "../../interchange/Trl.ts"
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
    // What reads the files is loaded when it is wanted: other commands start without it.
    const { convertFile } = yield* Effect.promise(() => import("../convertFile.ts"))
    const { read, was, written } = yield* convertFile({ from, to, type, template, limit, force })
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
