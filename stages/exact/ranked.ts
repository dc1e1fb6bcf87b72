import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Evaluation, EvaluationReport, type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { estimate } from "../evaluate/estimates.ts"
import { NothingToEvaluate } from "../evaluate/evaluate.ts"
import { goldFields } from "./goldFields.ts"
import { completionOf, type Gold, goldOf, promptOf, rowOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"

const marginsOf = (pairs: ReadonlyArray<Pair>, world: World, gold: Gold): ReadonlyArray<number> =>
  pairs.map((pair) => goldOf(world, rowOf(pair, "chosen"), gold) - goldOf(world, rowOf(pair, "rejected"), gold))

const Judged = Arbitrary.all([
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))),
  Arbitrary.schema(Law.Real(-1, 1))
]).pipe(
  Arbitrary.map(([seed, lengthWeight]) => {
    const rng = Rng.make(seed, "ranked")
    const answer = (i: number) =>
      completionOf({
        context: 0,
        tokens: Array.from({ length: 1 + rng.int(i, 5) }, (_, t) => rng.fork(i).int(t, 3)),
        finish: "length"
      })
    const world: World = {
      reference: { family: { kind: "unigram", symbols: 3, length: 5 }, theta: [0, 0, 0] },
      tokenRewards: [0, 1, 2].map((symbol) => rng.fork("rewards").normal(symbol))
    }
    const pairs = Array.from(
      { length: 5 },
      (_, i): Pair => ({
        id: `${i}`,
        prompt: promptOf(0),
        chosen: answer(2 * i),
        rejected: answer(2 * i + 1),
        margin: 0
      })
    )
    return { pairs, world, gold: { objective: 0, perToken: false, lengthWeight, scale: 1 } }
  })
)
const near = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => a.every((x, i) => Math.abs(x - b[i]!) < 1e-9)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("swapped labels negate the margins", Judged, ({ gold, pairs, world }) =>
    near(
      marginsOf(
        pairs.map((pair) => ({ ...pair, chosen: pair.rejected, rejected: pair.chosen })),
        world,
        gold
      ),
      marginsOf(pairs, world, gold).map((margin) => -margin)
    )
  ),
  Law.make("what both answers have more changes nothing", Judged, ({ gold, pairs, world }) => {
    const longer = ({ tokens = [], ...answer }: Pair["chosen"]) => ({ ...answer, tokens: [...tokens, 1] })
    return near(
      marginsOf(
        pairs.map((pair) => ({ ...pair, chosen: longer(pair.chosen), rejected: longer(pair.rejected) })),
        world,
        gold
      ),
      marginsOf(pairs, world, gold)
    )
  }),
  Law.make("a symbol more on one side counts its reward, and its length", Judged, ({ gold, pairs, world }) =>
    near(
      marginsOf(
        pairs.map((pair) => ({ ...pair, chosen: { ...pair.chosen, tokens: [...(pair.chosen.tokens ?? []), 2] } })),
        world,
        gold
      ),
      marginsOf(pairs, world, gold).map((margin) => margin + world.tokenRewards![2]! + gold.lengthWeight)
    )
  )
]

/**
 * How a world's rewards, given or learned, order pairs: `rewards/accuracies` (share of pairs whose chosen answer has strictly
 * the higher one) and `rewards/margins`, means over pairs that count the same.
 */
export const ranked = Stage.make({
  name: "exact.ranked",
  description: "How well a world's rewards order pairs",
  module: import.meta.url,
  params: goldFields,
  input: Pairs,
  inputs: { world: WorldValue },
  output: EvaluationReport,
  laws,
  run: ({ input, inputs: { world }, params }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
      return yield* Effect.try({
        try: (): Evaluation => {
          const margins = marginsOf(pairs, world, params)
          return {
            estimates: {
              "rewards/accuracies": estimate(margins.map((margin) => (margin > 0 ? 1 : 0))),
              "rewards/margins": estimate(margins)
            },
            examples: []
          }
        },
        catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
