import { Arbitrary, Effect, Schema } from "effect"
import { type Evaluation, EvaluationReport } from "../../dsl/artifacts.ts"
import { type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, Index, NonNegative, Positive, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { klOptimum } from "../../runtime/exact/bandit.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { dot, kl, sigmoid, softplus } from "../../runtime/exact/numbers.ts"
import { responseLogProbs, sampleRow } from "../../runtime/exact/Policy.ts"
import { collectiveReward } from "./Solutions.ts"
import { WorldInvalid } from "./Worlds.ts"

interface Options {
  readonly alpha: number
  readonly beta: number
  readonly rounds: number
  readonly pairs: number
  readonly opponent: "policy" | "reference"
  readonly bound: number
  readonly learningRate: number
  readonly steps: number
  readonly restartSteps: number
}

/** How often two answers were compared: `first` and `second` count their wins. */
interface Compared {
  readonly y: number
  readonly z: number
  first: number
  second: number
}

/** What rewards `u` cost: the negative log-likelihood of all comparisons less `alpha` times the calibrated value. */
interface Fit {
  readonly comparisons: ReadonlyArray<Compared>
  readonly count: number
  readonly logReference: Float64Array
  readonly calibration: Float64Array
}

const cost = ({ calibration, comparisons, logReference }: Fit, u: Float64Array, { alpha, beta }: Options): number => {
  let loss = 0
  for (const { first, second, y, z } of comparisons) {
    const gap = u[y]! - u[z]!
    loss += first * softplus(-gap) + second * softplus(gap)
  }
  if (alpha === 0) return loss
  return loss - alpha * (beta * klOptimum(logReference, u, beta).logZ - dot(calibration, u))
}

/** Projected gradient steps on the mean over comparisons; changes `u`. */
const descend = (fit: Fit, u: Float64Array, steps: number, { alpha, beta, bound, learningRate }: Options) => {
  const { calibration, comparisons, count, logReference } = fit
  const gradient = new Float64Array(u.length)
  const policy = new Float64Array(u.length)
  for (let step = 0; step < steps; step++) {
    gradient.fill(0)
    for (const { first, second, y, z } of comparisons) {
      const slope = (first + second) * sigmoid(u[y]! - u[z]!) - first
      gradient[y]! += slope
      gradient[z]! -= slope
    }
    if (alpha > 0) {
      let total = 0
      for (let y = 0; y < u.length; y++) {
        policy[y] = Math.exp(logReference[y]! + (u[y]! - bound) / beta)
        total += policy[y]!
      }
      for (let y = 0; y < u.length; y++) gradient[y]! -= alpha * (policy[y]! / total - calibration[y]!)
    }
    for (let y = 0; y < u.length; y++)
      u[y] = Math.min(bound, Math.max(-bound, u[y]! - (learningRate / count) * gradient[y]!))
  }
  return u
}

/** From where the last round ended; with optimism also from there with each answer's reward at the bound, the best kept. */
const refit = (fit: Fit, start: Float64Array, options: Options): Float64Array => {
  const { alpha, bound, restartSteps, steps } = options
  if (alpha === 0 || restartSteps === 0) return descend(fit, start.slice(), steps, options)
  const candidates = [start, ...Array.from(start, (_, y) => start.map((x, other) => (other === y ? bound : x)))].map(
    (from) => descend(fit, from.slice(), restartSteps, options)
  )
  const costs = candidates.map((u) => cost(fit, u, options))
  return candidates[costs.indexOf(Math.min(...costs))]!
}

const loop = (world: World, options: Options, rng: Rng.Rng) => {
  const { beta, opponent, pairs, rounds } = options
  const reference = policyOf(world.reference)
  const logReference = responseLogProbs(reference, 0)
  const calibration = logReference.map(Math.exp)
  const reward = collectiveReward(world, 0, [1])
  const best = beta * klOptimum(logReference, reward, beta).logZ
  const comparisons = new Map<number, Compared>()
  const regrets: Array<number> = []
  let u: Float64Array = new Float64Array(logReference.length)
  let logPolicy = logReference
  let count = 0
  for (let round = 0; round < rounds; round++) {
    const policy = policyOf({
      family: { kind: "softmax", contexts: 1, responses: u.length },
      theta: [...logPolicy]
    })
    regrets.push(best - dot(logPolicy.map(Math.exp), reward) + beta * kl(logPolicy, logReference))
    for (let i = 0; i < pairs; i++) {
      const draws = rng.fork(round).fork(i)
      const first = sampleRow(policy, 0, draws.fork("first")).tokens[0]!
      const second = sampleRow(opponent === "policy" ? policy : reference, 0, draws.fork("second")).tokens[0]!
      if (first === second) continue
      const [y, z] = first < second ? [first, second] : [second, first]
      const known = comparisons.get(y * u.length + z) ?? { y, z, first: 0, second: 0 }
      comparisons.set(y * u.length + z, known)
      if (draws.uniform(0) < sigmoid(reward[y]! - reward[z]!)) known.first++
      else known.second++
      count++
    }
    if (count === 0) continue
    u = refit({ comparisons: [...comparisons.values()], count, logReference, calibration }, u, options)
    logPolicy = klOptimum(logReference, u, beta).logPolicy
  }
  return { regrets, count, tried: new Set([...comparisons.values()].flatMap(({ y, z }) => [y, z])).size }
}

const Logit = Arbitrary.schema(Law.Real(-2, 2))
const Case = Arbitrary.all([
  Arbitrary.all([Logit, Logit, Logit]),
  Arbitrary.all([Logit, Logit, Logit]),
  Arbitrary.schema(Schema.Literals([0, 0.3])),
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 })))
]).pipe(
  Arbitrary.map(([theta, reward, alpha, seed]) => ({
    world: {
      reference: { family: { kind: "softmax", contexts: 1, responses: 3 }, theta },
      rewards: [[reward]]
    } as const,
    options: {
      alpha,
      beta: 0.5,
      rounds: 4,
      pairs: 2,
      opponent: "policy",
      bound: 3,
      learningRate: 2,
      steps: 10,
      restartSteps: 5
    } as const,
    rng: Rng.make(seed, "optimism")
  }))
)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("no policy is better than the optimum", Case, ({ options, rng, world }) =>
    loop(world, options, rng).regrets.every((regret) => regret > -1e-9)
  ),
  Law.make("the first round's policy is the reference", Case, ({ options, rng, world }) => {
    const logReference = responseLogProbs(policyOf(world.reference), 0)
    const best = options.beta * klOptimum(logReference, world.rewards[0][0]!, options.beta).logZ
    const worth = dot(logReference.map(Math.exp), world.rewards[0][0]!)
    return Math.abs(loop(world, options, rng).regrets[0]! - (best - worth)) < 1e-9
  }),
  Law.make("what happens in a round does not depend on how many follow", Case, ({ options, rng, world }) => {
    const [short, long] = [2, 4].map((rounds) => loop(world, { ...options, rounds }, rng).regrets)
    return short!.every((regret, round) => regret === long![round])
  })
]

