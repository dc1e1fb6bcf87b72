import { Arbitrary, Effect, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { type Policy, rowLogProb } from "../../runtime/exact/Policy.ts"
import { marginOf, withMargins } from "../pair/marginNumbers.ts"
import { completionOf, promptOf, rowOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"

const annotated = (pair: Pair, policy: Policy, reference: Policy, beta: number): Effect.Effect<Pair, WorldInvalid> =>
  Effect.try({
    try: () => {
      const [chosen, rejected] = (["chosen", "rejected"] as const).map((role) => {
        const row = rowOf(pair, role)
        return beta * (rowLogProb(policy, row) - rowLogProb(reference, row))
      })
      return withMargins(pair, chosen!, rejected!)
    },
    catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
  })

const Logit = Arbitrary.schema(Law.Real(-2, 2))
const Theta = Arbitrary.all([Logit, Logit, Logit])
const Case = Arbitrary.all([Theta, Theta, Arbitrary.schema(Law.Real(0.1, 2))])
const bandit = (theta: ReadonlyArray<number>): ExactPolicy => ({
  family: { kind: "softmax", contexts: 1, responses: 3 },
  theta
})
const pair: Pair = {
  id: "a",
  prompt: promptOf(0),
  chosen: completionOf({ context: 0, tokens: [0], finish: "stop" }),
  rejected: completionOf({ context: 0, tokens: [2], finish: "stop" }),
  margin: 0
}
const gap = (policy: ReadonlyArray<number>, reference: ReadonlyArray<number>, beta: number) =>
  Effect.map(annotated(pair, policyOf(bandit(policy)), policyOf(bandit(reference)), beta), marginOf)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("differ as the logits do", Case, ([policy, reference, beta]) =>
    Effect.map(
      gap(policy, reference, beta),
      (found) => Math.abs(found - beta * (policy[0] - policy[2] - reference[0] + reference[2])) < 1e-9
    )
  ),
  Law.make("of the reference itself are 0", Case, ([, reference, beta]) =>
    Effect.map(gap(reference, reference, beta), (found) => found === 0)
  ),
  Law.make("are antisymmetric in policy and reference", Case, ([policy, reference, beta]) =>
    Effect.map(
      Effect.all([gap(policy, reference, beta), gap(reference, policy, beta)]),
      ([forth, back]) => Math.abs(forth + back) < 1e-12
    )
  )
]

/**
 * The implicit rewards `beta ln (policy / reference)` of both answers of each pair, as the numbers `marginChosen` and
 * `marginRejected`: a policy trained on another objective's preferences is that objective's reward model.
 * **Source** Zhou et al. 2023, arXiv 2310.03708, section 4.
 */
export const implicitMargins = Stage.make({
  name: "exact.implicit-margins",
  description: "Pairs with the implicit rewards of another policy",
  module: import.meta.url,
  params: { beta: Positive.pipe(withDefault(0.1)) },
  input: Pairs,
  inputs: { policy: ExactPolicyValue, reference: ExactPolicyValue },
  output: Pairs,
  laws,
  run: ({ input, inputs, params }) =>
    Stream.unwrap(
      Effect.try({
        try: () => ({ policy: policyOf(inputs.policy), reference: policyOf(inputs.reference) }),
        catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
      }).pipe(
        Effect.map(({ policy, reference }) =>
          Stream.mapEffect(input.stream, (pair) => annotated(pair, policy, reference, params.beta))
        )
      )
    )
})
