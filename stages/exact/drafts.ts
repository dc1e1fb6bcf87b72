/**
 * How a policy over responses improves on drafts: beside each context there is one for every draft of it. Of `C` contexts with
 * `N` responses, context `c` with draft `d` is number `C + c N + d`.
 */
import { Arbitrary, Effect, Stream } from "effect"
import { type Completion, type Other, type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { Bandits, close, SeedNumber } from "./generated.ts"
import { completionOf, promptOf, rowOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"

/** The number of a context that asks for a better answer than `draft`. */
export const draftContext = (contexts: number, responses: number, context: number, draft: number): number =>
  contexts + context * responses + draft

/** The plain context of a context of any kind, and its draft, if it has one. */
export const plainContext = (contexts: number, responses: number, context: number) =>
  context < contexts
    ? { context, draft: undefined }
    : { context: Math.floor((context - contexts) / responses), draft: (context - contexts) % responses }

/** A world with a context for every draft behind its own; see `drafting`. */
export const withDrafts = (world: World): World => {
  const policy = policyOf(world.reference)
  const { contexts } = policy.process
  const responses = responseLogProbs(policy, 0).length
  const plain = Array.from(
    { length: contexts * (1 + responses) },
    (_, context) => plainContext(contexts, responses, context).context
  )
  return {
    reference: {
      family: { kind: "softmax", contexts: plain.length, responses },
      theta: plain.flatMap((context) => [...responseLogProbs(policy, context)])
    },
    ...(world.rewards && { rewards: world.rewards.map((reward) => plain.map((context) => reward[context]!)) }),
    ...(world.preferences && { preferences: plain.map((context) => world.preferences![context]!) })
  }
}

const sizeOf = (world: World) => {
  const policy = policyOf(world.reference)
  return { contexts: policy.process.contexts, responses: responseLogProbs(policy, 0).length }
}
const draftingLaws: ReadonlyArray<Law.Law> = [
  Law.make("has a context more for every response of each", Bandits, ({ world }) => {
    const { contexts, responses } = sizeOf(world)
    return sizeOf(withDrafts(world)).contexts === contexts * (1 + responses)
  }),
  Law.make("a draft changes neither rewards nor the reference", Bandits, ({ world }) => {
    const { contexts, responses } = sizeOf(world)
    const [before, after] = [world, withDrafts(world)]
    const [own, made] = [before, after].map(({ reference }) => policyOf(reference))
    return after.rewards![0]!.every((row, c) => {
      const { context } = plainContext(contexts, responses, c)
      const logProbs = responseLogProbs(own!, context)
      return (
        String(row) === String(before.rewards![0]![context]) &&
        responseLogProbs(made!, c).every((l, y) => close(l, logProbs[y]!))
      )
    })
  }),
  Law.make("numbers of contexts tell context and draft", Bandits, ({ world }) => {
    const { contexts, responses } = sizeOf(world)
    return Array.from({ length: contexts * responses }, (_, i) => i).every((i) => {
      const [context, draft] = [Math.floor(i / responses), i % responses]
      const found = plainContext(contexts, responses, draftContext(contexts, responses, context, draft))
      return found.context === context && found.draft === draft
    })
  })
]

/**
 * The world in which every response may be improved on: its contexts, then for each of them one for every draft, with the same
 * reference, rewards and preferences. Fails with `WorldInvalid` for a world of sequences.
 */
export const drafting = Stage.make({
  name: "exact.drafting",
  description: "A world with a context for every draft",
  module: import.meta.url,
  params: {},
  input: WorldValue,
  output: WorldValue,
  laws: draftingLaws,
  run: ({ input: world }) =>
    Effect.try({
      try: () => withDrafts(world),
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})

const views = (pair: Pair, contexts: number, responses: number): Pair => {
  const [w, l] = [rowOf(pair, "chosen"), rowOf(pair, "rejected")]
  if (w.context >= contexts || [...w.tokens, ...l.tokens].some((response) => response >= responses))
    throw new RangeError(`pair ${pair.id} is not of ${responses} responses in ${contexts} contexts`)
  const given = (draft: typeof w, completion: Completion): Other => ({
    prompt: promptOf(draftContext(contexts, responses, draft.context, draft.tokens[0]!)),
    completion
  })
  return {
    ...pair,
    numbers: { ...pair.numbers, label: pair.numbers?.["preference"] ?? 1 },
    others: {
      ...pair.others,
      wl: given(l, pair.chosen),
      ll: given(l, pair.rejected),
      ww: given(w, pair.chosen),
      lw: given(w, pair.rejected)
    }
  }
}

const Some = Arbitrary.all([SeedNumber, SeedNumber, SeedNumber]).pipe(
  Arbitrary.map(([a, b, c]): Pair => {
    const answer = (response: number) => completionOf({ context: 0, tokens: [response], finish: "stop" })
    return {
      id: "p",
      prompt: promptOf(c % 2),
      chosen: answer(a % 3),
      rejected: answer(b % 3),
      margin: 0,
      numbers: { preference: (c % 11) / 10 }
    }
  })
)
const exchanged = (pair: Pair): Pair => ({ ...pair, chosen: pair.rejected, rejected: pair.chosen })

const viewsLaws: ReadonlyArray<Law.Law> = [
  Law.make("swapping the labels swaps the views", Some, (pair) => {
    const [made, other] = [views(pair, 2, 3).others!, views(exchanged(pair), 2, 3).others!]
    const mirror = { wl: "lw", ll: "ww", ww: "ll", lw: "wl" }
    return Object.entries(mirror).every(([name, seen]) => JSON.stringify(made[name]) === JSON.stringify(other[seen]))
  }),
  Law.make("a view's context is that of its draft", Some, (pair) => {
    const made = views(pair, 2, 3)
    const draft = { w: pair.chosen, l: pair.rejected }
    return (["wl", "ll", "ww", "lw"] as const).every((name) => {
      const found = plainContext(2, 3, rowOf(made, name).context)
      return `c${found.context}` === pair.prompt.id && found.draft === draft[name[1] as "w" | "l"].tokens![0]
    })
  }),
  Law.make("labels are preferences, and the rest stays", Some, (pair) => {
    const { numbers, others: _, ...rest } = views(pair, 2, 3)
    const { numbers: before, ...own } = pair
    const { label, ...kept } = numbers!
    return label === before!["preference"] && JSON.stringify([own, before]) === JSON.stringify([rest, kept])
  })
]

/**
 * Gives each pair of responses its four views of a draft in the contexts of `drafting`, named as `pair.draft-views` does:
 * `wl` is the chosen one given the rejected as draft. The number `label` is the pair's `preference`.
 */
export const draftViews = Stage.make({
  name: "exact.draft-views",
  description: "Pairs of responses given either as a draft",
  module: import.meta.url,
  params: { contexts: Count, responses: Count },
  input: Pairs,
  output: Pairs,
  laws: viewsLaws,
  run: ({ input, params: { contexts, responses } }) =>
    Stream.mapEffect(input.stream, (pair) =>
      Effect.try({
        try: () => views(pair, contexts, responses),
        catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    )
})
