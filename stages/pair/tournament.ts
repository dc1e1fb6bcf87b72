import { Arbitrary, Effect, Schema } from "effect"
import { type Pair, Pairs, Scored, type ScoredCompletion, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { eachGroup } from "./eachGroup.ts"
import { Groups, Seed } from "./generated.ts"
import { unscored } from "./unscored.ts"

type Scheme = "first-round" | "tournament"
type Labels = "argmax" | "bernoulli"
/** Places of two answers that met, the winner first. */
type Duel = readonly [winner: number, loser: number]

/** The duels of answers met in this order, round by round. `wins`: whether the first beats the second of duel `n`. */
export const duels = (
  order: ReadonlyArray<number>,
  scheme: Scheme,
  wins: (first: number, second: number, n: number) => boolean
): ReadonlyArray<Duel> => {
  const met: Array<Duel> = []
  let left = order
  do {
    const winners: Array<number> = []
    for (let at = 0; at < left.length; at += 2) {
      const [first, second] = [left[at]!, left[at + 1]]
      if (second === undefined)
        winners.push(first) // a bye
      else {
        const duel: Duel = wins(first, second, met.length) ? [first, second] : [second, first]
        met.push(duel)
        winners.push(duel[0])
      }
    }
    left = winners
  } while (scheme === "tournament" && left.length > 1)
  return met
}

const pairsOf = (
  { completions, prompt }: ScoredGroup,
  { labels, scheme }: { readonly scheme: Scheme; readonly labels: Labels },
  rng: Rng.Rng
): ReadonlyArray<Pair> => {
  const own = rng.fork(prompt.id)
  const coin = own.fork("labels")
  const lead = (a: number, b: number) => completions[a]!.score - completions[b]!.score
  const wins =
    labels === "argmax"
      ? (a: number, b: number) => lead(a, b) >= 0
      : (a: number, b: number, n: number) => coin.uniform(n) < 1 / (1 + Math.exp(-lead(a, b)))
  return duels([...own.permutation(0, completions.length)], scheme, wins).map(([winner, loser]) => ({
    id: `${prompt.id}/${winner}-${loser}`,
    prompt,
    chosen: unscored(completions[winner]!),
    rejected: unscored(completions[loser]!),
    margin: Math.abs(lead(winner, loser)),
    ...(labels === "bernoulli" && { numbers: { flipped: lead(winner, loser) < 0 ? 1 : 0 } })
  }))
}

const Played = Arbitrary.all([Groups(8), Seed])
const argmax = (scheme: Scheme) => ({ scheme, labels: "argmax" }) as const
const scoreIn = ({ completions }: ScoredGroup, { text }: { readonly text: string }) =>
  completions.find((completion) => completion.text === text)!.score
const best = (completions: ReadonlyArray<ScoredCompletion>) => Math.max(...completions.map(({ score }) => score))

const laws: ReadonlyArray<Law.Law> = [
  Law.make("first-round meets every answer once, but an odd one out", Played, ([groups, seed]) =>
    groups.every((group) => {
      const pairs = pairsOf(group, argmax("first-round"), Rng.make(seed, "t"))
      const met = pairs.flatMap(({ chosen, rejected }) => [chosen.text, rejected.text])
      return pairs.length === Math.floor(group.completions.length / 2) && new Set(met).size === met.length
    })
  ),
  Law.make("a tournament beats all but one of the best answers, each once", Played, ([groups, seed]) =>
    groups.every((group) => {
      const pairs = pairsOf(group, argmax("tournament"), Rng.make(seed, "t"))
      const beaten = new Set(pairs.map(({ rejected }) => rejected.text))
      const champion = group.completions.filter(({ text }) => !beaten.has(text))
      return group.completions.length === 0
        ? pairs.length === 0
        : pairs.length === group.completions.length - 1 &&
            beaten.size === pairs.length &&
            champion[0]!.score === best(group.completions)
    })
  ),
  Law.make("among 2^m answers the champion wins m times", Played, ([groups, seed]) =>
    groups.every((group) => {
      const m = Math.floor(Math.log2(Math.max(1, group.completions.length)))
      const full = { ...group, completions: group.completions.slice(0, 2 ** m) }
      const pairs = pairsOf(full, argmax("tournament"), Rng.make(seed, "t"))
      const last = pairs.at(-1)
      return last === undefined || pairs.filter(({ chosen }) => chosen.text === last.chosen.text).length === m
    })
  ),
  Law.make("the first of a tournament's rounds is first-round", Played, ([groups, seed]) =>
    groups.every((group) => {
      const [first, all] = (["first-round", "tournament"] as const).map((scheme) =>
        pairsOf(group, argmax(scheme), Rng.make(seed, "t"))
      ) as [ReadonlyArray<Pair>, ReadonlyArray<Pair>]
      return JSON.stringify(all.slice(0, first.length)) === JSON.stringify(first)
    })
  ),
  Law.make("margins are distances of scores, and a mark tells a label against them", Played, ([groups, seed]) =>
    groups.every((group) =>
      pairsOf(group, { scheme: "tournament", labels: "bernoulli" }, Rng.make(seed, "t")).every((pair) => {
        const lead = scoreIn(group, pair.chosen) - scoreIn(group, pair.rejected)
        return pair.margin === Math.abs(lead) && pair.numbers?.["flipped"] === (lead < 0 ? 1 : 0)
      })
    )
  )
]

/**
 * Shuffles the scored answers to each prompt and lets neighbours meet; the winner is chosen.
 * **Details** `first-round` plays one round (of an odd number the last is left out); `tournament` lets winners meet, in
 * their order, until one is left, the last of an odd number passing a round without a duel: n - 1 pairs of n answers.
 * Labels: `argmax` prefers the higher score, of equal ones the first met, so margins of 0 occur; `bernoulli` draws the
 * winner with probability `sigma(score difference)`, and `numbers.flipped` is 1 where the lower score won (the margin
 * is the distance either way). Ids are `<prompt id>/<winner>-<loser>` by place. A prompt's draws depend on the seed and
 * its id. Fails with `NoPairs` if not one comes out.
 * **Source** Liu et al. 2023, arXiv 2309.06657 (RSO), names the two schemes; byes, ties and the single shuffle are
 * our choices.
 */
export const tournament = Stage.make({
  name: "pair.tournament",
  description: "Pairs of shuffled answers that meet in rounds",
  module: import.meta.url,
  params: {
    scheme: Schema.Literals(["first-round", "tournament"]).pipe(withDefault("first-round")),
    labels: Schema.Literals(["argmax", "bernoulli"]).pipe(withDefault("argmax"))
  },
  input: Scored,
  output: Pairs,
  random: true,
  laws,
  run: ({ input, params, rng }) =>
    eachGroup(input, params.scheme, (group) => Effect.sync(() => pairsOf(group, params, rng)))
})
