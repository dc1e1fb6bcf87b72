import { Effect } from "effect"
import { ExactPolicyValue, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Stage from "../../dsl/Stage.ts"

/** The policy that a world starts from and is regularized to. */
export const start = Stage.make({
  name: "exact.start",
  description: "The reference policy of a world",
  module: import.meta.url,
  params: {},
  input: WorldValue,
  output: ExactPolicyValue,
  run: ({ input }) => Effect.succeed(input.reference)
})
