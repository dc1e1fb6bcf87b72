import { Arbitrary, Effect, Result, Schema, Stream } from "effect"
import { Scored, type ScoredCompletion, type ScoredGroup } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, NonNegative, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { rejectionSampling } from "./rejectionSampling.ts"

/** A prompt has fewer answers (different ones, where repeated texts count once) than are to be accepted. */
export class TooFewCandidates extends Schema.TaggedError<TooFewCandidates>()("TooFewCandidates", {
  prompt: Schema.String,
  candidates: Schema.Int,
  k: Schema.Int
}) {
  override get message() {
    return `prompt ${JSON.stringify(this.prompt)} has ${this.candidates} candidates, of which ${this.k} cannot be accepted`
  }
}

interface Options {
  readonly k: number
  readonly beta: number
  readonly dedupe: boolean
}

/** Each text once, where it first stands, with its last reward. */
const distinct = (completions: ReadonlyArray<ScoredCompletion>) => [
  ...new Map(completions.map((completion) => [completion.text, completion])).values()
]

export const drawn = (
  { completions, prompt }: ScoredGroup,
  { beta, dedupe, k }: Options,
  rng: Rng.Rng
): Result.Result<ScoredGroup, TooFewCandidates> => {
  const candidates = dedupe ? distinct(completions) : completions
  if (k > candidates.length)
    return Result.fail(new TooFewCandidates({ prompt: prompt.id, candidates: candidates.length, k }))
  const rewards = candidates.map(({ score }) => score)
  const accepted = rejectionSampling(rewards, { beta, k }, rng.fork(prompt.id).uniform)
  return Result.succeed({ prompt, completions: accepted.map(({ index }) => candidates[index]!) })
}

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
/** Rewards are multiples of 1/8 and betas of 1/4, so that shifts and doublings are exact; every third text repeats. */
const Case = Arbitrary.all([
  Arbitrary.array(int(-16, 16), { minLength: 1, maxLength: 9 }),
  int(1, 9),
  int(0, 12),
  int(0, 10_000),
  int(-20, 20)
]).pipe(
  Arbitrary.map(([rewards, k, beta, seed, shift]) => ({
    group: {
      prompt: { id: "p", text: "" },
      completions: rewards.map(
        (reward, i): ScoredCompletion => ({ text: `${i % 3}`, tokens: [i], finish: "stop", score: reward / 8 })
      )
    },
    options: { k: Math.min(k, rewards.length), beta: beta / 4, dedupe: false },
    rng: Rng.make(seed, "rejection"),
    shift
  }))
)
const places = (group: ScoredGroup, options: Options, rng: Rng.Rng) =>
  Result.getOrThrow(drawn(group, options, rng)).completions.map(({ tokens }) => tokens![0]!)
const rescored = (group: ScoredGroup, score: (score: number) => number): ScoredGroup => ({
  ...group,
  completions: group.completions.map((own) => ({ ...own, score: score(own.score) }))
})

const laws: ReadonlyArray<Law.Law> = [
  Law.make("accepts k candidates, none twice, unchanged", Case, ({ group, options, rng }) => {
    const { completions } = Result.getOrThrow(drawn(group, options, rng))
    return (
      completions.length === options.k &&
      new Set(completions).size === options.k &&
      completions.every((own) => group.completions.includes(own))
    )
  }),
  Law.make("does not see a constant in the rewards", Case, ({ group, options, rng, shift }) => {
    const moved = rescored(group, (score) => score + shift)
    return String(places(group, options, rng)) === String(places(moved, options, rng))
  }),
  Law.make("does not see a common scale of rewards and beta", Case, ({ group, options, rng }) => {
    const doubled = rescored(group, (score) => 2 * score)
    return String(places(group, options, rng)) === String(places(doubled, { ...options, beta: 2 * options.beta }, rng))
  }),
  Law.make("at beta 0 takes the best, at a large beta the first", Case, ({ group, options, rng }) => {
    const first = places(group, { ...options, beta: 1e18 }, rng)
    const best = places(group, { ...options, beta: 0 }, rng).map((i) => group.completions[i]!.score)
    const sorted = group.completions.map(({ score }) => score).sort((a, b) => b - a)
    return first.every((place, i) => place === i) && best.every((score, i) => score === sorted[i])
  }),
  Law.make("a candidate accepted first is so with a higher reward too", Case, ({ group, options, rng }) => {
    const one = { ...options, k: 1 }
    const [at] = places(group, one, rng) as [number]
    const best = Math.max(...group.completions.map(({ score }) => score))
    const raised = group.completions.map((own, i) => (i === at ? { ...own, score: (own.score + best) / 2 } : own))
    return places({ ...group, completions: raised }, one, rng)[0] === at
  }),
  Law.make("without repeats accepts each text once, with its last reward", Case, ({ group, options, rng }) => {
    const last = new Map(group.completions.map(({ score, text }) => [text, score]))
    const made = drawn(group, { ...options, dedupe: true }, rng)
    if (Result.isFailure(made)) return last.size < options.k
    const { completions } = made.success
    return (
      new Set(completions.map(({ text }) => text)).size === options.k &&
      completions.every(({ score, text }) => score === last.get(text))
    )
  })
]

/**
 * Draws `k` of the answers to each prompt by statistical rejection sampling: pairs among them are pairs of the policy
 * `pi(y|x) exp(score / beta) / Z(x)`, if the answers are samples of pi.
 * **Details** See `rejectionSampling`; answers come in order of acceptance, which for `beta` 0 is from the best down
 * (ties in order) and for a large one as they stood. `dedupe` makes repeated texts one candidate, with the last one's
 * score, where the first stands: as in the published code, for texts that hardly repeat. Set it to false where few
 * answers are possible, since how often each was drawn is what carries pi. Fails with `TooFewCandidates` where a prompt
 * has fewer than `k`. Draws depend on the seed, the prompt's id and the visit.
 * **Source** Liu et al. 2023, arXiv 2309.06657 (RSO): `k` 8 of 64 and `beta` 0.5.
 */
export const statisticalRejection = Stage.make({
  name: "filter.statistical-rejection",
  description: "Scored answers drawn towards higher scores by rejection",
  module: import.meta.url,
  params: {
    k: Count.pipe(withDefault(8)),
    beta: NonNegative.pipe(withDefault(0.5)),
    dedupe: Schema.Boolean.pipe(withDefault(true))
  },
  input: Scored,
  output: Scored,
  random: true,
  laws,
  run: ({ input, params, rng }) =>
    Stream.mapEffect(input.stream, (group) => Effect.fromResult(drawn(group, params, rng)))
})
