import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Completion, type Pair, Pairs, type Prompt, Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Index, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { eachGroup } from "./eachGroup.ts"
import { Groups } from "./generated.ts"
import { unscored } from "./unscored.ts"

const RECIPES = {
  "human-human": ["human"],
  "human-self": ["human", "greedy"],
  "self-reward": [],
  "strong-self": ["strong", "greedy"],
  "strong-self-reward": ["strong", "greedy"],
  "multi-reward": ["strong"]
} as const

type Recipe = keyof typeof RECIPES
type Further = "greedy" | "strong" | "human"

/** The number that tells where an answer is from. */
const SOURCES = { target: 0, strong: 1, human: 2 } as const

/** A recipe was not given a source of its answers. */
export class SourceMissing extends Schema.TaggedError<SourceMissing>()("SourceMissing", {
  recipe: Schema.String,
  source: Schema.String
}) {
  override get message() {
    return `the recipe ${this.recipe} takes answers of ${this.source}: give them`
  }
}

interface Answer {
  readonly completion: Completion
  readonly score: number
  readonly source: keyof typeof SOURCES
  /** Where it stands among its source's answers. */
  readonly place: string
}

interface Given {
  readonly target: ScoredGroup
  readonly greedy?: ScoredGroup | undefined
  readonly strong?: ScoredGroup | undefined
  readonly human?: Pair | undefined
}

const answersOf = (
  group: ScoredGroup | undefined,
  source: "target" | "strong",
  prefix: string
): ReadonlyArray<Answer> =>
  (group?.completions ?? []).map((own, i) => ({
    completion: unscored(own),
    score: own.score,
    source,
    place: `${prefix}${i}`
  }))

const pairOf = (prompt: Prompt, chosen: Answer | undefined, rejected: Answer | undefined, margin: number) =>
  chosen === undefined || rejected === undefined || chosen.completion.text === rejected.completion.text
    ? []
    : [
        {
          id: `${prompt.id}/${chosen.place}-${rejected.place}`,
          prompt,
          chosen: chosen.completion,
          rejected: rejected.completion,
          margin,
          numbers: { chosenSource: SOURCES[chosen.source], rejectedSource: SOURCES[rejected.source] }
        } satisfies Pair
      ]

/** The first of the best over the first of the worst of a pool's answers that are long enough, where two are. */
const extremes = (prompt: Prompt, pool: ReadonlyArray<Answer>, minCharacters: number): ReadonlyArray<Pair> => {
  const left = pool.filter(({ completion }) => completion.text.trim().length >= minCharacters)
  if (left.length < 2) return []
  const best = left.reduce((found, answer) => (answer.score > found.score ? answer : found))
  const worst = left.reduce((found, answer) => (answer.score < found.score ? answer : found))
  return pairOf(prompt, best, worst, best.score - worst.score)
}

const made = (recipe: Recipe, { greedy, human, strong, target }: Given, minCharacters: number): ReadonlyArray<Pair> => {
  const { prompt } = target
  const [own] = answersOf(greedy, "target", "greedy")
  const [better] = answersOf(strong, "strong", "strong")
  const samples = answersOf(target, "target", "target")
  const ofHuman = (side: "chosen" | "rejected"): Answer | undefined =>
    human && { completion: human[side], score: 0, source: "human", place: side }
  switch (recipe) {
    case "human-human":
      return pairOf(prompt, ofHuman("chosen"), ofHuman("rejected"), human?.margin ?? 0)
    case "human-self":
      return pairOf(prompt, ofHuman("chosen"), own, 0)
    case "self-reward":
      return extremes(prompt, samples, minCharacters)
    case "strong-self":
      return pairOf(prompt, better, own, 0)
    case "strong-self-reward": {
      if (own === undefined || better === undefined) return []
      const gap = better.score - own.score
      return gap < 0 ? pairOf(prompt, own, better, -gap) : pairOf(prompt, better, own, gap)
    }
    case "multi-reward":
      return extremes(prompt, [...samples, ...answersOf(strong, "strong", "strong")], minCharacters)
  }
}

const rescored = (group: ScoredGroup, score: (score: number) => number): ScoredGroup => ({
  ...group,
  completions: group.completions.map((own) => ({ ...own, score: score(own.score) }))
})
const retold = (group: ScoredGroup, by: string): ScoredGroup => ({
  ...group,
  completions: group.completions.map((own) => ({ ...own, text: `${own.text} ${by}` }))
})
const Case = Groups().pipe(
  Arbitrary.map((groups) =>
    groups.map(
      (target): Given => ({
        target,
        greedy: retold(target, "greedy"),
        strong: rescored(retold(target, "strong"), (s) => 1 - s)
      })
    )
  )
)
const texts = (pairs: ReadonlyArray<Pair>) => pairs.map(({ chosen, rejected }) => `${chosen.text} > ${rejected.text}`)
const same = (a: ReadonlyArray<Pair>, b: ReadonlyArray<Pair>) => String(texts(a)) === String(texts(b))
const sourcesOf = ({ numbers }: Pair) => [numbers!["chosenSource"], numbers!["rejectedSource"]]

