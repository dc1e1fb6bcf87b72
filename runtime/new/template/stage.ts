/** A stage of your own: a contract, one function, and laws that `prefline check` holds it to. */
import { Arbitrary, Stream } from "effect"
import { artifacts, Law, Positive, Stage, withDefault } from "prefline/dsl"

const clip = (score: number, bound: number): number => Math.max(-bound, Math.min(bound, score))

const Score = Arbitrary.schema(Law.Real(-10, 10))
const Bound = Arbitrary.schema(Law.Real(0.1, 5))

/** Scored answers whose scores are moved into [-bound, bound], so that no single one outweighs the others. */
export const clipScores = Stage.make({
  name: "clipScores",
  description: "Scores moved into [-bound, bound]",
  module: import.meta.url,
  params: { bound: Positive.pipe(withDefault(1)) },
  input: artifacts.Scored,
  output: artifacts.Scored,
  laws: [
    Law.make("leaves no score outside the bounds", Arbitrary.all([Score, Bound]), ([score, bound]) => {
      return Math.abs(clip(score, bound)) <= bound
    }),
    Law.make("changes nothing the second time", Arbitrary.all([Score, Bound]), ([score, bound]) => {
      return clip(clip(score, bound), bound) === clip(score, bound)
    }),
    Law.make("never turns an order around", Arbitrary.all([Score, Score, Bound]), ([a, b, bound]) => {
      return a <= b ? clip(a, bound) <= clip(b, bound) : clip(a, bound) >= clip(b, bound)
    })
  ],
  run: ({ input, params }) =>
    input.stream.pipe(
      Stream.map(({ completions, prompt }) => ({
        prompt,
        completions: completions.map((completion) => ({ ...completion, score: clip(completion.score, params.bound) }))
      }))
    )
})
