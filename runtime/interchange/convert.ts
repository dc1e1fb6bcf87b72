/**
 * From one of TRL's types to another, as its documentation defines the conversions, in both formats.
 *
 * **Source** huggingface/trl, docs/source/dataset_formats.md, "Utilities for converting dataset types".
 */
import { Effect, Schema } from "effect"
import { canonicalUnsafe as canonical } from "../../dsl/Json.ts"
import type * as Trl from "./Trl.ts"

/** There is no such conversion: what the wanted type holds is not in the record. */
export class ConversionMissing extends Schema.TaggedError<ConversionMissing>()("ConversionMissing", {
  from: Schema.String,
  to: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    const known = this.known.length === 0 ? "nothing else" : this.known.join(", ")
    return `${this.from} does not become ${this.to}; it becomes ${known}`
  }
}

/** `a` and then `b`. An empty list of turns beside a text adds nothing. */
export const joined = (a: Trl.Said, b: Trl.Said): Trl.Said =>
  typeof a === "string" || typeof b === "string" ? `${textOf(a)}${textOf(b)}` : [...a, ...b]

const textOf = (said: Trl.Said) => (typeof said === "string" ? said : "")

/**
 * Splits off what two answers begin with alike: whole turns of dialogues, characters (code points) of texts. A space
 * before the first difference goes to the answers.
 * **Details** The shared beginning of an answer that is the beginning of the other ends before its last character, or
 * turn, as `trl.extract_prompt` has it: no answer is then empty, unless one was from the start.
 */
export const extractPrompt = ({
  chosen,
  rejected,
  rest
}: Trl.Example<"preference-implicit">): Trl.Example<"preference"> => {
  if (typeof chosen === "string" && typeof rejected === "string") {
    const [a, b] = [[...chosen], [...rejected]]
    const at = divergence(a, b, (x, y) => x === y)
    const from = at > 0 && a[at] !== b[at] && a[at - 1] === " " ? at - 1 : at
    const cut = (characters: ReadonlyArray<string>) => characters.slice(from).join("")
    return { type: "preference", prompt: a.slice(0, from).join(""), chosen: cut(a), rejected: cut(b), rest }
  }
  const [a, b] = [chosen as Trl.Conversation, rejected as Trl.Conversation]
  const at = divergence(a, b, sameMessage)
  return { type: "preference", prompt: a.slice(0, at), chosen: a.slice(at), rejected: b.slice(at), rest }
}

/** Puts the prompt before both answers. */
export const implicitPrompt = ({
  chosen,
  prompt,
  rejected,
  rest
}: Trl.Example<"preference">): Trl.Example<"preference-implicit"> => ({
  type: "preference-implicit",
  chosen: joined(prompt, chosen) as Trl.Example<"preference-implicit">["chosen"],
  rejected: joined(prompt, rejected) as Trl.Example<"preference-implicit">["rejected"],
  rest
})

/** The chosen answer as a good one, then the rejected one as a bad one. */
export const unpair = ({
  chosen,
  prompt,
  rejected,
  rest
}: Trl.Example<"preference">): ReadonlyArray<Trl.Example<"unpaired-preference">> => {
  const asked = prompt as Trl.Example<"unpaired-preference">["prompt"]
  return [
    { type: "unpaired-preference", prompt: asked, completion: chosen, label: true, rest },
    { type: "unpaired-preference", prompt: asked, completion: rejected, label: false, rest }
  ]
}

type Step = (example: any) => ReadonlyArray<Trl.Example>
type Prompted = Exclude<Trl.Example, { readonly type: "language-modeling" | "preference-implicit" }>

const promptOnly = ({ prompt, rest }: Prompted): ReadonlyArray<Trl.Example> => [
  { type: "prompt-only", prompt, rest } as Trl.Example
]
const answered = (prompt: Trl.Said, completion: Trl.Said, rest: Trl.Example["rest"]) =>
  ({ type: "prompt-completion", prompt, completion, rest }) as Trl.Example<"prompt-completion">
const whole = ({ completion, prompt, rest }: Trl.Example<"prompt-completion">): ReadonlyArray<Trl.Example> => [
  { type: "language-modeling", text: joined(prompt, completion), rest } as Trl.Example
]
const explained = ({ completions, labels, prompt, rest }: Trl.Example<"stepwise-supervision">) => ({
  type: "unpaired-preference" as const,
  prompt,
  completion: completions.join(""),
  label: labels.every((label) => label),
  rest
})
const good = ({ completion, label, prompt, rest }: Trl.Example<"unpaired-preference">) =>
  label ? [answered(prompt, completion, rest)] : []
const best = ({ chosen, prompt, rest }: Trl.Example<"preference">) => answered(prompt, chosen, rest)

/** From each type to each that it becomes: none, one or two records for one. */
const table: Readonly<Record<Trl.Type, Partial<Readonly<Record<Trl.Type, Step>>>>> = {
  "language-modeling": {},
  "prompt-only": {},
  "prompt-completion": { "language-modeling": whole, "prompt-only": promptOnly },
  "preference-implicit": {
    "language-modeling": ({ chosen, rest }: Trl.Example<"preference-implicit">) => [
      { type: "language-modeling", text: chosen, rest }
    ],
    "prompt-completion": (example) => [best(extractPrompt(example))],
    "prompt-only": (example) => promptOnly(extractPrompt(example)),
    preference: (example) => [extractPrompt(example)],
    "unpaired-preference": (example) => unpair(extractPrompt(example))
  },
  preference: {
    "language-modeling": (example) => whole(best(example)),
    "prompt-completion": (example) => [best(example)],
    "prompt-only": promptOnly,
    "preference-implicit": (example) => [implicitPrompt(example)],
    "unpaired-preference": unpair
  },
  "unpaired-preference": {
    "language-modeling": (example) => good(example).flatMap(whole),
    "prompt-completion": good,
    "prompt-only": promptOnly
  },
  "stepwise-supervision": {
    "language-modeling": (example) => good(explained(example)).flatMap(whole),
    "prompt-completion": (example) => good(explained(example)),
    "prompt-only": promptOnly,
    "unpaired-preference": (example) => [explained(example)]
  }
}

/** The types that records of a type become, besides their own. */
export const targets = (from: Trl.Type): ReadonlyArray<Trl.Type> => Object.keys(table[from]) as ReadonlyArray<Trl.Type>

/** The record as records of another type: good answers only where the type cannot tell that one is bad. */
export const to =
  <T extends Trl.Type>(type: T) =>
  (example: Trl.Example): Effect.Effect<ReadonlyArray<Trl.Example<T>>, ConversionMissing> => {
    if (example.type === type) return Effect.succeed([example as Trl.Example<T>])
    const step = table[example.type][type]
    return step === undefined
      ? Effect.fail(new ConversionMissing({ from: example.type, to: type, known: targets(example.type) }))
      : Effect.sync(() => step(example) as ReadonlyArray<Trl.Example<T>>)
  }

/** Where two sequences differ first; the last index of the shorter where they do not. */
const divergence = <A>(a: ReadonlyArray<A>, b: ReadonlyArray<A>, same: (x: A, y: A) => boolean): number => {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) if (!same(a[i]!, b[i]!)) return i
  return Math.max(0, shorter - 1)
}

const sameMessage = (a: Trl.Message, b: Trl.Message) => canonical(a) === canonical(b)
