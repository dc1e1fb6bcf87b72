import { Arbitrary, Effect, Schema } from "effect"
import { type ExactPolicy, ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { logSoftmax } from "../../runtime/exact/numbers.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { beyond } from "../optimize/extrapolate.ts"
import { Bandits, close } from "./generated.ts"
import { WorldInvalid } from "./Worlds.ts"

const inParameters = (next: ExactPolicy, previous: ExactPolicy, alpha: number): ExactPolicy => {
  if (JSON.stringify(next.family) !== JSON.stringify(previous.family))
    throw new RangeError("extrapolated policies must be of one family")
  if (next.theta.length !== previous.theta.length)
    throw new RangeError(`${next.theta.length} and ${previous.theta.length} parameters`)
  return { family: next.family, theta: next.theta.map((x, i) => beyond(x, previous.theta[i]!, alpha)) }
}

const inPolicies = (next: ExactPolicy, previous: ExactPolicy, alpha: number): ExactPolicy => {
  const [ours, theirs] = [policyOf(next), policyOf(previous)]
  const { contexts } = ours.process
  if (theirs.process.contexts !== contexts)
    throw new RangeError(`policies of ${contexts} and of ${theirs.process.contexts} contexts`)
  const rows = Array.from({ length: contexts }, (_, context) => {
    const [p, q] = [responseLogProbs(ours, context), responseLogProbs(theirs, context)]
    if (p.length !== q.length) throw new RangeError(`policies over ${p.length} and over ${q.length} responses`)
    return [...logSoftmax(p.map((logProb, y) => beyond(logProb, q[y]!, alpha)))]
  })
  return { family: { kind: "softmax", contexts, responses: rows[0]!.length }, theta: rows.flat() }
}

const Moved = Arbitrary.all([Bandits, Arbitrary.schema(Law.Real(-0.5, 1))])
const agree = (a: ExactPolicy, b: ExactPolicy) => {
  const [ours, theirs] = [policyOf(a), policyOf(b)]
  return Array.from({ length: ours.process.contexts }, (_, context) => context).every((context) =>
    responseLogProbs(ours, context).every((l, y) => close(l, responseLogProbs(theirs, context)[y]!))
  )
}

const laws: ReadonlyArray<Law.Law> = [
  Law.make("alpha 0 changes nothing, bit for bit", Bandits, ({ other, policy }) =>
    inParameters(policy, other, 0).theta.every((x, i) => Object.is(x, policy.theta[i]))
  ),
  Law.make(
    "from a policy to itself there is nowhere to go",
    Moved,
    ([{ policy }, alpha]) =>
      agree(inParameters(policy, policy, alpha), policy) && agree(inPolicies(policy, policy, alpha), policy)
  ),
  Law.make("a softmax is extrapolated alike in both spaces", Moved, ([{ other, policy }, alpha]) =>
    agree(inParameters(policy, other, alpha), inPolicies(policy, other, alpha))
  ),
  Law.make("a constant added to all logits changes nothing", Moved, ([{ other, policy }, alpha]) => {
    const shifted = { ...policy, theta: policy.theta.map((x) => x + 3) }
    return agree(inParameters(shifted, other, alpha), inParameters(policy, other, alpha))
  })
]

/**
 * Goes on from `previous` to the piped policy. `space: "policies"`: `next (next / previous)^alpha / Z`, of enumerable
 * responses; `"parameters"`: `next + alpha (next - previous)`, within one family. For a free softmax both are one policy.
 * **Source** He et al. 2024, arXiv 2410.06293, algorithm 1.
 */
export const extrapolate = Stage.make({
  name: "exact.extrapolate",
  description: "An exact policy extrapolated along the way from one iterate to the next",
  module: import.meta.url,
  params: {
    alpha: Schema.Finite.pipe(withDefault(0.3)),
    space: Schema.Literals(["parameters", "policies"]).pipe(withDefault("parameters"))
  },
  input: ExactPolicyValue,
  inputs: { previous: ExactPolicyValue },
  output: ExactPolicyValue,
  laws,
  run: ({ input, inputs: { previous }, params: { alpha, space } }) =>
    Effect.try({
      try: () => (space === "parameters" ? inParameters : inPolicies)(input, previous, alpha),
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})
