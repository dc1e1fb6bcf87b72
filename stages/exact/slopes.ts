import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Estimate, type Evaluation, EvaluationReport, type Pair, Pairs } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Positive } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { NothingToEvaluate } from "../evaluate/evaluate.ts"
import * as Float64 from "../optimize/algebra/float64.ts"
import { Objective } from "../optimize/Objective.ts"
import { dpo } from "../optimize/objectives/dpo.ts"
import { ipo } from "../optimize/objectives/ipo.ts"
import { exactItems } from "./items.ts"
import { MinimizationFailed } from "./optimize.ts"
import { completionOf, promptOf } from "./rows.ts"

type Frozen = Readonly<Partial<Record<"reference" | "guide", ExactPolicy | undefined>>>

/** The losses of an objective and the gradient of their sum in the log-probability of every token, by answer. */
const at = (objective: Objective, pairs: ReadonlyArray<Pair>, policy: ExactPolicy, frozen: Frozen) => {
  const policies = {
    reference: frozen.reference && policyOf(frozen.reference),
    guide: frozen.guide && policyOf(frozen.guide)
  }
  const items = exactItems(pairs, objective.reads, policies).under(policyOf(policy))
  const evaluated = Float64.evaluate([objective.loss], items)
  const { logProbs } = evaluated.gradient(pairs.map(() => 1))
  return { items, evaluated, losses: evaluated.values[0]!, slopes: logProbs }
}

type Point = ReturnType<typeof at>

/** The largest difference to central differences of the summed loss, where it is more than 1 relative to the slope. */
const differenceError = (objective: Objective, { evaluated, items, slopes }: Point, step: number): number => {
  let worst = 0
  for (const [role, rows] of Object.entries(slopes))
    rows.forEach((row, i) => {
      row.forEach((slope, t) => {
        const total = (by: number) => {
          const moved = items.answers[role]!.logProbs.policy!.map((logProbs, other) =>
            other === i ? Float64Array.from(logProbs, (l, at) => (at === t ? l + by : l)) : logProbs
          )
          const answer = { ...items.answers[role]!, logProbs: { ...items.answers[role]!.logProbs, policy: moved } }
          const there = { ...items, answers: { ...items.answers, [role]: answer }, held: evaluated }
          return Float64.evaluate([objective.loss], there).values[0]!.reduce((sum, loss) => sum + loss, 0)
        }
        const difference = (total(step) - total(-step)) / (2 * step)
        worst = Math.max(worst, Math.abs(difference - slope) / Math.max(1, Math.abs(slope)))
      })
    })
  return worst
}

const relative = (a: number, b: number) => Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b), 1e-9)

const slopeError = (a: Point["slopes"], b: Point["slopes"]): number => {
  let worst = 0
  for (const role of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const rows = a[role] ?? b[role]!
    rows.forEach((row, i) => {
      row.forEach((_, t) => {
        worst = Math.max(worst, relative(a[role]?.[i]?.[t] ?? 0, b[role]?.[i]?.[t] ?? 0))
      })
    })
  }
  return worst
}

const meanOf = (x: ArrayLike<number>) => Array.from(x).reduce((sum, value) => sum + value, 0) / x.length
/** The mean of the pairs, and between which values they lie. */
const range = (values: ReadonlyArray<number>): Estimate => ({
  mean: meanOf(values),
  low: Math.min(...values),
  high: Math.max(...values),
  count: values.length
})
const point = (value: number): Estimate => ({ mean: value, low: value, high: value, count: 1 })

const sampled = (tokens: ReadonlyArray<readonly [number, number]>): ReadonlyArray<Pair> =>
  tokens.map(([chosen, rejected], i) => ({
    id: `${i}`,
    prompt: promptOf(0),
    chosen: completionOf({ context: 0, tokens: [chosen], finish: "stop" }),
    rejected: completionOf({ context: 0, tokens: [rejected], finish: "stop" }),
    margin: 0
  }))
