import { Arbitrary, Stream } from "effect"
import { type Other, type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { draftPrompt, type Template, templateFields } from "./draftPrompt.ts"
import { SomePairs } from "./generated.ts"

const views = (pair: Pair, template: Template): Pair => {
  const { chosen, others, prompt, rejected } = pair
  const given = (draft: Pair["chosen"], completion: Pair["chosen"]): Other => ({
    prompt: draftPrompt(prompt, draft, template),
    completion
  })
  return {
    ...pair,
    others: {
      ...others,
      wl: given(rejected, chosen),
      ll: given(rejected, rejected),
      ww: given(chosen, chosen),
      lw: given(chosen, rejected)
    }
  }
}

const TEMPLATE: Template = { before: " <draft>", after: " <better> " }
const at = ({ others }: Pair, name: string) => others![name]!
const swapped = (pair: Pair): Pair => ({ ...pair, chosen: pair.rejected, rejected: pair.chosen })

const laws: ReadonlyArray<Law.Law> = [
  Law.make("answers with the first letter, given the second as draft", SomePairs, (pairs) =>
    pairs.every((pair) => {
      const made = views(pair, TEMPLATE)
      const answer = { w: pair.chosen, l: pair.rejected }
      return (["w", "l"] as const).every((own) =>
        (["w", "l"] as const).every((draft) => {
          const { completion, prompt } = at(made, own + draft)
          return (
            completion === answer[own] && prompt!.text === `${pair.prompt.text} <draft>${answer[draft].text} <better> `
          )
        })
      )
    })
  ),
  Law.make("swapping the labels swaps the views", SomePairs, (pairs) =>
    pairs.every((pair) => {
      const [made, other] = [views(pair, TEMPLATE), views(swapped(pair), TEMPLATE)]
      const mirror = { wl: "lw", ll: "ww", ww: "ll", lw: "wl" }
      return Object.entries(mirror).every(
        ([name, seen]) => JSON.stringify(at(made, name)) === JSON.stringify(at(other, seen))
      )
    })
  ),
  Law.make(
    "two prompts are one exactly where prompt and draft are",
    Arbitrary.all([SomePairs, SomePairs]),
    ([a, b]) => {
      const drafts = [...a, ...b].flatMap((pair) => {
        const made = views(pair, TEMPLATE)
        return [
          [`${pair.prompt.id} ${pair.rejected.text}`, at(made, "wl").prompt!.id, at(made, "ll").prompt!.id],
          [`${pair.prompt.id} ${pair.chosen.text}`, at(made, "ww").prompt!.id, at(made, "lw").prompt!.id]
        ] as const
      })
      return drafts.every(
        ([own, id, again]) => id === again && drafts.every(([other, otherId]) => (own === other) === (id === otherId))
      )
    }
  ),
  Law.make("keeps the pair and its further answers", SomePairs, (pairs) =>
    pairs.every((pair) => {
      const { others, ...rest } = views(pair, TEMPLATE)
      const { ll, lw, wl, ww, ...kept } = others!
      const { others: before, ...own } = pair
      return JSON.stringify([own, before ?? {}]) === JSON.stringify([rest, kept])
    })
  )
]

/**
 * Gives each pair the four views of a draft: `others.wl` is the chosen answer given the rejected one as draft, `ll` the
 * rejected given itself, `ww` the chosen given itself, `lw` the rejected given the chosen; each has a prompt of its
 * own.
 * **Details** That prompt is `<prompt><before><draft><after>`; see `draftPrompt` for its id. Without a draft the
 * answers stay the pair's own. A name that `others` has already is replaced.
 * **Source** Choi et al. 2024, arXiv 2406.01660 (SRPO); the marks around the draft are ours.
 */
export const draftViews = Stage.make({
  name: "pair.draft-views",
  description: "Pairs with both answers given either as a draft",
  module: import.meta.url,
  params: templateFields,
  input: Pairs,
  output: Pairs,
  laws,
  run: ({ input, params }) => Stream.map(input.stream, (pair) => views(pair, params))
})
