import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Estimate, type Evaluation, EvaluationReport, type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { klOptimum } from "../../runtime/exact/bandit.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { dot, maximum, softmax } from "../../runtime/exact/numbers.ts"
import { type Policy, responseLogProbs, rowLogProb } from "../../runtime/exact/Policy.ts"
import { NothingToEvaluate } from "../evaluate/evaluate.ts"
import * as Float64 from "../optimize/algebra/float64.ts"
import { Objective } from "../optimize/Objective.ts"
import { brain } from "../optimize/objectives/brain.ts"
import { exactItems } from "./items.ts"
import { MinimizationFailed, meanLoss } from "./optimize.ts"
import { completionOf, rowOf } from "./rows.ts"
import { bandit } from "./worlds/bandit.ts"

interface Given {
  readonly world: World
  readonly policy: ExactPolicy
  readonly guide?: ExactPolicy | undefined
  readonly gamma: number
}

/** With `ln Z` of the posterior in the pair's context, for objectives that read it. */
const withLogZ = (pairs: ReadonlyArray<Pair>, { gamma, world }: Given): ReadonlyArray<Pair> => {
  const reference = policyOf(world.reference)
  return pairs.map((pair) => {
    const { context } = rowOf(pair, "chosen")
    const reward = world.rewards?.[0]?.[context]
    if (reward === undefined) throw new RangeError(`the world has no reward in context ${context}`)
    const { logZ } = klOptimum(responseLogProbs(reference, context), reward, gamma)
    return { ...pair, numbers: { ...pair.numbers, logZ } }
  })
}

const rolesOf = (pair: Pair) =>
  Object.keys(pair.others ?? {})
    .filter((role) => /^answer\d+$/.test(role))
    .sort((a, b) => Number(a.slice(6)) - Number(b.slice(6)))

/** The group's normalized importance weights under the posterior and under the policy. */
const weightsOf = (pair: Pair, policies: Readonly<Record<"policy" | "prior" | "proposal", Policy>>, gamma: number) => {
  const rows = rolesOf(pair).map((role) => rowOf(pair, role))
  const relative = (policy: Policy, y: number) => rowLogProb(policy, rows[y]!) - rowLogProb(policies.proposal, rows[y]!)
  return {
    target: softmax(rows.map((_, y) => relative(policies.prior, y) + pair.numbers![`score${y}`]! / gamma)),
    policy: softmax(rows.map((_, y) => relative(policies.policy, y)))
  }
}

const measured = (objective: Objective, given: Pair[], against: Objective | undefined, about: Given): Evaluation => {
  const { gamma, guide, policy, world } = about
  const { reference } = world
  const pairs = withLogZ(given, about)
  const policies = {
    policy: policyOf(policy),
    prior: policyOf(reference),
    proposal: policyOf(guide ?? reference)
  }
  const frozen = { reference: policies.prior, guide: guide && policies.proposal }
  const items = exactItems(pairs, objective.reads, frozen).under(policies.policy)
  const { logProbs } = Float64.evaluate([objective.loss], items).gradient(pairs.map(() => 1))
  const groups = pairs.map((pair, i) => {
    const slopes = rolesOf(pair).map((role) => logProbs[role]?.[i]?.[0] ?? 0)
    const { policy, target } = weightsOf(pair, policies, gamma)
    return {
      "gradient/largest": maximum(slopes.map(Math.abs)),
      "gradient/sum": Math.abs(slopes.reduce((sum, slope) => sum + slope, 0)),
      "gradient/error": maximum(slopes.map((slope, y) => Math.abs(slope + target[y]! - policy[y]!))),
      "effective/target": 1 / dot(target, target),
      "effective/policy": 1 / dot(policy, policy)
    }
  })
  const over = (values: ReadonlyArray<number>): Estimate => ({
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    low: Math.min(...values),
    high: Math.max(...values),
    count: values.length
  })
  const names = Object.keys(groups[0]!) as ReadonlyArray<keyof (typeof groups)[number]>
  return {
    estimates: {
      ...Object.fromEntries(names.map((name) => [name, over(groups.map((values) => values[name]))])),
      ...(against === undefined ? {} : differences(objective, against, pairs, about, over))
    },
    examples: []
  }
}

/** How far two objectives' losses, and gradients in the policy's parameters, differ pair by pair. */
const differences = (
  objective: Objective,
  against: Objective,
  pairs: ReadonlyArray<Pair>,
  { guide, policy, world }: Given,
  over: (values: ReadonlyArray<number>) => Estimate
): Readonly<Record<string, Estimate>> => {
  const theta = Float64Array.from(policy.theta)
  const at = (of: Objective, pair: Pair) => meanLoss(of, [pair], policy, { guide, reference: world.reference })(theta)
  const both = pairs.map((pair) => [at(objective, pair), at(against, pair)] as const)
  return {
    "against/loss_error": over(both.map(([ours, theirs]) => Math.abs(ours.value - theirs.value))),
    "against/gradient_error": over(
      both.map(([ours, theirs]) => maximum(ours.gradient.map((slope, i) => Math.abs(slope - theirs.gradient[i]!))))
    )
  }
}

