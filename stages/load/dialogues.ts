import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { RecordInvalid } from "./File.ts"
import { fileSource, pathField, records } from "./jsonl.ts"

const Dialogues = Schema.Struct({ chosen: Schema.NonEmptyString, rejected: Schema.NonEmptyString })

/** The mark that every answer stands behind; what follows the last one is compared. */
const MARK = "\n\nAssistant:"

/** Why two dialogues are no preference between answers to one prompt, or the pair that they are. */
const paired = ({ chosen, rejected }: typeof Dialogues.Type, line: number): Pair | string => {
  const [won, lost] = [chosen, rejected].map((dialogue) => dialogue.lastIndexOf(MARK)) as [number, number]
  if (won < 0 || lost < 0) return `has a dialogue without ${JSON.stringify(MARK)}`
  const [prompt, other] = [chosen.slice(0, won + MARK.length), rejected.slice(0, lost + MARK.length)]
  if (prompt !== other) return "has two dialogues that differ before their last answers"
  if (chosen === rejected) return "has two equal dialogues"
  return {
    id: `line-${line}`,
    prompt: { id: `line-${line}`, text: prompt },
    chosen: { text: chosen.slice(prompt.length), finish: "stop" },
    rejected: { text: rejected.slice(prompt.length), finish: "stop" },
    margin: 0
  }
}

const Turn = Arbitrary.schema(Schema.Literals(["", " yes", " no", "\n\nHuman: why?", " so\n", " Assistant:"]))
const Said = Arbitrary.all([
  Arbitrary.array(Turn, { maxLength: 3 }),
  Arbitrary.array(Turn, { maxLength: 2 }),
  Turn,
  Turn
])
const dialogue = (turns: ReadonlyArray<string>, answer: string) =>
  ["\n\nHuman: hi", ...turns].join(MARK) + MARK + answer

const laws: ReadonlyArray<Law.Law> = [
  Law.make("splits behind the last mark of the assistant and loses nothing", Said, ([turns, , won, lost]) => {
    const [chosen, rejected] = [dialogue(turns, won), dialogue(turns, lost)]
    const made = paired({ chosen, rejected }, 1)
    if (typeof made === "string") return won === lost
    return (
      made.prompt.text + made.chosen.text === chosen &&
      made.prompt.text + made.rejected.text === rejected &&
      made.chosen.text === won &&
      made.rejected.text === lost
    )
  }),
  Law.make("takes no dialogues that differ before their last answers", Said, ([turns, others, won, lost]) => {
    const made = paired({ chosen: dialogue(turns, won), rejected: dialogue(others, lost) }, 1)
    return turns.join(MARK) === others.join(MARK) || typeof made === "string"
  }),
  Law.make("turned round, the same pair is turned round", Said, ([turns, , won, lost]) => {
    const [chosen, rejected] = [dialogue(turns, won), dialogue(turns, lost)]
    const [made, turned] = [paired({ chosen, rejected }, 1), paired({ chosen: rejected, rejected: chosen }, 1)]
    if (typeof made === "string" || typeof turned === "string") return made === turned
    const expected: Pair = { ...made, chosen: made.rejected, rejected: made.chosen }
    return JSON.stringify(turned) === JSON.stringify(expected)
  })
]

/**
 * Loads people's preferences between two dialogues from a file of JSON lines `{"chosen", "rejected"}`, each a whole
 * dialogue of turns that begin with two line feeds and `Human:` or `Assistant:`.
 * **Details** The prompt is all up to the last `Assistant:`, the answers what follows it. How much better the chosen
 * one is was not told, so margins are 0. A line whose dialogues differ before, or not at all, is no such preference: it
 * fails with `RecordInvalid`, or is left out with `unpaired: "drop"`.
 * **Source** Bai et al. 2022, arXiv 2204.05862 (hh-rlhf), MIT.
 */
export const dialogues = Stage.make({
  name: "load.dialogues",
  description: "People's preferences between dialogues from a file of JSON lines",
  module: import.meta.url,
  params: {
    ...pathField,
    unpaired: Schema.Literals(["fail", "drop"]).pipe(withDefault("fail")),
    limit: Schema.optionalKey(Count)
  },
  output: Pairs,
  source: fileSource,
  laws,
  run: ({ params: { limit, path, unpaired } }) =>
    records(path, Dialogues, { excess: "error" }).pipe(
      Stream.mapEffect(([record, line]) => {
        const made = paired(record, line)
        if (typeof made !== "string") return Effect.succeed([made])
        return unpaired === "drop"
          ? Effect.succeed([])
          : Effect.fail(new RecordInvalid({ file: path, line, problem: made }))
      }),
      Stream.flattenIterable,
      Stream.take(limit ?? Number.POSITIVE_INFINITY)
    )
})