const response = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 })))
const Logit = Arbitrary.schema(Law.Real(-2, 2))
const Case = Arbitrary.all([
  Arbitrary.array(Arbitrary.all([response, response]), { minLength: 1, maxLength: 4 }),
  Arbitrary.all([Logit, Logit, Logit]),
  Arbitrary.schema(Law.Real(0.1, 2))
]).pipe(
  Arbitrary.map(([tokens, theta, beta]) => ({
    pairs: sampled(tokens),
    beta,
    policy: { family: { kind: "softmax", contexts: 1, responses: 3 } as const, theta },
    reference: { family: { kind: "softmax", contexts: 1, responses: 3 } as const, theta: [0.3, 0, -0.7] }
  }))
)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("the slopes are those of central differences", Case, ({ beta, pairs, policy, reference }) => {
    const { implementation } = ipo({ tau: beta })
    return differenceError(implementation, at(implementation, pairs, policy, { reference }), 1e-5) < 1e-6
  }),
  Law.make("DPO's at the reference are beta / 2 down and up", Case, ({ beta, pairs, reference }) => {
    const { slopes } = at(dpo({ beta }).implementation, pairs, reference, { reference })
    return pairs.every(
      (_, i) =>
        Math.abs(slopes["chosen"]![i]![0]! + beta / 2) < 1e-9 && Math.abs(slopes["rejected"]![i]![0]! - beta / 2) < 1e-9
    )
  }),
  Law.make("an objective differs from itself in nothing, from another one visibly", Case, (given) => {
    const { beta, pairs, policy, reference } = given
    const here = (scale: number) => at(dpo({ beta: scale }).implementation, pairs, policy, { reference })
    const [own, other] = [here(beta), here(3 * beta)]
    return slopeError(own.slopes, own.slopes) === 0 && slopeError(own.slopes, other.slopes) > 0.01
  })
]

/**
 * An objective at a point: its losses on pairs and their derivatives, for comparison with what is known of them.
 * **Details** Estimates are means over pairs, `low` and `high` the smallest and the largest of the pairs: `loss`;
 * `slope/chosen`, `slope/rejected`: how the loss changes with the answer's log-probability in nats, spread evenly over its
 * tokens; `length/chosen`, `length/rejected` in tokens. With `difference`, a step in nats, `difference/error`: the largest
 * difference of a token's slope to central differences, relative to the larger of the slope and 1; what carries no gradient
 * is held. With `against`, another objective on the same pairs, `against/loss_error` and `against/slope_error`: the largest
 * relative difference of a loss and of a token's slope.
 */
export const slopes = Stage.make({
  name: "exact.slopes",
  description: "Losses and derivatives of an objective at an exact policy",
  module: import.meta.url,
  params: {
    objective: Objective.schema,
    against: Schema.optionalKey(Objective.schema),
    difference: Schema.optionalKey(Positive)
  },
  input: Pairs,
  inputs: {
    policy: ExactPolicyValue,
    reference: Stage.optional(ExactPolicyValue),
    guide: Stage.optional(ExactPolicyValue)
  },
  output: EvaluationReport,
  laws,
  run: ({ input, inputs: { guide, policy, reference }, params: { against, difference, objective } }) =>
    Effect.gen(function* () {
      const pairs = yield* Stream.runCollect(input.stream)
      if (pairs.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
      return yield* Effect.try({
        try: (): Evaluation => {
          const here = at(objective.implementation, pairs, policy, { guide, reference })
          const other = against && at(against.implementation, pairs, policy, { guide, reference })
          const ofRole = (role: string) => {
            const rows = here.slopes[role] ?? []
            if (rows.length === 0) return {}
            return {
              [`slope/${role}`]: range(rows.map(meanOf)),
              [`length/${role}`]: range(rows.map(({ length }) => length))
            }
          }
          return {
            estimates: {
              loss: range([...here.losses]),
              ...ofRole("chosen"),
              ...ofRole("rejected"),
              ...(difference === undefined
                ? {}
                : { "difference/error": point(differenceError(objective.implementation, here, difference)) }),
              ...(other === undefined
                ? {}
                : {
                    "against/loss_error": point(
                      Math.max(...here.losses.map((loss, i) => relative(loss, other.losses[i]!)))
                    ),
                    "against/slope_error": point(slopeError(here.slopes, other.slopes))
                  })
            },
            examples: []
          }
        },
        catch: (cause) => new MinimizationFailed({ problem: cause instanceof Error ? cause.message : String(cause) })
      })
    })
})