const laws: ReadonlyArray<Law.Law> = [
  Law.make("by rewards sees only their order", Case, (all) =>
    all.every((given) => {
      const turned = { ...given, target: rescored(given.target, (score) => score ** 3 + 2 * score) }
      return same(made("self-reward", given, 0), made("self-reward", turned, 0))
    })
  ),
  Law.make("the stronger over the own answer does not see rewards", Case, (all) =>
    all.every((given) => {
      const turned = { ...given, strong: rescored(given.strong!, () => -9), greedy: rescored(given.greedy!, () => 9) }
      return same(made("strong-self", given, 0), made("strong-self", turned, 0))
    })
  ),
  Law.make("with a reward that always prefers it, the stronger answer is chosen", Case, (all) =>
    all.every((given) => {
      const turned = { ...given, strong: rescored(given.strong!, () => 9) }
      return same(made("strong-self-reward", turned, 0), made("strong-self", given, 0))
    })
  ),
  Law.make("a pool of nobody else's answers is one's own", Case, (all) =>
    all.every((given) => {
      const alone = { ...given, strong: { ...given.strong!, completions: [] } }
      return same(made("multi-reward", alone, 0), made("self-reward", given, 0))
    })
  ),
  Law.make("tells where both sides are from", Case, (all) =>
    all.every(
      (given) =>
        made("self-reward", given, 0).every((pair) => String(sourcesOf(pair)) === "0,0") &&
        made("strong-self", given, 0).every((pair) => String(sourcesOf(pair)) === "1,0") &&
        made("multi-reward", given, 0).every((pair) =>
          [pair.chosen, pair.rejected].every(
            ({ text }, side) => text.endsWith("strong") === (sourcesOf(pair)[side] === SOURCES.strong)
          )
        )
    )
  ),
  Law.make("leaves out short answers and prompts with fewer than two others", Case, (all) =>
    all.every((given) => {
      const long = given.target.completions.filter(({ text }) => text.trim().length >= 4)
      const pairs = made("self-reward", given, 4)
      return (
        (long.length >= 2 || pairs.length === 0) &&
        pairs.every(({ chosen, rejected }) => chosen.text.trim().length >= 4 && rejected.text.trim().length >= 4)
      )
    })
  )
]

/**
 * Pairs of answers from different sources, a recipe at a time, with where each side is from. The input is the target
 * policy's own samples, scored; `greedy` its greedy answers, `strong` those of a stronger model, `human` pairs of people, all
 * found by the prompt's id. A prompt that a source lacks, and two equal texts, make no pair.
 * **Details** Recipes: `human-human` as people have it; `human-self` people's chosen answer over the greedy one; `self-reward`
 * the best over the worst sample by score; `strong-self` the stronger model's first answer over the greedy one, without a look
 * at scores; `strong-self-reward` the same two, the greedy one chosen where it scores strictly higher; `multi-reward` the best
 * over the worst of the samples and the stronger model's answers together. The recipes by best and worst leave out answers
 * of fewer than `minCharacters` characters (trimmed), and prompts with fewer than two others; of equals the first is taken.
 * `numbers.chosenSource`, `numbers.rejectedSource`: 0 the target, 1 the stronger model, 2 people. Margins are differences of
 * scores, 0 where no score was looked at. Fails with `SourceMissing`, and with `NoPairs` if not one comes out.
 * **Source** arXiv 2504.02193, "More is Less: The Pitfalls of Multi-Model Synthetic Preference Data in DPO Safety Alignment".
 */
export const sources = Stage.make({
  name: "pair.sources",
  description: "Pairs of answers from several sources",
  module: import.meta.url,
  params: {
    recipe: Schema.Literals(Object.keys(RECIPES) as [Recipe, ...Array<Recipe>]),
    minCharacters: Index.pipe(withDefault(5))
  },
  input: Scored,
  inputs: { greedy: Stage.optional(Scored), strong: Stage.optional(Scored), human: Stage.optional(Pairs) },
  output: Pairs,
  laws,
  run: ({ input, inputs, params: { minCharacters, recipe } }) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const missing = RECIPES[recipe].find((source: Further) => inputs[source] === undefined)
        if (missing !== undefined) return yield* new SourceMissing({ recipe, source: missing })
        const [greedy, strong, human] = yield* Effect.all([
          byPrompt(inputs.greedy?.stream),
          byPrompt(inputs.strong?.stream),
          byPrompt(inputs.human?.stream)
        ])
        return eachGroup(input, recipe, (target) => {
          const { id } = target.prompt
          const given = { target, greedy: greedy.get(id), strong: strong.get(id), human: human.get(id) }
          return Effect.sync(() => made(recipe, given, minCharacters))
        })
      })
    )
})

const byPrompt = <A extends { readonly prompt: Prompt }, E>(stream: Stream.Stream<A, E> | undefined) =>
  stream === undefined
    ? Effect.succeed(new Map<string, A>())
    : Effect.map(Stream.runCollect(stream), (all) => new Map(all.toReversed().map((one) => [one.prompt.id, one])))
