import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type CompletionGroup, Completions, Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { type Duel, Judge } from "./Judge.ts"

/** A judge gave something else than one probability for each duel. */
export class JudgementInvalid extends Schema.TaggedError<JudgementInvalid>()("JudgementInvalid", {
  judge: Schema.String,
  prompt: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `the judge ${this.judge}, prompt ${JSON.stringify(this.prompt)}: ${this.problem}`
  }
}

/** Asks about every two answers once: the other order is what is missing to 1, an answer against itself 1/2. */
const rated = Effect.fnUntraced(function* (
  { completions, prompt }: CompletionGroup,
  { implementation, name }: { readonly name: string; readonly implementation: Judge }
) {
  const duels = completions.flatMap(({ text: first }, i) =>
    completions.slice(i + 1).map(({ text: second }): Duel => ({ prompt: prompt.text, first, second }))
  )
  const invalid = (problem: string) => new JudgementInvalid({ judge: name, prompt: prompt.id, problem })
  const judged = yield* implementation.prefers(duels)
  if (judged.length !== duels.length) return yield* invalid(`judged ${judged.length} of ${duels.length} duels`)
  const bad = judged.find((p) => !(p >= 0 && p <= 1))
  if (bad !== undefined) return yield* invalid(`${bad} is no probability`)
  const wins = completions.map(() => 0.5)
  let duel = 0
  for (let i = 0; i < wins.length; i++) {
    for (let j = i + 1; j < wins.length; j++, duel++) {
      wins[i]! += judged[duel]!
      wins[j]! += 1 - judged[duel]!
    }
  }
  const group: ScoredGroup = {
    prompt,
    completions: completions.map((completion, i) => ({ ...completion, score: wins[i]! / wins.length }))
  }
  return group
})

const Numbers = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))), {
  minLength: 1,
  maxLength: 6
})
const groupOf = (numbers: ReadonlyArray<number>): CompletionGroup => ({
  prompt: { id: "p", text: "" },
  completions: numbers.map((n) => ({ text: `${n}`, finish: "stop" }))
})
/** Three kinds of answers that beat one another in a circle, by 1/4, 3/4 or not at all. */
const circle = {
  name: "circle",
  implementation: {
    prefers: (duels) =>
      Effect.succeed(
        duels.map(({ first, second }) => [0.5, 0.75, 0.25][(((Number(first) - Number(second)) % 3) + 3) % 3]!)
      )
  } satisfies Judge
}
const scores = (numbers: ReadonlyArray<number>) =>
  Effect.map(rated(groupOf(numbers), circle), ({ completions }) => completions.map(({ score }) => score))

const laws: ReadonlyArray<Law.Law> = [
  Law.make("win rates lie in [1/(2K), 1 - 1/(2K)] and average 1/2", Numbers, (numbers) =>
    Effect.map(scores(numbers), (rates) => {
      const [K, sum] = [rates.length, rates.reduce((total, rate) => total + rate, 0)]
      return Math.abs(sum / K - 0.5) < 1e-12 && rates.every((rate) => rate >= 0.5 / K && rate <= 1 - 0.5 / K)
    })
  ),
  Law.make("equal answers have equal win rates", Numbers, (numbers) =>
    Effect.map(scores([...numbers, ...numbers]), (rates) =>
      numbers.every((_, i) => Math.abs(rates[i]! - rates[i + numbers.length]!) < 1e-12)
    )
  ),
  Law.make("does not depend on the order of answers", Numbers, (numbers) =>
    Effect.map(Effect.all([scores(numbers), scores(numbers.toReversed())]), ([forth, back]) =>
      forth.every((rate, i) => Math.abs(rate - back[back.length - 1 - i]!) < 1e-12)
    )
  ),
  Law.make("is the mean over all answers, the answer itself included", Numbers, (numbers) =>
    Effect.gen(function* () {
      const rates = yield* scores(numbers)
      for (const [i, own] of numbers.entries()) {
        const against = numbers.map((other): Duel => ({ prompt: "", first: `${own}`, second: `${other}` }))
        const row = yield* circle.implementation.prefers(against)
        if (Math.abs(rates[i]! - row.reduce((sum, p) => sum + p, 0) / row.length) > 1e-12) return false
      }
      return true
    })
  )
]

/**
 * Scores every answer with its win rate among the K answers to its prompt: the mean over all of them of P(it > other),
 * itself included with 1/2. It estimates the win rate against the policy that the answers were drawn from.
 * **Details** Fails with `JudgementInvalid` where the judge gives something else than probabilities, and with its own
 * error.
 * **Source** Wu et al. 2024, arXiv 2405.00675 (SPPO), as its released code computes it.
 */
export const winRates = Stage.make({
  name: "score.win-rates",
  description: "Answers with their win rates among one another",
  module: import.meta.url,
  params: { judge: Judge.schema },
  input: Completions,
  output: Scored,
  laws,
  run: ({ input, params }) => Stream.mapEffect(input.stream, (group) => rated(group, params.judge))
})
