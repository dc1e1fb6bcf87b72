/** Generated records of TRL's types, in both formats, with what files get wrong: unicode, line ends, nothing, much. */
import { Arbitrary, Schema } from "effect"
import type * as Trl from "../../runtime/interchange/Trl.ts"

export const one = <const A>(...values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.schema(Schema.Literals(values.map((_, i) => i))).pipe(Arbitrary.map((i) => values[i]!))

const Fragment = one(
  "",
  " ",
  "a",
  "the sky",
  "é",
  "e\u0301",
  "🙂",
  "👩‍👩‍👧",
  "\n",
  "\r\n",
  "\u2028",
  "\u0000",
  "\uFEFF",
  '"\\',
  "null",
  "日本語",
  "long ".repeat(20_000)
)

export const Text = Arbitrary.array(Fragment, { maxLength: 4 }).pipe(Arbitrary.map((parts) => parts.join("")))

const Content = Arbitrary.all([Text, one(0, 1, 2, 3)]).pipe(
  Arbitrary.map(([text, kind]) =>
    kind === 0
      ? null
      : kind === 1
        ? [
            { type: "text", text },
            { type: "image", size: [1, 2.5] }
          ]
        : text
  )
)

export const Message: Arbitrary.Arbitrary<Trl.Message> = Arbitrary.all([
  one("user", "assistant", "system", "tool"),
  Content,
  one<object>(
    {},
    {},
    { name: "f" },
    { tool_calls: [{ type: "function", function: { name: "f", arguments: { x: null } } }] }
  )
]).pipe(Arbitrary.map(([role, content, more]) => ({ role, content, ...more }) as Trl.Message))

const Turns = Arbitrary.array(Message, { minLength: 1, maxLength: 3 })
const Said = (conversational: boolean): Arbitrary.Arbitrary<Trl.Said> => (conversational ? Turns : Text)

const Rest = one<object>(
  {},
  {},
  { score: 0.5 },
  { margin: 2, source: "x" },
  { tags: ["a", ""], deep: { a: [null, 1] } }
)
const Labelled = Arbitrary.array(Arbitrary.all([Text, Arbitrary.schema(Schema.Boolean)]), { maxLength: 4 })

/** Records of a type and format. */
export const Example = (type: Trl.Type, conversational: boolean): Arbitrary.Arbitrary<Trl.Example> => {
  const said = Said(conversational)
  return Arbitrary.all([said, said, said, Labelled, Arbitrary.schema(Schema.Boolean), Rest]).pipe(
    Arbitrary.map(([a, b, c, labelled, label, rest]) => {
      const columns = {
        "language-modeling": { text: a },
        "prompt-only": { prompt: a },
        "prompt-completion": { prompt: a, completion: b },
        preference: { prompt: a, chosen: b, rejected: c },
        "preference-implicit": { chosen: b, rejected: c },
        "unpaired-preference": { prompt: a, completion: b, label },
        "stepwise-supervision": {
          prompt: a,
          completions: labelled.map(([step]) => step),
          labels: labelled.map(([, good]) => good)
        }
      }[type]
      return { type, ...columns, rest } as unknown as Trl.Example
    })
  )
}

/** All types in all formats that they have. */
export const forms: ReadonlyArray<readonly [type: Trl.Type, conversational: boolean]> = [
  ["language-modeling", false],
  ["language-modeling", true],
  ["prompt-only", false],
  ["prompt-only", true],
  ["prompt-completion", false],
  ["prompt-completion", true],
  ["preference", false],
  ["preference", true],
  ["preference-implicit", false],
  ["preference-implicit", true],
  ["unpaired-preference", false],
  ["unpaired-preference", true],
  ["stepwise-supervision", false]
]
