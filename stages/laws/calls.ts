/** Parts that calls of stages are put together from: records with repeated texts and tied scores, where rules differ. */
import { Arbitrary, Effect, Schema } from "effect"
import type { Completion, Pair, PairLogProbs, ScoredCompletion } from "../../dsl/artifacts.ts"
import * as Contract from "../../dsl/Contract.ts"
import type { ExactPolicy, World } from "../../dsl/exactArtifacts.ts"
import type * as Stage from "../../dsl/Stage.ts"
import * as Tokenizer from "../../runtime/models/Tokenizer.ts"
import { Bandits } from "../exact/generated.ts"
import { completionOf, promptOf } from "../exact/rows.ts"
import * as Tiny from "./tiny.ts"

export type Given = Arbitrary.Arbitrary<Stage.Given>

export const one = <A>(...values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.schema(Schema.Literals(values.map((_, i) => i))).pipe(Arbitrary.map((i) => values[i]!))

export const count = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

export const some = <A>(item: Arbitrary.Arbitrary<A>, maxLength = 5) => Arbitrary.array(item, { maxLength })

export const call = (parts: {
  readonly params?: Arbitrary.Arbitrary<object>
  readonly input?: Arbitrary.Arbitrary<unknown>
  readonly inputs?: Readonly<Record<string, unknown>>
}): Given =>
  Arbitrary.all([parts.params ?? one({}), parts.input ?? one(undefined)]).pipe(
    Arbitrary.map(([params, input]) => ({
      params,
      ...(input === undefined ? {} : { input }),
      ...(parts.inputs ? { inputs: parts.inputs } : {})
    }))
  )

const phrase = one("", " good", " bad food", "not so good", "the the the", "ünïcödé 🙂", "line\nbreak")
const numbered = <A extends object>(items: ReadonlyArray<A>) => items.map((item, i) => ({ id: `r${i}`, ...item }))

export const texts = some(Arbitrary.map(phrase, (text) => ({ text: `a${text}` }))).pipe(Arbitrary.map(numbered))
export const prompts = some(
  Arbitrary.map(phrase, (text) => ({ text })),
  3
).pipe(Arbitrary.map(numbered))

/** For stages that refuse an empty input: the first tries of a generator are often empty. */
export const someTexts = Arbitrary.map(texts, (all) => (all.length > 0 ? all : Tiny.texts.slice(0, 2)))
export const somePrompts = Arbitrary.map(prompts, (all) => (all.length > 0 ? all : Tiny.prompts.slice(0, 2)))

export const completion = Arbitrary.all([phrase, one("stop" as const, "length" as const)]).pipe(
  Arbitrary.map(([text, finish]): Completion => ({ text, finish }))
)
export const groups = <A>(item: Arbitrary.Arbitrary<A>) =>
  some(Arbitrary.map(some(item), (completions) => ({ completions }))).pipe(
    Arbitrary.map((all) => all.map((group, i) => ({ prompt: { id: `p${i}`, text: "the food" }, ...group })))
  )
/** Scores are multiples of a half, so that their shifts and differences are exact. */
export const scored = groups(
  Arbitrary.all([completion, one(-1, 0, 0.5, 2)]).pipe(
    Arbitrary.map(([own, score]): ScoredCompletion => ({ ...own, score }))
  )
)

/** Far from uniform. */
export const policy = Tiny.tinyPolicy(1, 10)
export const otherPolicy = Tiny.tinyPolicy(2, 10)
export const tokenizer = Effect.runSync(Tokenizer.fromJson(policy.tokenizer))
export const pairs = Arbitrary.map(count(1, Tiny.pairs.length), (n) => Tiny.pairs.slice(0, n))
export const answered = Tiny.prompts.map((prompt) => ({ prompt, completions: [{ text: " so so", finish: "stop" }] }))

/** Made-up log-probabilities of pairs under a frozen model, one for each token. */
export const annotated = (records: ReadonlyArray<Pair>): ReadonlyArray<PairLogProbs> => {
  const logProbs = ({ finish, text }: Completion, from: number) =>
    Array.from({ length: tokenizer.encode(text).length + (finish === "stop" ? 1 : 0) }, (_, i) => -1 - ((from + i) % 3))
  return records.map(({ chosen, id, rejected }, i) => ({
    pair: id,
    chosen: logProbs(chosen, i),
    rejected: logProbs(rejected, i + 1)
  }))
}

export const called = (
  make: (given: { readonly world: World; readonly policy: ExactPolicy; readonly other: ExactPolicy }) => Stage.Given
): Given => Arbitrary.map(Bandits, make)

export const answer = (response: number): Completion => completionOf({ context: 0, tokens: [response], finish: "stop" })
/** The first two responses of the first context of a bandit. */
export const responses: ReadonlyArray<Pair> = [
  { id: "a", prompt: promptOf(0), chosen: answer(0), rejected: answer(1), margin: 1 },
  { id: "b", prompt: promptOf(0), chosen: answer(1), rejected: answer(0), margin: 0, numbers: { weight: 0.5 } }
]

/** A contract that says how a stage is called and no more: its laws stand in the stage. */
export const contractOf = (constructor: { readonly stage: Stage.Any }, given: Given): Contract.Contract =>
  Contract.of(constructor, { given })
