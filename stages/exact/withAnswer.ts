import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf, softmax } from "../../runtime/exact/families.ts"
import { type Policy, sampleRow } from "../../runtime/exact/Policy.ts"
import { completionOf, promptOf, rowOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"

const answered = (pair: Pair, role: string, policy: Policy, rng: Rng.Rng): Pair => {
  const { context } = rowOf(pair, "chosen")
  return { ...pair, others: { ...pair.others, [role]: { completion: completionOf(sampleRow(policy, context, rng)) } } }
}

const Case = Arbitrary.all([
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))),
  Arbitrary.schema(Schema.Literals([0, 1]))
]).pipe(
  Arbitrary.map(([seed, context]) => {
    const answer = (token: number) => completionOf({ context, tokens: [token], finish: "stop" })
    const pair: Pair = {
      id: "a",
      prompt: promptOf(context),
      chosen: answer(0),
      rejected: answer(1),
      margin: 1,
      others: { gold: { completion: answer(2) } },
      numbers: { weight: 2 }
    }
    return { context, pair, rng: Rng.make(seed, "with-answer") }
  })
)
const OF_CONTEXT = softmax(2, 3).at(Float64Array.of(0, 0, -800, -800, -800, 0))
const drawn = ({ others }: Pair) => others!["baseline"]!.completion.tokens![0]!

const laws: ReadonlyArray<Law.Law> = [
  Law.make("answers the pair's own context", Case, ({ context, pair, rng }) => {
    const response = drawn(answered(pair, "baseline", OF_CONTEXT, rng))
    return context === 0 ? response < 2 : response === 2
  }),
  Law.make("keeps all else of the pair", Case, ({ pair, rng }) => {
    const { others, ...rest } = answered(pair, "baseline", OF_CONTEXT, rng)
    const { baseline: _, ...kept } = others!
    return JSON.stringify([rest, kept]) === JSON.stringify([(({ others: _, ...own }) => own)(pair), pair.others])
  }),
  Law.make("draws each response of positive probability", Case, ({ pair, rng }) => {
    const found = Array.from({ length: 64 }, (_, i) =>
      drawn(answered({ ...pair, prompt: promptOf(0) }, "baseline", OF_CONTEXT, rng.fork(i)))
    )
    return new Set(found).size === 2
  })
]

/**
 * Gives each pair one more answer, drawn from a policy, under the name `role`. Pair `i` draws from fork `i` of the generator.
 * Fails with `WorldInvalid` for pairs whose context the policy does not have.
 */
export const withAnswer = Stage.make({
  name: "exact.with-answer",
  description: "Pairs with one more answer, drawn from a policy",
  module: import.meta.url,
  params: { role: Schema.NonEmptyString },
  input: Pairs,
  inputs: { policy: ExactPolicyValue },
  output: Pairs,
  random: true,
  laws,
  run: ({ input, inputs, params, rng }) => {
    const problem = (cause: unknown) =>
      new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    return Stream.unwrap(
      Effect.map(Effect.try({ try: () => policyOf(inputs.policy), catch: problem }), (policy) =>
        Stream.mapEffect(Stream.zipWithIndex(input.stream), ([pair, i]) =>
          Effect.try({ try: () => answered(pair, params.role, policy, rng.fork(i)), catch: problem })
        )
      )
    )
  }
})
