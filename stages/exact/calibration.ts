import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { type Policy, responseLogProbs } from "../../runtime/exact/Policy.ts"
import { completionOf, promptOf, rowOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"

/** One copy for each answer that the policy may give, its weight times that answer's probability. */
const calibrated = (pair: Pair, policy: Policy): ReadonlyArray<Pair> => {
  const { context } = rowOf(pair, "chosen")
  const weight = pair.numbers?.["weight"] ?? 1
  return Array.from(responseLogProbs(policy, context), (logProb, response): Pair => {
    const completion = completionOf({ context, tokens: [response], finish: "stop" })
    return {
      ...pair,
      id: `${pair.id}/${response}`,
      others: { ...pair.others, calibration: { completion } },
      numbers: { ...pair.numbers, weight: weight * Math.exp(logProb) }
    }
  })
}

const withChosen = (pair: Pair): Pair => ({
  ...pair,
  others: { ...pair.others, calibration: { completion: pair.chosen } }
})

const Logit = Arbitrary.schema(Law.Real(-3, 3))
const Case = Arbitrary.all([Arbitrary.all([Logit, Logit, Logit]), Arbitrary.schema(Schema.Literals([0.5, 1, 3]))]).pipe(
  Arbitrary.map(([theta, weight]) => {
    const answer = (token: number) => completionOf({ context: 0, tokens: [token], finish: "stop" })
    const pair: Pair = {
      id: "a",
      prompt: promptOf(0),
      chosen: answer(2),
      rejected: answer(0),
      margin: 0,
      numbers: { weight }
    }
    const policy = policyOf({ family: { kind: "softmax", contexts: 1, responses: 3 }, theta })
    return { pair, policy, weight, made: calibrated(pair, policy) }
  })
)
const weightOf = ({ numbers }: Pair) => numbers!["weight"]!

const laws: ReadonlyArray<Law.Law> = [
  Law.make("the copies weigh together what the pair does", Case, ({ made, weight }) => {
    return Math.abs(made.reduce((sum, copy) => sum + weightOf(copy), 0) - weight) < 1e-12
  }),
  Law.make("each answer's share is its probability", Case, ({ made, policy, weight }) =>
    made.every((copy) => {
      const [response] = copy.others!["calibration"]!.completion.tokens!
      return Math.abs(weightOf(copy) / weight - Math.exp(policy.process.logProbs(0, 0, 0)[response!]!)) < 1e-12
    })
  ),
  Law.make("every copy prefers as the pair does, and no two share an id", Case, ({ made, pair }) => {
    return (
      made.every(({ chosen, rejected }) => chosen === pair.chosen && rejected === pair.rejected) &&
      new Set(made.map(({ id }) => id)).size === 3
    )
  })
]

/**
 * Gives each pair `others.calibration`: with `policy`, every answer that it may give to the context, in as many copies of the
 * pair, weighted by their probability, so that a weighted mean is its expectation; without, the pair's own chosen answer, so
 * that it is the mean over chosen answers. With `policy` for bandits alone: else `WorldInvalid`.
 */
export const calibration = Stage.make({
  name: "exact.calibration",
  description: "Pairs with calibration answers by their probability",
  module: import.meta.url,
  params: {},
  input: Pairs,
  inputs: { policy: Stage.optional(ExactPolicyValue) },
  output: Pairs,
  laws,
  run: ({ input, inputs }) =>
    input.stream.pipe(
      Stream.mapEffect((pair) =>
        Effect.try({
          try: () => (inputs.policy === undefined ? [withChosen(pair)] : calibrated(pair, policyOf(inputs.policy))),
          catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
        })
      ),
      Stream.flattenIterable
    )
})
