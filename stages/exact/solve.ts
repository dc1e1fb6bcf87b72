import { Effect } from "effect"
import { ExactPolicyValue, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { Solutions } from "./Solutions.ts"
import { WorldInvalid } from "./Worlds.ts"

/** The policy that solves a bandit, context by context; `from` in place of the world's own reference where it is given. */
export const solve = Stage.make({
  name: "exact.solve",
  description: "The policy that solves a world",
  module: import.meta.url,
  params: { solution: Solutions.schema },
  input: WorldValue,
  inputs: { from: Stage.optional(ExactPolicyValue) },
  output: ExactPolicyValue,
  run: ({ input: world, inputs, params: { solution } }) =>
    Effect.try({
      try: () => {
        const policy = policyOf(inputs.from ?? world.reference)
        const { contexts } = policy.process
        const rows = Array.from({ length: contexts }, (_, context) =>
          Array.from(solution.implementation(world, context, responseLogProbs(policy, context)))
        )
        const responses = rows[0]!.length
        return { family: { kind: "softmax" as const, contexts, responses }, theta: rows.flat() }
      },
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})
