import { Arbitrary, Schema, Stream } from "effect"
import { Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { NonNegative } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"

const noisy = ({ completions, prompt }: ScoredGroup, deviation: number, rng: Rng.Rng): ScoredGroup => ({
  prompt,
  completions: completions.map((own, i) => ({ ...own, score: own.score + deviation * rng.normal(i) }))
})

const Case = Arbitrary.all([
  Arbitrary.array(Arbitrary.schema(Law.Real(-3, 3)), { minLength: 1, maxLength: 5 }),
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 })))
]).pipe(
  Arbitrary.map(([scores, seed]) => ({
    group: {
      prompt: { id: "p", text: "" },
      completions: scores.map((score, i) => ({ text: `${i}`, finish: "stop", score }))
    } satisfies ScoredGroup,
    rng: Rng.make(seed, "noise")
  }))
)
const scoresOf = ({ completions }: ScoredGroup) => completions.map(({ score }) => score)

const laws: ReadonlyArray<Law.Law> = [
  Law.make(
    "of deviation 0 changes nothing",
    Case,
    ({ group, rng }) => JSON.stringify(noisy(group, 0, rng)) === JSON.stringify(group)
  ),
  Law.make("grows with the deviation and does not see the score", Case, ({ group, rng }) => {
    const [one, two] = [noisy(group, 1, rng), noisy(group, 2, rng)].map(scoresOf)
    return scoresOf(group).every((score, i) => Math.abs(two![i]! - score - 2 * (one![i]! - score)) < 1e-9)
  }),
  Law.make("is another one for each answer", Case, ({ group, rng }) => {
    const errors = scoresOf(noisy(group, 1, rng)).map((score, i) => Math.round(1e9 * (score - scoresOf(group)[i]!)))
    return new Set(errors).size === errors.length
  })
]

/**
 * Scores by an unsteady hand: adds independent normal noise to each. The answer at place `i` of group `g` takes draw `i` of fork
 * `g` of the generator, whatever its score.
 */
export const noise = Stage.make({
  name: "score.noise",
  description: "Scores with independent normal noise",
  module: import.meta.url,
  params: { deviation: NonNegative },
  input: Scored,
  output: Scored,
  random: true,
  laws,
  run: ({ input, params, rng }) =>
    Stream.zipWithIndex(input.stream).pipe(
      Stream.map(([group, place]) => noisy(group, params.deviation, rng.fork(place)))
    )
})
