import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Evaluation, EvaluationReport, type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { NonNegative, Positive, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { klOptimum } from "../../runtime/exact/bandit.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { lbfgs } from "../../runtime/exact/minimize.ts"
import { dot, type Numbers, sigmoid, softplus } from "../../runtime/exact/numbers.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { NothingToEvaluate } from "../evaluate/evaluate.ts"
import { completionOf, promptOf, rowOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"

interface Options {
  readonly alpha: number
  readonly beta: number
  readonly setting: "online" | "offline"
}

/** What rewards of a bandit are fitted to: log-probabilities by context, and pairs as shares of them all. */
interface Problem {
  readonly logReference: ReadonlyArray<Numbers>
  readonly calibration: ReadonlyArray<Numbers>
  readonly pairs: ReadonlyArray<{
    readonly context: number
    readonly chosen: number
    readonly rejected: number
    readonly share: number
  }>
}

const problemOf = (pairs: ReadonlyArray<Pair>, reference: ExactPolicy, calibration: ExactPolicy): Problem => {
  const [base, fixed] = [policyOf(reference), policyOf(calibration)]
  const contexts = Array.from({ length: base.process.contexts }, (_, context) => context)
  const weights = pairs.map(({ numbers }) => numbers?.["weight"] ?? 1)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return {
    logReference: contexts.map((context) => responseLogProbs(base, context)),
    calibration: contexts.map((context) => responseLogProbs(fixed, context).map(Math.exp)),
    pairs: pairs.map((pair, i) => {
      const [chosen, rejected] = [rowOf(pair, "chosen"), rowOf(pair, "rejected")]
      return {
        context: chosen.context,
        chosen: chosen.tokens[0]!,
        rejected: rejected.tokens[0]!,
        share: weights[i]! / total
      }
    })
  }
}

/** How much each context counts: as the pairs do. */
const contextShares = ({ logReference, pairs }: Problem) =>
  logReference.map((_, c) => pairs.reduce((sum, { context, share }) => sum + (context === c ? share : 0), 0))

/** The rewards that minimize `loss - s alpha J*`, shifted so that the calibration's mean is 0. */
const fitted = (problem: Problem, { alpha, beta, setting }: Options) => {
  const { calibration, logReference, pairs } = problem
  const responses = logReference[0]!.length
  const shares = contextShares(problem)
  const sign = setting === "online" ? 1 : -1
  const centred = (theta: Float64Array, context: number) => {
    const rewards = theta.slice(context * responses, (context + 1) * responses)
    const mean = dot(rewards, calibration[context]!)
    return rewards.map((r) => r - mean)
  }
  const solvedAt = (theta: Float64Array) =>
    logReference.map((log, context) => klOptimum(log, centred(theta, context), beta))
  const valueOf = (solved: ReturnType<typeof solvedAt>) =>
    solved.reduce((sum, { logZ }, context) => sum + shares[context]! * beta * logZ, 0)
  const found = lbfgs(
    (theta) => {
      const gradient = new Float64Array(theta.length)
      const solved = solvedAt(theta)
      let value = -sign * alpha * valueOf(solved)
      solved.forEach(({ logPolicy }, context) => {
        logPolicy.forEach((log, y) => {
          gradient[context * responses + y]! -=
            sign * alpha * shares[context]! * (Math.exp(log) - calibration[context]![y]!)
        })
      })
      for (const { chosen, context, rejected, share } of pairs) {
        const [w, l] = [context * responses + chosen, context * responses + rejected]
        const gap = theta[w]! - theta[l]!
        value += share * softplus(-gap)
        gradient[w]! -= share * sigmoid(-gap)
        gradient[l]! += share * sigmoid(-gap)
      }
      return { value, gradient }
    },
    new Float64Array(logReference.length * responses),
    { steps: 2000, tolerance: 1e-13 }
  )
  const solved = solvedAt(found.theta)
  return { objective: found.value, value: valueOf(solved), policies: solved.map(({ logPolicy }) => logPolicy) }
}

/** The same objective of a policy, in which the value is the calibration's negated mean log-ratio. */
const inPolicies = (problem: Problem, policies: ReadonlyArray<Numbers>, { alpha, beta, setting }: Options) => {
  const { calibration, logReference, pairs } = problem
  const rewards = policies.map((log, c) => Float64Array.from(log, (l, y) => beta * (l - logReference[c]![y]!)))
  const value = contextShares(problem).reduce((sum, share, c) => sum - share * dot(calibration[c]!, rewards[c]!), 0)
  const loss = pairs.reduce(
    (sum, { chosen, context, rejected, share }) =>
      sum + share * softplus(rewards[context]![rejected]! - rewards[context]![chosen]!),
    0
  )
  return { value, objective: loss - (setting === "online" ? 1 : -1) * alpha * value }
}

const Logit = Arbitrary.schema(Law.Real(-1, 1))
const Logits = Arbitrary.all([Logit, Logit, Logit])
const Case = Arbitrary.all([Logits, Logits, Arbitrary.schema(Schema.Literals(["online", "offline"]))]).pipe(
  Arbitrary.map(([reference, calibration, setting]) => {
    const bandit = (theta: ReadonlyArray<number>): ExactPolicy => ({
      family: { kind: "softmax", contexts: 1, responses: 3 },
      theta
    })
    const pairs = [0, 1, 2].flatMap((y) =>
      [0, 1, 2].flatMap((z): ReadonlyArray<Pair> => {
        const answer = (token: number) => completionOf({ context: 0, tokens: [token], finish: "stop" })
        const weight = y < z ? 0.7 : 0.3
        return y === z
          ? []
          : [
              {
                id: `${y}${z}`,
                prompt: promptOf(0),
                chosen: answer(y),
                rejected: answer(z),
                margin: 0,
                numbers: { weight }
              }
            ]
      })
    )
    return { problem: problemOf(pairs, bandit(reference), bandit(calibration)), beta: 0.5, setting }
  })
)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("rewards and policies have one objective and one value", Case, ({ problem, ...options }) => {
    const [own, alpha] = [fitted(problem, { ...options, alpha: 0.02 }), 0.02]
    const other = inPolicies(problem, own.policies, { ...options, alpha })
    return Math.abs(own.value - other.value) < 1e-9 && Math.abs(own.objective - other.objective) < 1e-9
  }),
  Law.make("at alpha 0 the setting makes no difference", Case, ({ beta, problem }) => {
    const [online, offline] = (["online", "offline"] as const).map((setting) =>
      fitted(problem, { beta, setting, alpha: 0 })
    )
    return online!.value === offline!.value && online!.objective === offline!.objective
  }),
  Law.make("the value rises with alpha online and falls offline", Case, ({ problem, ...options }) => {
    const [low, high] = [0, 0.02].map((alpha) => fitted(problem, { ...options, alpha }).value)
    return options.setting === "online" ? high! >= low! - 1e-9 : high! <= low! + 1e-9
  })
]

/**
 * Solves the value-incentivized problem in the space of rewards, and compares a policy that was trained on it.
 * **Details** The rewards minimize `E[-ln sigma(r(chosen) - r(rejected))] - s alpha J*(r)`, with mean 0 under `calibration`;
 * `J*(r) = beta E ln Z` is what the best policy of r gets, `s` 1 online, -1 offline, `alpha` for each pair. Estimates:
 * `objective/rewards` and `objective/policy`, their minimum and what the policy comes to; `value`, J* of the rewards, and
 * `value/policy`, the policy's `-beta E ln (policy / reference)` over the calibration; `max_log_error`, the largest difference
 * of log-probabilities between the rewards' best policy and the policy. Bandits only, every pair with its `weight`.
 * **Source** Cen et al. 2024, arXiv 2405.19320, eq. 11 to 16.
 */
export const valueIncentive = Stage.make({
  name: "exact.value-incentive",
  description: "The value-incentivized problem solved over rewards, beside a policy",
  module: import.meta.url,
  params: {
    alpha: NonNegative,
    beta: Positive,
    setting: Schema.Literals(["online", "offline"]).pipe(withDefault("offline"))
  },
  input: Pairs,
  inputs: { policy: ExactPolicyValue, reference: ExactPolicyValue, calibration: ExactPolicyValue },
  output: EvaluationReport,
  laws,
  run: ({ input, inputs: { calibration, policy, reference }, params }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
      return yield* Effect.try({
        try: (): Evaluation => {
          const problem = problemOf(pairs, reference, calibration)
          const own = policyOf(policy)
          const ours = problem.logReference.map((_, context) => responseLogProbs(own, context))
          const found = fitted(problem, params)
          const trained = inPolicies(problem, ours, params)
          const errors = found.policies.flatMap((log, c) => Array.from(log, (l, y) => Math.abs(l - ours[c]![y]!)))
          const point = (mean: number) => ({ mean, low: mean, high: mean, count: 1 })
          return {
            estimates: {
              "objective/rewards": point(found.objective),
              "objective/policy": point(trained.objective),
              value: point(found.value),
              "value/policy": point(trained.value),
              max_log_error: point(Math.max(...errors))
            },
            examples: []
          }
        },
        catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
