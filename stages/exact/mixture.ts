import { Arbitrary, Effect } from "effect"
import { type ExactPolicy, ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import type * as Node from "../../dsl/Node.ts"
import { Probability, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { logSumExp } from "../../runtime/exact/numbers.ts"
import { type Policy, responseLogProbs } from "../../runtime/exact/Policy.ts"
import { Bandits, close } from "./generated.ts"
import { WorldInvalid } from "./Worlds.ts"

/** `(1 - share) first + share second`, response by response. RangeError for policies over sequences or of other contexts. */
export const mixed = (first: ExactPolicy, second: ExactPolicy, share: number): ExactPolicy => {
  const [ours, theirs] = [policyOf(first), policyOf(second)]
  const { contexts } = ours.process
  if (theirs.process.contexts !== contexts)
    throw new RangeError(`policies of ${contexts} and of ${theirs.process.contexts} contexts`)
  const rows = Array.from({ length: contexts }, (_, context) => mixedRow(ours, theirs, context, share))
  return { family: { kind: "softmax", contexts, responses: rows[0]!.length }, theta: rows.flat() }
}

const mixedRow = (first: Policy, second: Policy, context: number, share: number): ReadonlyArray<number> => {
  const [p, q] = [responseLogProbs(first, context), responseLogProbs(second, context)]
  if (p.length !== q.length) throw new RangeError(`policies over ${p.length} and over ${q.length} responses`)
  if (share === 0) return [...p]
  if (share === 1) return [...q]
  return Array.from(p, (logProb, y) => logSumExp([Math.log1p(-share) + logProb, Math.log(share) + q[y]!]))
}

const Mixed = Arbitrary.all([Bandits, Arbitrary.schema(Law.Real(0, 1))])
const probabilities = (policy: ExactPolicy, context: number) =>
  responseLogProbs(policyOf(policy), context).map(Math.exp)
const same = (a: ExactPolicy, b: ExactPolicy) =>
  Array.from({ length: policyOf(a).process.contexts }, (_, c) =>
    probabilities(a, c).every((p, y) => close(p, probabilities(b, c)[y]!))
  ).every(Boolean)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("answers with the weighted mean of probabilities", Mixed, ([{ other, policy }, share]) =>
    probabilities(mixed(policy, other, share), 0).every((p, y) =>
      close(p, (1 - share) * probabilities(policy, 0)[y]! + share * probabilities(other, 0)[y]!)
    )
  ),
  Law.make(
    "share 0 is the one policy, share 1 the other",
    Bandits,
    ({ other, policy }) => same(mixed(policy, other, 0), policy) && same(mixed(policy, other, 1), other)
  ),
  Law.make("a policy mixed with itself is itself", Mixed, ([{ policy }, share]) =>
    same(mixed(policy, policy, share), policy)
  ),
  Law.make("the sides may be exchanged with their shares", Mixed, ([{ other, policy }, share]) =>
    same(mixed(policy, other, share), mixed(other, policy, 1 - share))
  )
]

/** A policy that answers like `with` with probability `share`, else like the piped one; both over enumerable responses. */
export const mixture = Stage.make({
  name: "exact.mixture",
  description: "The mixture of two exact policies",
  module: import.meta.url,
  params: { share: Probability.pipe(withDefault(0.5)) },
  input: ExactPolicyValue,
  inputs: { with: ExactPolicyValue },
  output: ExactPolicyValue,
  laws,
  run: ({ input, inputs, params: { share } }) =>
    Effect.try({
      try: () => mixed(input, inputs.with, share),
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})

/** The uniform mixture of several policies, of which theory speaks where self-play returns the average of its iterates. */
export const average = <E, R>(
  policies: readonly [
    Node.Node<typeof ExactPolicyValue, E, R>,
    ...ReadonlyArray<Node.Node<typeof ExactPolicyValue, E, R>>
  ]
): Node.Node<typeof ExactPolicyValue, E | WorldInvalid, R> => {
  const [first, ...others] = policies
  return others.reduce<Node.Node<typeof ExactPolicyValue, E | WorldInvalid, R>>(
    (mean, policy, i) => mean.pipe(mixture({ with: policy, share: 1 / (i + 2) })),
    first
  )
}