/**
 * Online learning from preferences in a bandit of one context: each round the policy answers in pairs, Bradley-Terry labels
 * them, and rewards within `bound` are fitted to all pairs so far, with an incentive `alpha` for the value that their best
 * policy would have; that policy is the next round's.
 * **Details** The fit minimizes `-sum ln sigma(u(winner) - u(loser)) - alpha (beta ln Z(u) - E_reference u)` by `steps` projected
 * gradient steps of `learningRate` on the mean over pairs, from where the last one ended. With `alpha > 0` the problem is
 * not convex: `restartSteps` are made from there and from each of its copies with one answer at the bound, and the lowest kept
 * (0: `steps` from there alone). `opponent` is who writes the second answer; equal answers make no pair. Estimates: `regret`,
 * the sum over rounds of `J* - J(policy)`, J the reward less beta times the KL; `regret/last` of the last round; `pairs`;
 * `coverage`, the share of answers that were compared.
 * **Source** Cen et al. 2024, arXiv 2405.19320, algorithm 1; the bounded class is the theory's, the restarts are ours.
 */
export const optimism = Stage.make({
  name: "exact.optimism",
  description: "Online preference learning with a value incentive, and its regret",
  module: import.meta.url,
  params: {
    alpha: NonNegative,
    beta: Positive.pipe(withDefault(0.2)),
    rounds: Count.pipe(withDefault(150)),
    pairs: Count.pipe(withDefault(2)),
    opponent: Schema.Literals(["policy", "reference"]).pipe(withDefault("policy")),
    bound: Positive.pipe(withDefault(3)),
    learningRate: Positive.pipe(withDefault(2)),
    steps: Count.pipe(withDefault(200)),
    restartSteps: Index.pipe(withDefault(60))
  },
  input: WorldValue,
  output: EvaluationReport,
  random: true,
  laws,
  run: ({ input, params, rng }) =>
    Effect.try({
      try: (): Evaluation => {
        const { count, regrets, tried } = loop(input, params, rng)
        const point = (mean: number) => ({ mean, low: mean, high: mean, count: 1 })
        return {
          estimates: {
            regret: point(regrets.reduce((sum, regret) => sum + regret, 0)),
            "regret/last": point(regrets.at(-1)!),
            pairs: point(count),
            coverage: point(tried / (input.rewards?.[0]?.[0]?.length ?? 1))
          },
          examples: []
        }
      },
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})
