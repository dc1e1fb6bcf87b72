/** Inputs on which the laws of the stages in this folder are tried. */
import { Arbitrary, Schema } from "effect"
import type { Completion, Pair, ScoredGroup } from "../../dsl/artifacts.ts"

const small = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** The generator's own seed, for laws of random stages. */
export const Seed = small(0, 10_000)

/** Prompts of zero to `most` answers each, whose texts tell the prompt and the place; scores often tie. */
export const Groups = (most = 6) =>
  Arbitrary.array(Arbitrary.array(small(-3, 3), { maxLength: most }), { minLength: 1, maxLength: 4 }).pipe(
    Arbitrary.map((groups) =>
      groups.map(
        (scores, g): ScoredGroup => ({
          prompt: { id: `p${g}`, text: `prompt ${g}` },
          completions: scores.map((score, i) => ({ text: ` ${g}.${i}`, tokens: [g, i], finish: "stop", score }))
        })
      )
    )
  )

const WORDS = ["the", " food", " was", " not", " GOOD", " very", ",", ".", " bad", "  service", " food", ""]
const Answer = Arbitrary.all([
  Arbitrary.array(Arbitrary.schema(Schema.Literals(WORDS)), { maxLength: 7 }),
  small(0, 1)
]).pipe(Arbitrary.map(([words, cut]): Completion => ({ text: words.join(""), finish: cut === 1 ? "length" : "stop" })))

/** One to five pairs to a few prompts, some with further answers and numbers already. */
export const SomePairs = Arbitrary.array(Arbitrary.all([small(0, 2), Answer, Answer, small(0, 4), small(0, 2)]), {
  minLength: 1,
  maxLength: 5
}).pipe(
  Arbitrary.map((made) =>
    made.map(
      ([p, chosen, rejected, margin, more], i): Pair => ({
        id: `pair${i}`,
        prompt: { id: `p${p}`, text: `prompt ${p}` },
        chosen,
        rejected,
        margin: margin / 2,
        ...(more > 0 && { numbers: { weight: margin } }),
        ...(more > 1 && { others: { gold: { completion: chosen } } })
      })
    )
  )
)
