import { Arbitrary, Schema, Stream } from "effect"
import { type Completion, type Other, type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { SomePairs } from "./generated.ts"
import { degrees, phrases } from "./rake.ts"

/** `draws` are two uniform numbers in [0, 1), for the degree of the chosen and of the rejected answer that is read. */
const degraded = (
  pair: Pair,
  levels: number,
  draws: readonly [number, number] = [0, 0],
  fewer: "keep" | "leave-out" = "keep"
): Pair => {
  const chosen = variants("chosen", pair.chosen, levels)
  const rejected = variants("rejected", pair.rejected, levels)
  const degrees = [Math.floor(draws[0] * (chosen.length + 1)), Math.floor(draws[1] * (rejected.length + 1))] as const
  const others: Pair["others"] = {
    ...pair.others,
    ...Object.fromEntries([...chosen, ...rejected]),
    degradedChosen: degrees[0] === 0 ? { completion: pair.chosen } : chosen[degrees[0] - 1]![1],
    degradedRejected: degrees[1] === 0 ? { completion: pair.rejected } : rejected[degrees[1] - 1]![1]
  }
  const counts = { chosenLevels: chosen.length, rejectedLevels: rejected.length }
  const labelOf = (degree: number, count: number) => (fewer === "leave-out" && count < levels ? -1 : degree)
  const labels = {
    degreeChosen: labelOf(degrees[0], chosen.length),
    degreeRejected: labelOf(degrees[1], rejected.length)
  }
  return { ...pair, others, numbers: { ...pair.numbers, ...counts, ...labels } }
}

/** The tokens go: they are those of the whole text. */
const variants = (
  side: string,
  { finish, text }: Completion,
  levels: number
): ReadonlyArray<readonly [string, Other]> =>
  degrees(text, levels).map((shorter, i) => [
    `${side}${i + 1}`,
    { completion: { text: shorter, finish: shorter === "" ? "stop" : finish } }
  ])

const words = (text: string) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
const within = (part: ReadonlyArray<string>, whole: ReadonlyArray<string>) => {
  let at = 0
  for (const word of whole) if (part[at] === word) at++
  return at === part.length
}
const SIDES = ["chosen", "rejected"] as const
const Levelled = Arbitrary.all([
  SomePairs,
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 })))
])
const Share = Arbitrary.schema(Law.Real(0, 0.99999))
const Drawn = Arbitrary.all([Levelled, Share, Share]).pipe(
  Arbitrary.map(([[pairs, levels], u, v]) => [pairs, levels, u, v] as const)
)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("has as many levels as asked for, or as there are phrases", Levelled, ([pairs, levels]) =>
    pairs.every((pair) => {
      const { numbers, others } = degraded(pair, levels)
      return SIDES.every((side) => {
        const count = Math.min(levels, phrases(pair[side].text).length)
        return (
          numbers![`${side}Levels`] === count && Object.keys(others!).filter((n) => n.startsWith(side)).length === count
        )
      })
    })
  ),
  Law.make("each level is a part of the one before, and shorter", Levelled, ([pairs, levels]) =>
    pairs.every((pair) => {
      const { numbers, others } = degraded(pair, levels)
      return SIDES.every((side) => {
        const texts = [pair[side].text]
        for (let l = 1; l <= numbers![`${side}Levels`]!; l++) texts.push(others![`${side}${l}`]!.completion.text)
        return texts.every((text, l) => {
          const before = l === 0 ? undefined : words(texts[l - 1]!)
          return before === undefined || (words(text).length < before.length && within(words(text), before))
        })
      })
    })
  ),
  Law.make("the last level holds no content", Levelled, ([pairs, levels]) =>
    pairs.every((pair) => {
      const { numbers, others } = degraded(pair, levels)
      return SIDES.every((side) => {
        const last = others![`${side}${numbers![`${side}Levels`]}`]?.completion.text ?? pair[side].text
        return phrases(last).length === 0
      })
    })
  ),
  Law.make("what is drawn is the variant of its degree, any of them", Drawn, ([pairs, levels, u, v]) =>
    pairs.every((pair) => {
      const { numbers, others } = degraded(pair, levels, [u, v])
      const drawn = (side: "chosen" | "rejected", name: string, draw: number) => {
        const degree = numbers![`degree${name}`]!
        const expected = degree === 0 ? pair[side] : others![`${side}${degree}`]!.completion
        const share = degree / (numbers![`${side}Levels`]! + 1)
        return (
          others![`degraded${name}`]!.completion === expected &&
          share <= draw &&
          draw - share < 1 / (numbers![`${side}Levels`]! + 1) + 1e-12
        )
      }
      return drawn("chosen", "Chosen", u) && drawn("rejected", "Rejected", v)
    })
  ),
  Law.make("leaves out no answer but those of fewer levels, if told to", Drawn, ([pairs, levels, u, v]) =>
    pairs.every((pair) => {
      const [kept, left] = (["keep", "leave-out"] as const).map(
        (fewer) => degraded(pair, levels, [u, v], fewer).numbers!
      )
      return SIDES.every((side) => {
        const name = side === "chosen" ? "degreeChosen" : "degreeRejected"
        return left![name] === (kept![`${side}Levels`]! < levels ? -1 : kept![name])
      })
    })
  ),
  Law.make("treats both sides alike and keeps the pair", Levelled, ([pairs, levels]) =>
    pairs.every((pair) => {
      const [made, turned] = [pair, { ...pair, chosen: pair.rejected, rejected: pair.chosen }].map((p) =>
        degraded(p, levels)
      ) as [Pair, Pair]
      return (
        made.chosen === pair.chosen &&
        made.rejected === pair.rejected &&
        made.numbers!["chosenLevels"] === turned.numbers!["rejectedLevels"] &&
        JSON.stringify(made.others!["chosen1"]) === JSON.stringify(turned.others!["rejected1"])
      )
    })
  )
]

