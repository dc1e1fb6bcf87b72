/**
 * Short sequences of symbols from policies of which everything can be computed: lengths, rewards of tokens and KL are exact,
 * only the pairs are sampled. And objectives on single answers whose token log-probabilities are given.
 */
import type { Pairs } from "../../dsl/artifacts.ts"
import type * as Component from "../../dsl/Component.ts"
import type { ExactPolicyValue, WorldValue } from "../../dsl/exactArtifacts.ts"
import type * as Node from "../../dsl/Node.ts"
import { exact, type Objective } from "../../stages/index.ts"
import type { Role } from "../../stages/optimize/algebra/Expression.ts"
import * as Float64 from "../../stages/optimize/algebra/float64.ts"
import { reads } from "../../stages/optimize/algebra/reads.ts"

export type AnyObjective = Component.Component<"objective", Objective>
type World<E, R> = Node.Node<typeof WorldValue, E, R>
type Policy<E, R> = Node.Node<typeof ExactPolicyValue, E, R>

/**
 * A policy trained on pairs from a world's start, which is its reference where the objective reads one. Full batches, by
 * L-BFGS unless told otherwise.
 */
export const trained = <E, R, EP, RP, EG = never, RG = never>(
  world: World<E, R>,
  pairs: Node.Node<typeof Pairs, EP, RP>,
  options: {
    readonly objective: AnyObjective
    readonly by?: "lbfgs" | "adam" | "gradient-descent"
    readonly steps?: number
    readonly learningRate?: number
    readonly guide?: Policy<EG, RG>
    readonly as?: string
  }
) => {
  const { guide, objective, ...minimizer } = options
  const start = world.pipe(exact.start())
  const frozen = {
    ...(objective.implementation.reads.reference ? { reference: start } : {}),
    ...(guide !== undefined && objective.implementation.reads.guide ? { guide } : {})
  }
  return pairs.pipe(exact.optimize({ from: start, objective, ...frozen, ...minimizer }))
}

/** The log-probabilities of an answer's tokens in nats, under each model that an objective may read, and a head's outputs. */
export type Answer = Readonly<Partial<Record<"policy" | "reference" | "guide" | "heads", ReadonlyArray<number>>>>

/**
 * An objective on one item, in float64: its loss, the implicit rewards of both answers, and the derivative of the loss with
 * respect to each token's log-probability under the policy.
 */
export const onAnswers = (
  objective: AnyObjective,
  answers: Readonly<Record<Role, Answer>>,
  numbers: Readonly<Record<string, number>> = {}
) => {
  const { loss, reward } = objective.implementation
  const roots = [loss, reward("chosen"), reward("rejected")]
  const { roles } = reads(roots)
  const rows = ({ heads, ...logProbs }: Answer) => ({
    logProbs: Object.fromEntries(Object.entries(logProbs).map(([source, values]) => [source, [values]])),
    ...(heads === undefined ? {} : { heads: [heads] })
  })
  const found = Float64.evaluate(roots, {
    size: 1,
    numbers: Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, [value]])),
    answers: Object.fromEntries(roles.map((role) => [role, rows(answers[role]!)]))
  })
  const [value, chosen, rejected] = found.values.map(([first]) => first!)
  const { logProbs } = found.gradient([1])
  return {
    loss: value!,
    rewards: { chosen: chosen!, rejected: rejected! },
    gradient: { chosen: [...(logProbs["chosen"]?.[0] ?? [])], rejected: [...(logProbs["rejected"]?.[0] ?? [])] }
  }
}

/** The largest distance between corresponding numbers; throws a RangeError where one list is longer. */
export const largestDistance = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  if (a.length !== b.length) throw new RangeError(`${a.length} numbers against ${b.length}`)
  return Math.max(0, ...a.map((x, i) => Math.abs(x - b[i]!)))
}
