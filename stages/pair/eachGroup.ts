import { Effect, Stream } from "effect"
import type { Records } from "../../dsl/Artifact.ts"
import type { Pair, ScoredGroup } from "../../dsl/artifacts.ts"
import { NoPairs } from "./pair.ts"

/**
 * The pairs that `make` finds in each group, in order. Fails with `NoPairs` if not one comes out; `by` names what made
 * them in its message.
 */
export const eachGroup = <E>(
  input: Records<ScoredGroup>,
  by: string,
  make: (group: ScoredGroup) => Effect.Effect<ReadonlyArray<Pair>, E>
) =>
  Stream.suspend(() => {
    const count = { prompts: 0, single: 0, tied: 0 }
    let pairs = 0
    return input.stream.pipe(
      Stream.mapEffect((group) => {
        const { completions } = group
        count.prompts++
        if (completions.length < 2) count.single++
        else if (completions.every(({ score }) => score === completions[0]!.score)) count.tied++
        return Effect.map(make(group), (made) => {
          pairs += made.length
          return made
        })
      }),
      Stream.flattenIterable,
      Stream.concat(
        Stream.suspend(() => (pairs === 0 ? Stream.fail(new NoPairs({ rule: by, ...count })) : Stream.empty))
      )
    )
  })
