/**
 * The kind of component that says how good an answer is. A simple one is a function of one answer (`each`); one that
 * asks a model or a network scores a batch at once, may fail and says whether a retry can help.
 */
import { Arbitrary, Effect, Schema } from "effect"
import * as Component from "../../dsl/Component.ts"
import * as Law from "../../dsl/Law.ts"

/** One answer in its context. The answer brings its own leading space where it has one. */
export interface Answer {
  readonly prompt: string
  readonly completion: string
}

export interface Reward {
  /** One score for each answer, in order; higher is better. Equal answers get equal scores, whatever stands beside them. */
  readonly score: (answers: ReadonlyArray<Answer>) => Effect.Effect<ReadonlyArray<number>, RewardFailed>
}

/** A reward could not score. `retryable` where asking again may work (a network, a busy server). */
export class RewardFailed extends Schema.TaggedError<RewardFailed>()("RewardFailed", {
  reward: Schema.String,
  problem: Schema.String,
  retryable: Schema.Boolean
}) {
  override get message() {
    return `the reward ${this.reward} ${this.problem}`
  }
}

/** A reward that is a pure function of one answer. */
export const each = (score: (answer: Answer) => number): Reward => ({
  score: (answers) => Effect.sync(() => answers.map(score))
})

/**
 * The parameter that says what a reward reads: `completion` alone, or `whole`, the prompt and the completion as one text.
 * It belongs to the reward, not to the stage that scores, so that training and evaluation cannot read different texts.
 */
export const scopeField = (fallback: "completion" | "whole") =>
  Schema.Literals(["completion", "whole"]).pipe(
    Schema.withConstructorDefault(Effect.succeed(fallback)),
    Schema.withDecodingDefaultTypeKey(Effect.succeed(fallback))
  )

/** The text that a scope selects. */
export const scoped =
  (scope: "completion" | "whole") =>
  ({ completion, prompt }: Answer): string =>
    scope === "whole" ? prompt + completion : completion

const WORDS = ["the", " food", " was", " not", " good", " GREAT!", " awful", " very", "", " ", "\n", " 7", " good good"]
const Phrase = Arbitrary.array(Arbitrary.schema(Schema.Literals(WORDS)), { maxLength: 8 }).pipe(
  Arbitrary.map((words) => words.join(""))
)
const AnyText = Arbitrary.schema(Schema.String)
const Answers = Arbitrary.array(
  Arbitrary.all([Phrase, Phrase, AnyText]).pipe(
    Arbitrary.map(([prompt, completion, odd]): Answer => ({ prompt, completion: completion + odd }))
  ),
  { maxLength: 6 }
)

/** What every reward obeys. */
const laws = (reward: Component.Component<"reward", Reward>): ReadonlyArray<Law.Law> => {
  const { score } = reward.implementation
  return [
    Law.make("scores every answer with a finite number", Answers, (answers) =>
      Effect.map(score(answers), (scores) => scores.length === answers.length && scores.every(Number.isFinite))
    ),
    Law.make("scores the same answers the same way again", Answers, (answers) =>
      Effect.map(Effect.all([score(answers), score(answers)]), ([first, again]) => same(first, again))
    ),
    Law.make("scores a batch as it scores its answers one by one", Answers, (answers) =>
      Effect.map(
        Effect.all([score(answers), Effect.forEach(answers, (answer) => score([answer]))]),
        ([batch, singly]) => same(batch, singly.flat())
      )
    )
  ]
}

const same = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) =>
  a.length === b.length && a.every((score, i) => Object.is(score, b[i]))

/**
 * The kind of component that `score` and `evaluate` take.
 *
 * @example
 * ```ts
 * import { Pipeline } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 * import { Reward, sample, score } from "prefline/stages"
 *
 * const calm = Reward.Reward.define("calm", {
 *   module: import.meta.url,
 *   description: "Minus the number of exclamation marks",
 *   params: {},
 *   make: () => Reward.each(({ completion }) => -completion.split("!").length)
 * })
 *
 * export default Pipeline.make("exclaimed", { description: "An example", params: {} }, () => {
 *   const reference = Text.policy({ steps: 300 })
 *   const prompts = Text.prompts({ split: "train", limit: 100 })
 *   return { scored: prompts.pipe(sample({ policy: reference, perPrompt: 4 }), score({ reward: calm() })) }
 * })
 * ```
 */
export const Reward = Component.kind<Reward>()("reward", { laws })
