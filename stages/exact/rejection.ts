import { Arbitrary, Effect, Result, Schema } from "effect"
import { type Evaluation, EvaluationReport, type ScoredCompletion } from "../../dsl/artifacts.ts"
import { type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, Index, NonNegative, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { klOptimum } from "../../runtime/exact/bandit.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { maximum, totalVariation } from "../../runtime/exact/numbers.ts"
import { responseLogProbs, sampleRow } from "../../runtime/exact/Policy.ts"
import { estimate } from "../evaluate/estimates.ts"
import { rejectionSampling } from "../filter/rejectionSampling.ts"
import { drawn } from "../filter/statisticalRejection.ts"
import { completionOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"
import { bandit } from "./worlds/bandit.ts"

interface Options {
  readonly repeats: number
  readonly candidates: number
  readonly beta: number
  readonly dedupe: boolean
  readonly objective: number
}

const measured = (world: World, options: Options, rng: Rng.Rng): Evaluation => {
  const { beta, candidates, dedupe, objective, repeats } = options
  const policy = policyOf(world.reference)
  const rewards = world.rewards?.[objective]?.[0]
  if (rewards === undefined) throw new RangeError(`the world has no reward ${objective}`)
  const logReference = responseLogProbs(policy, 0)
  const reference = logReference.map(Math.exp)
  const responses = rewards.map(
    (score, response): ScoredCompletion => ({
      ...completionOf({ context: 0, tokens: [response], finish: "stop" }),
      score
    })
  )
  const counts = new Float64Array(rewards.length)
  const passed: Array<number> = []
  for (let i = 0; i < repeats; i++) {
    const draws = rng.fork(i)
    const sampled = draws.fork("candidates")
    const completions = Array.from(
      { length: candidates },
      (_, j) => responses[sampleRow(policy, 0, sampled.fork(j)).tokens[0]!]!
    )
    const group = { prompt: { id: `c0/${i}`, text: "" }, completions }
    const [first] = Result.getOrThrow(drawn(group, { k: 1, beta, dedupe }, draws)).completions
    counts[first!.tokens![0]!]! += 1 / repeats
    if (dedupe) continue
    const scores = completions.map(({ score }) => score)
    const all = rejectionSampling(scores, { beta, k: candidates }, draws.fork("passes").uniform)
    passed.push(all.filter(({ pass }) => pass === 0).length / candidates)
  }
  const best = maximum(rewards)
  const optimum = beta === 0 ? undefined : klOptimum(logReference, rewards, beta).logPolicy.map(Math.exp)
  const rate = rewards.reduce(
    (sum, r, y) => sum + reference[y]! * (r === best ? 1 : beta === 0 ? 0 : Math.exp((r - best) / beta)),
    0
  )
  const point = (mean: number) => ({ mean, low: mean, high: mean, count: repeats })
  return {
    estimates: {
      "acceptance/expected": point(rate),
      ...(dedupe ? {} : { acceptance: estimate(passed) }),
      ...(optimum === undefined
        ? {}
        : {
            "first/total_variation": point(totalVariation(counts, optimum)),
            "reference/total_variation": point(totalVariation(reference, optimum))
          }),
      "reference/best": point(reference[rewards.indexOf(best)]!)
    },
    examples: []
  }
}

const Case = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))).pipe(
  Arbitrary.map((seed) => {
    const rng = Rng.make(seed, "rejection")
    const world = bandit({ contexts: 1, responses: 3 }).implementation(rng)
    return { rng, world, options: { repeats: 20, candidates: 8, beta: 0.5 + (seed % 3), dedupe: false, objective: 0 } }
  })
)
const shifted = (world: World, by: (reward: number) => number): World => ({
  ...world,
  rewards: world.rewards!.map((table) => table.map((row) => row.map(by)))
})
const close = (a: Evaluation, b: Evaluation) =>
  Object.entries(a.estimates).every(([name, { mean }]) => Math.abs(mean - b.estimates[name]!.mean) < 1e-9)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("does not see a constant in the rewards", Case, ({ options, rng, world }) =>
    close(
      measured(world, options, rng),
      measured(
        shifted(world, (r) => r + 4),
        options,
        rng
      )
    )
  ),
  Law.make("does not see a common scale of rewards and beta", Case, ({ options, rng, world }) =>
    close(
      measured(world, options, rng),
      measured(
        shifted(world, (r) => 2 * r),
        { ...options, beta: 2 * options.beta },
        rng
      )
    )
  ),
  Law.make("at a large beta the reference is the optimum, and all pass", Case, ({ options, rng, world }) => {
    const { estimates } = measured(world, { ...options, beta: 1e9 }, rng)
    return estimates["reference/total_variation"]!.mean < 1e-6 && estimates["acceptance"]!.mean === 1
  })
]

/**
 * What statistical rejection sampling accepts, against its theory, in the first context of a bandit: `first/total_variation`
 * of the first accepted answer's law over many repeats to the tilted policy `reference exp(reward / beta) / Z`, beside the
 * reference's own `reference/total_variation`; `acceptance`, the share of the candidates accepted in the first pass where it
 * is not cut short, beside `acceptance/expected`, `E_reference exp((reward - best) / beta)`; `reference/best`, the reference's
 * probability of the best response.
 * **Details** Each repeat draws its `candidates` from the reference. With `dedupe` repeated answers count once, so the share
 * is not measured. Total variations are absent at `beta` 0.
 * **Source** Liu et al. 2023, arXiv 2309.06657 (RSO).
 */
export const rejection = Stage.make({
  name: "exact.rejection",
  description: "The law of what rejection sampling accepts",
  module: import.meta.url,
  params: {
    repeats: Count,
    candidates: Count.pipe(withDefault(64)),
    beta: NonNegative.pipe(withDefault(0.5)),
    dedupe: Schema.Boolean.pipe(withDefault(false)),
    objective: Index.pipe(withDefault(0))
  },
  input: WorldValue,
  output: EvaluationReport,
  random: true,
  laws,
  run: ({ input, params, rng }) =>
    Effect.try({
      try: () => measured(input, params, rng),
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})
