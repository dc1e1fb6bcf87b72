/** The kind of component that makes a world: from its parameters and a generator to what is known of it. */
import { Arbitrary, Effect, Schema } from "effect"
import * as Component from "../../dsl/Component.ts"
import type { World } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Rng from "../../dsl/Rng.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { preferenceMatrix } from "../../runtime/exact/games.ts"

/** Makes a world; equal generators make equal worlds. */
export type MakeWorld = (rng: Rng.Rng) => World

const Seed = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 })))

const laws = ({ implementation: make }: Component.Component<"world", MakeWorld>) => [
  Law.make("is the same for the same generator", Seed, (seed) => {
    const twice = [0, 1].map(() => JSON.stringify(make(Rng.make(seed, "world"))))
    return twice[0] === twice[1]
  }),
  Law.make("fits together", Seed, (seed) => problemOf(make(Rng.make(seed, "world"))) === undefined)
]

/** Why the parts of a world do not fit together; `undefined` where they do. */
export const problemOf = ({ preferences, reference, rewards, tokenRewards }: World): string | undefined => {
  try {
    const { process } = policyOf(reference)
    const responses = process.horizon === 1 ? process.logProbs(0, 0, process.start).length : undefined
    for (const [what, tables] of [["rewards", rewards ?? []] as const]) {
      for (const table of tables) {
        if (table.length !== process.contexts)
          return `${what} of ${table.length} contexts, the reference has ${process.contexts}`
        if (table.some((row) => row.length !== responses)) return `${what} of other responses than the reference's`
      }
    }
    if (preferences !== undefined && preferences.length !== process.contexts)
      return "preferences of another number of contexts"
    for (const matrix of preferences ?? []) {
      if (preferenceMatrix(matrix).length !== responses) return "preferences among other responses than the reference's"
    }
    if (responses === undefined && tokenRewards === undefined) return "a world of sequences has token rewards"
    return undefined
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

/** Worlds by name: `define` one by its parameters and what they make. */
export const Worlds = Component.kind<MakeWorld>()("world", { laws })

/** A world whose parts do not fit together. */
export class WorldInvalid extends Schema.TaggedError<WorldInvalid>()("WorldInvalid", { problem: Schema.String }) {
  override get message() {
    return `world: ${this.problem}`
  }
}

export const checked = (world: World): Effect.Effect<World, WorldInvalid> => {
  const problem = problemOf(world)
  return problem === undefined ? Effect.succeed(world) : Effect.fail(new WorldInvalid({ problem }))
}
