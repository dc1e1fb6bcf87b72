import { Arbitrary, Effect, Schema } from "effect"
import { type ExactPolicy, ExactPolicyValue, FamilyData } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { WorldInvalid } from "./Worlds.ts"

const checked = (policy: ExactPolicy): Effect.Effect<ExactPolicy, WorldInvalid> =>
  Effect.try({
    try: () => {
      policyOf(policy)
      return policy
    },
    catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
  })

const Logits = Arbitrary.array(Arbitrary.schema(Law.Real(-3, 3)), { minLength: 2, maxLength: 5 })
const bandit = (theta: ReadonlyArray<number>, responses = theta.length): ExactPolicy => ({
  family: { kind: "softmax", contexts: 1, responses },
  theta
})
const logProbsOf = (theta: ReadonlyArray<number>) =>
  Effect.map(checked(bandit(theta)), (policy) => responseLogProbs(policyOf(policy), 0))

const laws: ReadonlyArray<Law.Law> = [
  Law.make("sums to 1", Logits, (theta) =>
    Effect.map(logProbsOf(theta), (l) => Math.abs(l.reduce((sum, x) => sum + Math.exp(x), 0) - 1) < 1e-12)
  ),
  Law.make("differs in log-probabilities as the logits differ", Logits, (theta) =>
    Effect.map(logProbsOf(theta), (l) => l.every((x, y) => Math.abs(x - l[0]! - (theta[y]! - theta[0]!)) < 1e-9))
  ),
  Law.make("fails for parameters of another family", Logits, (theta) =>
    Effect.map(Effect.flip(checked(bandit(theta, theta.length + 1))), ({ _tag }) => _tag === "WorldInvalid")
  )
]

/** A policy given in full: its family and its parameters. Fails with `WorldInvalid` where these do not fit. */
export const policy = Stage.make({
  name: "exact.policy",
  description: "An exact policy given in full",
  module: import.meta.url,
  params: { family: FamilyData, theta: Schema.Array(Schema.Finite) },
  output: ExactPolicyValue,
  laws,
  run: ({ params }) => checked(params)
})