/**
 * Gives each pair its answers with more and more of their content deleted: `others.chosen1`, `others.chosen2`, … and
 * `others.rejected1`, …, whose number is the degree; degree 0 is the answer itself.
 * **Details** Content is what RAKE finds, the weightiest first (see `degrees`). `numbers.chosenLevels` and
 * `numbers.rejectedLevels` say how many there are: `levels`, fewer for an answer of fewer phrases, 0 for one without
 * content. Variants have no tokens and end as the answer does; one of which nothing is left is just its end.
 * One variant of each side is drawn, all degrees from 0 alike: `others.degradedChosen`, `others.degradedRejected`, with
 * its degree in `numbers.degreeChosen` and `numbers.degreeRejected`. The draw depends on the seed and the pair's place.
 * **Gotchas** With fewer phrases than `levels`, degree l lacks l phrases, so the same degree means different shares; an
 * answer without content is always of degree 0 (the paper's method skips it). `fewer: "leave-out"` gives both the degree -1,
 * which means none. Where a pair should show other degrees in
 * other epochs, repeat the stage under other streams.
 * **Source** Li et al. 2024, arXiv 2409.17791 (SPO); the levels are a reconstruction.
 */
export const degrade = Stage.make({
  name: "pair.degrade",
  description: "Pairs with their answers at falling degrees of content",
  module: import.meta.url,
  params: {
    levels: Count.pipe(withDefault(3)),
    fewer: Schema.Literals(["keep", "leave-out"]).pipe(withDefault("keep"))
  },
  input: Pairs,
  output: Pairs,
  random: true,
  laws,
  run: ({ input, params, rng }) =>
    Stream.map(Stream.zipWithIndex(input.stream), ([pair, place]) =>
      degraded(pair, params.levels, [rng.uniform(2 * place), rng.uniform(2 * place + 1)], params.fewer)
    )
})
