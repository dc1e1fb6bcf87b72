import { Arbitrary, Effect, Schema } from "effect"
import { WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import type { Matrix } from "../../runtime/exact/bandit.ts"
import { skewScores } from "../../runtime/exact/random.ts"
import { close, SeedNumber } from "./generated.ts"
import { type HeadTable, HeadTableValue } from "./headTable.ts"
import { payoffsOf } from "./payoffs.ts"
import { WorldInvalid } from "./Worlds.ts"

/** Vectors whose skew-symmetric form is `scores`: coordinates 2k and 2k + 1 of vector `i` are `[i = k]` and `scores[k][i] / 2`. */
export const embedded = (scores: Matrix): ReadonlyArray<ReadonlyArray<number>> =>
  scores.map((_, i) => scores.flatMap((row, k) => [i === k ? 1 : 0, row[i]! / 2]))

/** The skew-symmetric form of two vectors. */
const form = (v: ReadonlyArray<number>, w: ReadonlyArray<number>) => {
  let sum = 0
  for (let k = 0; k < v.length; k += 2) sum += v[k]! * w[k + 1]! - v[k + 1]! * w[k]!
  return sum
}
const Scores = Arbitrary.all([
  SeedNumber,
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 6 })))
]).pipe(Arbitrary.map(([seed, responses]) => skewScores(responses, Rng.make(seed, "scores"))))

const laws: ReadonlyArray<Law.Law> = [
  Law.make("its form is the scores", Scores, (scores) => {
    const vectors = embedded(scores)
    return scores.every((row, i) => row.every((score, j) => close(form(vectors[i]!, vectors[j]!), score)))
  }),
  Law.make("twice the scores are twice the second coordinates", Scores, (scores) => {
    const doubled = embedded(scores.map((row) => row.map((s) => 2 * s)))
    return embedded(scores).every((v, i) => v.every((x, k) => doubled[i]![k] === (k % 2 === 0 ? x : 2 * x)))
  }),
  Law.make("has a block for each response", Scores, (scores) =>
    embedded(scores).every((vector) => vector.length === 2 * scores.length)
  )
]

/**
 * Embeddings that express the preferences of a world without error, not learned: `2n` coordinates for `n` responses. They have
 * no unit length, so the general preference model reads them with `normalized: false`, `blocks: n` and `tau: 1`.
 * **Source** Zhang et al. 2024, arXiv 2410.02197, theorem 4.1 (constructive; ours has a block for each response).
 */
export const embedding = Stage.make({
  name: "exact.embedding",
  description: "Embeddings that express any preferences of a world",
  module: import.meta.url,
  params: {},
  input: WorldValue,
  output: HeadTableValue,
  laws,
  run: ({ input: world }) =>
    Effect.try({
      try: (): HeadTable => {
        const contexts = world.preferences?.length ?? world.rewards?.[0]?.length ?? 0
        const vectors = Array.from({ length: contexts }, (_, c) => embedded(payoffsOf(world, c, "log-odds")))
        const [first] = vectors
        if (first === undefined) throw new RangeError("the world has no preferences")
        return { contexts, responses: first.length, outputs: 2 * first.length, theta: vectors.flat(2) }
      },
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})
