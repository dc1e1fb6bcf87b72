/**
 * The kind of component that chooses which answers to one prompt are compared. A rule only points at answers of the
 * prompt that it is shown, so it cannot pair answers to different prompts.
 */
import { Arbitrary, Schema } from "effect"
import type { ScoredCompletion } from "../../dsl/artifacts.ts"
import * as Component from "../../dsl/Component.ts"
import * as Law from "../../dsl/Law.ts"

/** Two answers of one prompt by their places, from 0; the chosen one scores strictly higher. */
export type Preference = readonly [chosen: number, rejected: number]

export interface PairRule {
  readonly pairs: (completions: ReadonlyArray<ScoredCompletion>) => ReadonlyArray<Preference>
}

/** The places of the answers from best to worst, ties in sampled order. */
export const ranked = (completions: ReadonlyArray<ScoredCompletion>): ReadonlyArray<number> =>
  completions.map((_, i) => i).sort((a, b) => completions[b]!.score - completions[a]!.score)

/** Scores are multiples of 1/8, so that their differences and shifts are exact. */
const eighths = (scores: ReadonlyArray<number>) =>
  scores.map((score, i): ScoredCompletion => ({ text: `answer ${i}`, finish: "stop", score: score / 8 }))
const Eighth = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -12, maximum: 12 })))
const Tied = Arbitrary.array(Eighth, { maxLength: 7 }).pipe(Arbitrary.map(eighths))
const Untied = Arbitrary.map(Arbitrary.array(Eighth, { maxLength: 7 }), (scores) => eighths([...new Set(scores)]))

/** What every pair rule obeys. */
const laws = ({ implementation: rule }: Component.Component<"pair", PairRule>): ReadonlyArray<Law.Law> => [
  Law.make("prefers answers of the prompt with the strictly higher score, no pair twice", Tied, (completions) => {
    const pairs = rule.pairs(completions)
    return (
      new Set(pairs.map(String)).size === pairs.length &&
      pairs.every(([chosen, rejected]) => {
        const [better, worse] = [completions[chosen], completions[rejected]]
        return better !== undefined && worse !== undefined && better.score > worse.score
      })
    )
  }),
  Law.make("sees only differences of scores", Arbitrary.all([Tied, Eighth]), ([completions, shift]) => {
    const shifted = completions.map((completion) => ({ ...completion, score: completion.score + shift }))
    return String(rule.pairs(completions)) === String(rule.pairs(shifted))
  }),
  Law.make("does not depend on the order of answers without ties", Arbitrary.all([Untied, Eighth]), ([given, turn]) => {
    const texts = (completions: ReadonlyArray<ScoredCompletion>) =>
      String(
        rule
          .pairs(completions)
          .map(([c, r]) => `${completions[c]!.text} > ${completions[r]!.text}`)
          .sort()
      )
    const [at, reversed] = [Math.abs(turn) % (given.length + 1), given.toReversed()]
    return texts(given) === texts(reversed) && texts(given) === texts([...given.slice(at), ...given.slice(0, at)])
  })
]

export const PairRule = Component.kind<PairRule>()("pair", { laws })
