import { Arbitrary, Schema, Stream } from "effect"
import { type Pair, Pairs } from "../../dsl/artifacts.ts"
import { ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, Probability, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { sigmoid } from "../../runtime/exact/numbers.ts"
import { type Policy, type Row, sampleRow } from "../../runtime/exact/Policy.ts"
import { Bandits, SeedNumber } from "./generated.ts"
import { goldFields } from "./goldFields.ts"
import { completionOf, type Gold, goldOf, promptOf } from "./rows.ts"

const given = Arbitrary.all([Bandits, SeedNumber]).pipe(
  Arbitrary.map(([bandit, seed]) => [bandit, Rng.make(seed, "comparisons")] as const)
)

/**
 * Pairs of answers sampled from a policy (the world's reference unless `policy` is given; the second answer from `opponent`
 * where there is one), labelled by the world: its preferences, or the gold reward.
 * **Details** Contexts in turn. `labels: "sampled"` draws each label from the preference probability (that of
 * Bradley-Terry on gold rewards where the world has no preferences), `"argmax"` takes the likelier one. Labels are then
 * flipped with probability `flip`. Two equal answers, and ties under `argmax`, make no pair, so there may be fewer than
 * `count`. Pair `i` draws from fork `i` of the generator. Numbers: `goldChosen`, `goldRejected` where there is a gold reward;
 * `preference`, the probability that the chosen answer is preferred; `flipped`.
 */
export const comparisons = Stage.make({
  name: "exact.comparisons",
  description: "Sampled and labelled pairs of answers in a world",
  module: import.meta.url,
  params: {
    count: Count,
    labels: Schema.Literals(["sampled", "argmax"]).pipe(withDefault("sampled")),
    flip: Probability.pipe(withDefault(0)),
    ...goldFields
  },
  input: WorldValue,
  inputs: { policy: Stage.optional(ExactPolicyValue), opponent: Stage.optional(ExactPolicyValue) },
  output: Pairs,
  random: true,
  laws: [
    Law.make("compares two different answers to one context", given, ([{ world }, rng]) =>
      drawn(world, rng, {}).every(
        ({ chosen, prompt, rejected }) => chosen.text !== rejected.text && /^c[01]$/.test(prompt.id)
      )
    ),
    Law.make("labelled by argmax it prefers the higher gold reward", given, ([{ world }, rng]) =>
      drawn(world, rng, { labels: "argmax" }).every(
        ({ numbers }) => numbers!["goldChosen"]! > numbers!["goldRejected"]!
      )
    ),
    Law.make("flipped with probability 1 it turns every pair round", given, ([{ world }, rng]) => {
      const [clean, flipped] = [drawn(world, rng, {}), drawn(world, rng, { flip: 1 })]
      return clean.every(({ chosen, id }, i) => flipped[i]!.id === id && flipped[i]!.rejected.text === chosen.text)
    }),
    Law.make("a smaller number of pairs is the beginning of a larger one", given, ([{ world }, rng]) => {
      const [few, many] = [drawn(world, rng, { count: 5 }), drawn(world, rng, { count: 12 })]
      return JSON.stringify(few) === JSON.stringify(many.slice(0, few.length))
    })
  ],
  run: ({ input: world, inputs, params, rng }) =>
    Stream.suspend(() => {
      const policy = policyOf(inputs.policy ?? world.reference)
      const opponent = inputs.opponent === undefined ? policy : policyOf(inputs.opponent)
      return Stream.range(0, params.count - 1).pipe(
        Stream.map((i) => comparison(world, [policy, opponent], i, params, rng)),
        Stream.flattenIterable
      )
    }).pipe(Stream.catchDefect((cause) => Stream.fail(new ComparisonsFailed({ cause }))))
})

type Options = Gold & { readonly flip: number; readonly labels: "sampled" | "argmax" }

/** Pair `i`, or none. */
const comparison = (
  world: World,
  [policy, opponent]: readonly [Policy, Policy],
  i: number,
  options: Options,
  rng: Rng.Rng
): ReadonlyArray<Pair> => {
  const { contexts } = policy.process
  const draws = rng.fork(i)
  const first = sampleRow(policy, i % contexts, draws.fork("first"))
  const second = sampleRow(opponent, i % contexts, draws.fork("second"))
  return labelled(world, i, [first, second], options, draws)
}

const drawn = (world: World, rng: Rng.Rng, told: Partial<Options & { readonly count: number }>) => {
  const policy = policyOf(world.reference)
  const options = {
    objective: 0,
    perToken: false,
    lengthWeight: 0,
    scale: 1,
    flip: 0,
    labels: "sampled",
    ...told
  } as const
  return Array.from({ length: told.count ?? 10 }, (_, i) => comparison(world, [policy, policy], i, options, rng)).flat()
}

/** The world cannot judge what the policy writes. */
export class ComparisonsFailed extends Schema.TaggedError<ComparisonsFailed>()("ComparisonsFailed", {
  cause: Schema.Defect()
}) {
  override get message() {
    return `exact.comparisons: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

const sameAnswer = (a: Row, b: Row): boolean => a.finish === b.finish && String(a.tokens) === String(b.tokens)

const labelled = (
  world: World,
  i: number,
  [first, second]: readonly [Row, Row],
  { flip, labels, ...gold }: Options,
  draws: Rng.Rng
): ReadonlyArray<Pair> => {
  if (sameAnswer(first, second)) return []
  const matrix = world.preferences?.[first.context]
  const hasGold = world.tokenRewards !== undefined || world.rewards !== undefined
  if (matrix === undefined && !hasGold)
    throw new RangeError(`the world has neither preferences in context ${first.context} nor a reward`)
  const golds = hasGold ? [goldOf(world, first, gold), goldOf(world, second, gold)] : [0, 0]
  const preference =
    matrix === undefined ? sigmoid(golds[0]! - golds[1]!) : matrix[first.tokens[0]!]![second.tokens[0]!]!
  if (labels === "argmax" && preference === 0.5) return []
  const isFirst = labels === "argmax" ? preference > 0.5 : draws.uniform(0) < preference
  const flipped = draws.uniform(1) < flip
  const wins = isFirst !== flipped
  const [chosen, rejected] = wins ? [first, second] : [second, first]
  const [goldChosen, goldRejected] = wins ? golds : golds.toReversed()
  return [
    {
      id: `${i}`,
      prompt: promptOf(first.context),
      chosen: completionOf(chosen),
      rejected: completionOf(rejected),
      margin: Math.abs(goldChosen! - goldRejected!),
      numbers: {
        preference: wins ? preference : 1 - preference,
        flipped: flipped ? 1 : 0,
        ...(hasGold ? { goldChosen: goldChosen!, goldRejected: goldRejected! } : {})
      }
    }
  ]
}