const Case = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))).pipe(
  Arbitrary.map((seed) => {
    const rng = Rng.make(seed, "weights")
    const world = bandit({ contexts: 1, responses: 5 }).implementation(rng)
    const { reference } = world
    const answer = (y: number) => completionOf({ context: 0, tokens: [y], finish: "stop" })
    const drawn = [0, 1, 2].map((k) => rng.int(k, 5))
    const pair: Pair = {
      id: "0",
      prompt: { id: "c0/0", text: "" },
      chosen: answer(drawn[0]!),
      rejected: answer(drawn[1]!),
      margin: 0,
      others: Object.fromEntries(drawn.map((y, k) => [`answer${k}`, { completion: answer(y) }])),
      numbers: Object.fromEntries(drawn.map((y, k) => [`score${k}`, world.rewards![0]![0]![y]!]))
    }
    const moved = { ...reference, theta: reference.theta.map((logit, y) => logit + rng.normal(10 + y)) }
    const posterior = {
      ...reference,
      theta: [...klOptimum(responseLogProbs(policyOf(reference), 0), world.rewards![0]![0]!, 0.7).logPolicy]
    }
    return { pair, world, moved, posterior }
  })
)
const ofBrain = (proposal: "reference" | "guide") => brain({ answers: 3, gamma: 0.7, proposal }).implementation
const largest = ({ estimates }: Evaluation, name: string) => estimates[name]!.high

const laws: ReadonlyArray<Law.Law> = [
  Law.make("BRAIn's gradient is the difference of the weights, and sums to 0", Case, ({ moved, pair, world }) => {
    const found = measured(ofBrain("reference"), [pair], undefined, { world, policy: moved, gamma: 0.7 })
    return largest(found, "gradient/error") < 1e-9 && largest(found, "gradient/sum") < 1e-9
  }),
  Law.make("it is 0 at the posterior, whatever the proposal", Case, ({ moved, pair, posterior, world }) => {
    const about = { world, policy: posterior, guide: moved, gamma: 0.7 }
    return largest(measured(ofBrain("guide"), [pair], undefined, about), "gradient/largest") < 1e-9
  }),
  Law.make("weights are worth between one answer and all, alike at the posterior", Case, (given) => {
    const { pair, posterior, world } = given
    const found = measured(ofBrain("reference"), [pair], undefined, { world, policy: posterior, gamma: 0.7 })
    const [target, policy] = [largest(found, "effective/target"), largest(found, "effective/policy")]
    return target > 1 - 1e-9 && target < 3 + 1e-9 && Math.abs(target - policy) < 1e-9
  }),
  Law.make("an objective differs from itself in nothing, from another one in its loss", Case, (given) => {
    const { moved, pair, world } = given
    const about = { world, policy: moved, guide: moved, gamma: 0.7 }
    const own = measured(ofBrain("reference"), [pair], ofBrain("reference"), about)
    return largest(own, "against/loss_error") === 0 && largest(own, "against/gradient_error") === 0
  })
]

/**
 * A group objective's gradient at a policy beside the groups' normalized importance weights, those of the posterior
 * `reference exp(score / gamma) / Z` and those of the policy, both over the proposal (`guide`, or else the reference).
 * **Details** Estimates are means over groups, `low` and `high` the smallest and the largest: `gradient/largest`, the largest
 * derivative of the loss in the log-probability of an answer, in absolute terms; `gradient/sum`, their sum; `gradient/error`,
 * how far they are from the policy's weights less the posterior's, which BRAIn's are; `effective/target`, `effective/policy`,
 * how many answers the weights are worth, `1 / sum w^2`. With `against`, a second objective, `against/loss_error` and
 * `against/gradient_error`, the latter in the policy's parameters. Objectives that read `logZ` get the posterior's, of reward 0.
 * **Source** Pandey et al. 2024, arXiv 2402.02479.
 */
export const groupWeights = Stage.make({
  name: "exact.group-weights",
  description: "Importance weights of groups and an objective's gradient",
  module: import.meta.url,
  params: {
    objective: Objective.schema,
    against: Schema.optionalKey(Objective.schema),
    gamma: Positive.pipe(withDefault(1))
  },
  input: Pairs,
  inputs: { world: WorldValue, policy: ExactPolicyValue, guide: Stage.optional(ExactPolicyValue) },
  output: EvaluationReport,
  laws,
  run: ({ input, inputs, params: { against, gamma, objective } }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
      return yield* Effect.try({
        try: () => measured(objective.implementation, pairs, against?.implementation, { ...inputs, gamma }),
        catch: (cause) => new MinimizationFailed({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
