/**
 * The kind of component that compares two answers to one prompt. Unlike a reward it need not order them: a may beat b,
 * b beat c and c beat a.
 */
import { Arbitrary, Effect, Schema } from "effect"
import * as Component from "../../dsl/Component.ts"
import * as Law from "../../dsl/Law.ts"
import type { RewardFailed } from "./Reward.ts"

/** Two answers to one prompt. */
export interface Duel {
  readonly prompt: string
  readonly first: string
  readonly second: string
}

/** Something that prefers one of two answers to a prompt. */
export interface Judge {
  /**
   * For each duel, in order, the probability in [0, 1] that the first answer is preferred. Swapping the answers gives
   * what is missing to 1, an answer against itself 1/2; other duels beside it change nothing.
   */
  readonly prefers: (duels: ReadonlyArray<Duel>) => Effect.Effect<ReadonlyArray<number>, RewardFailed>
}

const WORDS = [" the", " food", " was", " not", " good", " awful", " very very", "", " GREAT!", "\n"]
const Phrase = Arbitrary.array(Arbitrary.schema(Schema.Literals(WORDS)), { maxLength: 7 }).pipe(
  Arbitrary.map((words) => words.join(""))
)
const Duels = Arbitrary.array(
  Arbitrary.all([Phrase, Phrase, Phrase]).pipe(
    Arbitrary.map(([prompt, first, second]): Duel => ({ prompt, first, second }))
  ),
  { maxLength: 5 }
)

/** What every judge obeys. */
const laws = ({ implementation: { prefers } }: Component.Component<"judge", Judge>): ReadonlyArray<Law.Law> => [
  Law.make("gives every duel a probability", Duels, (duels) =>
    Effect.map(prefers(duels), (p) => p.length === duels.length && p.every((own) => own >= 0 && own <= 1))
  ),
  Law.make("is antisymmetric: P(a > b) + P(b > a) = 1", Duels, (duels) =>
    Effect.map(
      Effect.all([
        prefers(duels),
        prefers(duels.map(({ first, prompt, second }) => ({ prompt, first: second, second: first })))
      ]),
      ([forth, back]) => forth.every((own, i) => Math.abs(own + back[i]! - 1) <= 1e-12)
    )
  ),
  Law.make("prefers no answer to itself", Duels, (duels) =>
    Effect.map(prefers(duels.map((duel) => ({ ...duel, second: duel.first }))), (p) => p.every((own) => own === 0.5))
  ),
  Law.make("judges a batch as it judges its duels one by one", Duels, (duels) =>
    Effect.map(
      Effect.all([prefers(duels), Effect.forEach(duels, (duel) => prefers([duel]))]),
      ([batch, singly]) => String(batch) === String(singly.flat())
    )
  )
]

export const Judge = Component.kind<Judge>()("judge", { laws })
