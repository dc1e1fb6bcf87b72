import { Effect } from "effect"
import { WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Stage from "../../dsl/Stage.ts"
import { checked, Worlds } from "./Worlds.ts"

/** A world made by a component, from the pipeline's seed where it is random. Fails with `WorldInvalid` where it does not fit. */
export const world = Stage.make({
  name: "exact.world",
  description: "A world that can be solved",
  module: import.meta.url,
  params: { world: Worlds.schema },
  output: WorldValue,
  random: true,
  run: ({ params, rng }) => Effect.suspend(() => checked(params.world.implementation(rng)))
})
