import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { marginOf, withMargins } from "../pair/marginNumbers.ts"
import { completionOf, promptOf, rowOf } from "./rows.ts"
import { collectiveReward } from "./Solutions.ts"
import { WorldInvalid } from "./Worlds.ts"

const annotated = (world: World, pair: Pair, weights: ReadonlyArray<number>): Effect.Effect<Pair, WorldInvalid> =>
  Effect.try({
    try: () => {
      const [chosen, rejected] = (["chosen", "rejected"] as const).map((role) => {
        const { context, tokens } = rowOf(pair, role)
        const reward = collectiveReward(world, context, weights)[tokens[0]!]
        if (reward === undefined) throw new RangeError(`the world has no reward of response ${tokens[0]}`)
        return reward
      })
      return withMargins(pair, chosen!, rejected!)
    },
    catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
  })

const Reward = Arbitrary.schema(Law.Real(-2, 2))
const Row = Arbitrary.all([Reward, Reward, Reward])
const Case = Arbitrary.all([Row, Row, Arbitrary.schema(Schema.Literals([0, 1, 2]))]).pipe(
  Arbitrary.map(([first, second, chosen]) => {
    const world: World = {
      reference: { family: { kind: "softmax", contexts: 1, responses: 3 }, theta: [0, 0, 0] },
      rewards: [[first], [second]]
    }
    const answer = (token: number) => completionOf({ context: 0, tokens: [token], finish: "stop" })
    const rejected = (chosen + 1) % 3
    const pair: Pair = {
      id: "a",
      prompt: promptOf(0),
      chosen: answer(chosen),
      rejected: answer(rejected),
      margin: 0,
      numbers: { weight: 2 }
    }
    return { world, pair, gap: (reward: ReadonlyArray<number>) => reward[chosen]! - reward[rejected]!, first, second }
  })
)
const gapUnder = (world: World, pair: Pair, weights: ReadonlyArray<number>) =>
  Effect.map(annotated(world, pair, weights), marginOf)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("of one objective is its reward", Case, ({ first, gap, pair, second, world }) =>
    Effect.map(
      Effect.all([gapUnder(world, pair, [1]), gapUnder(world, pair, [0, 1])]),
      ([one, two]) => Math.abs(one - gap(first)) < 1e-12 && Math.abs(two - gap(second)) < 1e-12
    )
  ),
  Law.make("is linear in the weights", Case, ({ first, gap, pair, second, world }) =>
    Effect.map(gapUnder(world, pair, [2, -3]), (both) => Math.abs(both - 2 * gap(first) + 3 * gap(second)) < 1e-9)
  ),
  Law.make("keeps all else of the pair", Case, ({ pair, world }) =>
    Effect.map(annotated(world, pair, [1]), ({ numbers, ...rest }) => {
      const { marginChosen: _, marginRejected: __, ...kept } = numbers!
      return JSON.stringify({ ...rest, numbers: kept }) === JSON.stringify(pair)
    })
  )
]

/**
 * What the world's rewards give to both answers of each pair, as the numbers `marginChosen` and `marginRejected`: the sum
 * over objectives k of `weights[k]` times reward k. Fails with `WorldInvalid` where the world has no such rewards.
 */
export const margins = Stage.make({
  name: "exact.margins",
  description: "Pairs with the rewards that other objectives give their answers",
  module: import.meta.url,
  params: { weights: Schema.Array(Schema.Finite) },
  input: Pairs,
  inputs: { world: WorldValue },
  output: Pairs,
  laws,
  run: ({ input, inputs, params }) =>
    Stream.mapEffect(input.stream, (pair) => annotated(inputs.world, pair, params.weights))
})
