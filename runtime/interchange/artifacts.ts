/** TRL's records as what stages exchange, and back. Records are plain here: a chat template is applied before. */
import { Effect, Schema, Stream } from "effect"
import type {
  Completion,
  CompletionGroup,
  Pair,
  Prompt,
  ScoredCompletion,
  ScoredGroup,
  Text
} from "../../dsl/artifacts.ts"
import type * as Trl from "./Trl.ts"
import { RowInvalid } from "./Trl.ts"

/** A record and the number of its row, counted from 1, which names it. */
export type Numbered<T extends Trl.Type> = readonly [example: Trl.Example<T>, row: number]

const nameOf = (row: number) => `line-${row}`
const plain = (said: Trl.Said, column: string): string => {
  if (typeof said === "string") return said
  const problem = `${column} is a list of messages: name the checkpoint whose chat template makes a text of it, as \`chat\``
  throw new RowInvalid({ problem })
}
const answer = (said: Trl.Said, column: string): Completion => ({ text: plain(said, column), finish: "stop" })

const Margin = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const decodeMargin = Schema.decodeUnknownSync(Schema.NullOr(Margin))

export const toText = ([{ text }, row]: Numbered<"language-modeling">): Text => {
  if (plain(text, "messages") === "") throw new RowInvalid({ problem: "text is empty" })
  return { id: nameOf(row), text: plain(text, "messages") }
}

export const toPrompt = ([{ prompt }, row]: Numbered<"prompt-only">): Prompt => ({
  id: nameOf(row),
  text: plain(prompt, "prompt")
})

/** `margin` is read as TRL's reward trainer reads it; it is 0 where there is none. */
export const toPair = ([{ chosen, prompt, rejected, rest }, row]: Numbered<"preference">): Pair => ({
  id: nameOf(row),
  prompt: { id: nameOf(row), text: plain(prompt, "prompt") },
  chosen: answer(chosen, "chosen"),
  rejected: answer(rejected, "rejected"),
  margin: marginOf(rest["margin"])
})

const marginOf = (given: unknown): number => {
  try {
    return decodeMargin(given ?? null) ?? 0
  } catch (cause) {
    throw new RowInvalid({ problem: `margin: ${(cause as Error).message}` })
  }
}

export const toAnswer = ([{ completion, prompt }, row]: Numbered<"prompt-completion">): Part<Completion> => ({
  prompt: { id: nameOf(row), text: plain(prompt, "prompt") },
  completion: answer(completion, "completion")
})

/** A good answer has the score 1, a bad one 0. */
export const toRated = ([
  { completion, label, prompt },
  row
]: Numbered<"unpaired-preference">): Part<ScoredCompletion> => ({
  prompt: { id: nameOf(row), text: plain(prompt, "prompt") },
  completion: { ...answer(completion, "completion"), score: label ? 1 : 0 }
})

/** Every step as an answer to the prompt and the steps before it: 1 where its label is true, 0 where it is false. */
export const toSteps = ([
  { completions, labels, prompt },
  row
]: Numbered<"stepwise-supervision">): ReadonlyArray<ScoredGroup> =>
  completions.map((step, i) => ({
    prompt: { id: `${nameOf(row)}.${i + 1}`, text: prompt + completions.slice(0, i).join("") },
    completions: [{ text: step, finish: "stop", score: labels[i] ? 1 : 0 }]
  }))

/** One answer and what it answers. */
export interface Part<C> {
  readonly prompt: Prompt
  readonly completion: C
}

/** Neighbours with the same prompt are answers to it, under the first one's name. Only one group is held. */
export const grouped = <C, E, R>(
  parts: Stream.Stream<Part<C>, E, R>
): Stream.Stream<{ readonly prompt: Prompt; readonly completions: ReadonlyArray<C> }, E, R> =>
  parts.pipe(
    Stream.groupAdjacentBy(({ prompt }) => prompt.text),
    Stream.map(([, group]) => ({
      prompt: group[0].prompt,
      completions: group.map(({ completion }) => completion)
    }))
  )

/** What an artifact becomes as records of TRL: its type, and its records one by one. */
export interface Exporter {
  readonly type: Trl.Type
  readonly examples: (record: never) => ReadonlyArray<Trl.Example>
}

/** Scores are not labels: which of them count as good has to be told. */
export class ThresholdMissing extends Schema.TaggedError<ThresholdMissing>()("ThresholdMissing", {
  score: Schema.Finite
}) {
  override get message() {
    return `a score of ${this.score} is no label: --threshold tells above which score an answer counts as good`
  }
}

/** By the name of the artifact. `threshold`: answers with a score above it are good; unless told, 1 is good and 0 bad. */
export const exporters = (threshold?: number): Readonly<Record<string, Exporter>> => ({
  texts: {
    type: "language-modeling",
    examples: ({ text }: Text) => [{ type: "language-modeling", text, rest: {} }]
  },
  prompts: {
    type: "prompt-only",
    examples: ({ text }: Prompt) => [{ type: "prompt-only", prompt: text, rest: {} }]
  },
  completions: {
    type: "prompt-completion",
    examples: ({ completions, prompt }: CompletionGroup) =>
      completions.map(({ text }) => ({ type: "prompt-completion", prompt: prompt.text, completion: text, rest: {} }))
  },
  pairs: {
    type: "preference",
    examples: ({ chosen, margin, prompt, rejected }: Pair) => [
      { type: "preference", prompt: prompt.text, chosen: chosen.text, rejected: rejected.text, rest: { margin } }
    ]
  },
  scored: {
    type: "unpaired-preference",
    examples: ({ completions, prompt }: ScoredGroup) =>
      completions.map(({ score, text }) => ({
        type: "unpaired-preference",
        prompt: prompt.text,
        completion: text,
        label: labelOf(score, threshold),
        rest: {}
      }))
  }
})

const labelOf = (score: number, threshold: number | undefined): boolean => {
  if (threshold !== undefined) return score > threshold
  if (score === 0 || score === 1) return score === 1
  throw new ThresholdMissing({ score })
}

/** Runs a conversion that throws `RowInvalid`, the fault of the row. */
export const attempt = <A>(make: () => A): Effect.Effect<A, RowInvalid> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(make())
    } catch (cause) {
      if (cause instanceof RowInvalid) return Effect.fail(cause)
      throw cause
    }
  })
