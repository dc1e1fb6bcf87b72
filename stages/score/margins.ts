import { Effect, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { SomePairs } from "../pair/generated.ts"
import { marginOf, withMargins } from "../pair/marginNumbers.ts"
import { Reward } from "./Reward.ts"
import { scoreAll } from "./scoreAll.ts"
import { wordCount } from "./wordCount.ts"

const PAIRS_AT_ONCE = 256

const annotated = Effect.fnUntraced(function* (reward: typeof Reward.schema.Type, pairs: ReadonlyArray<Pair>) {
  const asked = pairs.map(({ chosen, prompt, rejected }) => ({
    prompt: prompt.id,
    answers: [chosen, rejected].map(({ text }) => ({ prompt: prompt.text, completion: text }))
  }))
  const scores = yield* scoreAll(reward, asked)
  return pairs.map((pair, i) => withMargins(pair, scores[i]![0]!, scores[i]![1]!))
})

const words = wordCount()
const length = (text: string) => text.match(/\S+/g)?.length ?? 0

const laws: ReadonlyArray<Law.Law> = [
  Law.make("are the rewards of the two answers", SomePairs, (pairs) =>
    Effect.map(annotated(words, pairs), (made) =>
      made.every(({ chosen, numbers, rejected }) => {
        const { marginChosen, marginRejected } = numbers!
        return marginChosen === length(chosen.text) && marginRejected === length(rejected.text)
      })
    )
  ),
  Law.make("change their sign where chosen and rejected change places", SomePairs, (pairs) => {
    const swapped = pairs.map((pair) => ({ ...pair, chosen: pair.rejected, rejected: pair.chosen }))
    return Effect.map(Effect.all([annotated(words, pairs), annotated(words, swapped)]), ([forth, back]) =>
      forth.every((pair, i) => marginOf(pair) === -marginOf(back[i]!))
    )
  }),
  Law.make("leave all else of every pair, in order", SomePairs, (pairs) =>
    Effect.map(annotated(words, pairs), (made) =>
      made.every(({ numbers, ...pair }, i) => {
        const { numbers: before = {}, ...own } = pairs[i]!
        const { marginChosen: _, marginRejected: __, ...kept } = numbers!
        return JSON.stringify([own, before]) === JSON.stringify([pair, kept])
      })
    )
  )
]

/**
 * What another reward gives to both answers of each pair, as the numbers `marginChosen` and `marginRejected`.
 * **Source** Zhou et al. 2023, arXiv 2310.03708: the margin of multi-objective DPO.
 */
export const margins = Stage.make({
  name: "score.margins",
  description: "Pairs with another reward's scores of their answers",
  module: import.meta.url,
  params: { reward: Reward.schema },
  input: Pairs,
  output: Pairs,
  laws,
  run: ({ input, params }) =>
    input.stream.pipe(
      Stream.grouped(PAIRS_AT_ONCE),
      Stream.mapEffect((pairs) => annotated(params.reward, pairs)),
      Stream.flattenIterable
    )
})
