import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Evaluation, EvaluationReport, Pairs } from "../../dsl/artifacts.ts"
import { type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { estimate } from "../evaluate/estimates.ts"
import { NothingToEvaluate } from "../evaluate/evaluate.ts"
import { crossValidated, type FeaturePair } from "../evaluate/linearProbe.ts"
import { probeFields } from "../evaluate/probeFields.ts"
import { rowOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"

/** The features of a response in the family of a world's reference. */
const featuresIn = ({ reference: { family } }: World, context: number, response: number): ReadonlyArray<number> => {
  const found = family.kind === "linear" ? family.features[context]?.[response] : undefined
  if (found === undefined)
    throw new RangeError(
      `the world's ${family.kind} family has no features of response ${response} in context ${context}`
    )
  return found
}

const reported = (
  pairs: ReadonlyArray<FeaturePair>,
  options: { readonly folds: number; readonly strength: number }
): Evaluation => ({
  estimates: { accuracy: estimate(crossValidated(pairs, options)) },
  examples: []
})

const Case = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))).pipe(
  Arbitrary.map((seed) => {
    const rng = Rng.make(seed, "probe")
    const side = (label: string, shift: number) =>
      Array.from({ length: 20 }, (_, i) => [rng.fork(label).normal(i), shift + 0.1 * rng.fork(label).uniform(100 + i)])
    const pairs = (shift: number) => {
      const [chosen, rejected] = [side("chosen", shift), side("rejected", 0)]
      return chosen.map((x, i): FeaturePair => ({ chosen: x, rejected: rejected[i]! }))
    }
    return { pairs, options: { folds: 5, strength: 1 } }
  })
)
const accuracy = (pairs: ReadonlyArray<FeaturePair>, options: { readonly folds: number; readonly strength: number }) =>
  reported(pairs, options).estimates["accuracy"]!.mean

const laws: ReadonlyArray<Law.Law> = [
  Law.make("sides that lie apart are told apart", Case, ({ options, pairs }) => accuracy(pairs(5), options) === 1),
  Law.make("sides that are the same are not", Case, ({ options, pairs }) => {
    const same = pairs(0).map(({ chosen }) => ({ chosen, rejected: chosen }))
    return Math.abs(accuracy(same, options) - 0.5) < 1e-12
  }),
  Law.make("does not care which side is called chosen", Case, ({ options, pairs }) => {
    const turned = pairs(1).map(({ chosen, rejected }) => ({ chosen: rejected, rejected: chosen }))
    return Math.abs(accuracy(pairs(1), options) - accuracy(turned, options)) < 0.051
  })
]

/**
 * How well a linear probe tells chosen from rejected answers by the features of a world's linear family: `accuracy` on held-out
 * pairs, both sides counted, the mean over folds. See `linearProbe`. Fails with `WorldInvalid` where the world has no features
 * or there are fewer pairs than folds.
 * **Source** arXiv 2504.02193, of the multi-model pitfalls; pooling and regularization are our choices.
 */
export const separability = Stage.make({
  name: "exact.separability",
  description: "Accuracy of a linear probe that tells chosen from rejected answers",
  module: import.meta.url,
  params: probeFields,
  input: Pairs,
  inputs: { world: WorldValue },
  output: EvaluationReport,
  laws,
  run: ({ input, inputs: { world }, params }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
      return yield* Effect.try({
        try: () => {
          const features = pairs.map((pair): FeaturePair => {
            const of = (role: "chosen" | "rejected") => {
              const { context, tokens } = rowOf(pair, role)
              return featuresIn(world, context, tokens[0]!)
            }
            return { chosen: of("chosen"), rejected: of("rejected") }
          })
          return reported(features, params)
        },
        catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
