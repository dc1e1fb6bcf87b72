import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { SomePairs } from "./generated.ts"

/** A single pair has no neighbour to take an answer from. */
export class NothingMismatched extends Schema.TaggedError<NothingMismatched>()("NothingMismatched", {
  pair: Schema.String
}) {
  override get message() {
    return `${this.pair} is the only pair: a mismatched answer comes from another one, so there must be two or more`
  }
}

const withNext = (pair: Pair, next: Pair): Pair => ({
  ...pair,
  others: { ...pair.others, mismatched: { completion: next.chosen } }
})

/** Each pair with the next one's chosen answer, the last with the first one's. Holds the first pair and one more. */
const mismatched = <E, R>(pairs: Stream.Stream<Pair, E, R>) =>
  Stream.suspend(() => {
    let first: Pair | undefined
    let held: Pair | undefined
    const step = (pair: Pair) => {
      const made = held === undefined ? [] : [withNext(held, pair)]
      first ??= pair
      held = pair
      return made
    }
    const last = Stream.suspend(() => {
      if (first === undefined || held === undefined) return Stream.empty
      return held === first
        ? Stream.fail(new NothingMismatched({ pair: first.id }))
        : Stream.succeed(withNext(held, first))
    })
    return pairs.pipe(Stream.map(step), Stream.flattenIterable, Stream.concat(last))
  })

const made = (pairs: ReadonlyArray<Pair>) => Stream.runCollect(mismatched(Stream.fromIterable(pairs)))
const Two = Arbitrary.all([SomePairs, SomePairs]).pipe(
  Arbitrary.map(([a, b]) => [...a, ...b].map((pair, i): Pair => ({ ...pair, id: `pair${i}` })))
)
const taken = (pairs: ReadonlyArray<Pair>) => pairs.map(({ others }) => others!["mismatched"]!.completion)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("takes every chosen answer once", Two, (pairs) =>
    Effect.map(made(pairs), (all) => {
      const [given, own] = [taken(all), pairs.map(({ chosen }) => chosen)]
      return (
        given.length === own.length && own.every((chosen, i) => given[(i - 1 + own.length) % own.length] === chosen)
      )
    })
  ),
  Law.make("changes nothing else", Two, (pairs) =>
    Effect.map(made(pairs), (all) =>
      all.every(({ others, ...pair }, i) => {
        const { others: before, ...rest } = pairs[i]!
        const { mismatched: _, ...kept } = others!
        return JSON.stringify([pair, kept]) === JSON.stringify([rest, before ?? {}])
      })
    )
  ),
  Law.make("turns with the set", Two, (pairs) =>
    Effect.map(
      Effect.all([made(pairs), made([...pairs.slice(1), pairs[0]!])]),
      ([all, turned]) => JSON.stringify([...all.slice(1), all[0]]) === JSON.stringify(turned)
    )
  )
]

/**
 * Gives each pair `others.mismatched`: the chosen answer of the next pair in the set, the last pair the first one's,
 * read as an answer to this pair's prompt. Its log-ratio estimates the KL term of KTO.
 * **Details** Fails with `NothingMismatched` for a single pair.
 * **Gotchas** Neighbours of one prompt lend each other an answer that is not mismatched at all: make one pair a prompt.
 * **Source** Ethayarajh et al. 2024, arXiv 2402.01306 (KTO), there within a batch.
 */
export const mismatch = Stage.make({
  name: "pair.mismatch",
  description: "Pairs with another prompt's answer",
  module: import.meta.url,
  params: {},
  input: Pairs,
  output: Pairs,
  laws,
  run: ({ input }) => mismatched(input.stream)
})
