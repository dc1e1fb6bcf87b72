/**
 * Short sequences of symbols from policies of which everything can be computed: lengths, rewards of tokens and KL are exact,
 * only the pairs are sampled. And objectives on single answers whose token log-probabilities are given.
 */
import { Effect } from "effect"
import type { Pairs } from "../../dsl/artifacts.ts"
import type * as Check from "../../dsl/Check.ts"
import type * as Component from "../../dsl/Component.ts"
import type { ExactPolicyValue, WorldValue } from "../../dsl/exactArtifacts.ts"
import type * as Node from "../../dsl/Node.ts"
import { exact, type Objective } from "../../stages/index.ts"
import type { Role } from "../../stages/optimize/algebra/Expression.ts"
import * as Float64 from "../../stages/optimize/algebra/float64.ts"
import { reads } from "../../stages/optimize/algebra/reads.ts"
import type { About, Run } from "./checks.ts"
import * as Checks from "./checks.ts"

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

/** The log-probabilities of an answer's tokens in nats, under each model that an objective may read. */
export type Answer = Readonly<Partial<Record<"policy" | "reference" | "guide", ReadonlyArray<number>>>>

/**
 * An objective on one item, in float64: its loss, the implicit rewards of both answers, and the derivative of the loss with
 * respect to each token's log-probability under the policy.
 */
export const onAnswers = (objective: AnyObjective, answers: Readonly<Record<Role, Answer>>) => {
  const { loss, reward } = objective.implementation
  const roots = [loss, reward("chosen"), reward("rejected")]
  const { roles } = reads(roots)
  const rows = (answer: Answer) =>
    Object.fromEntries(Object.entries(answer).map(([source, logProbs]) => [source, [logProbs]]))
  const found = Float64.evaluate(roots, {
    size: 1,
    numbers: {},
    answers: Object.fromEntries(roles.map((role) => [role, { logProbs: rows(answers[role]!) }]))
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

/** A statistical check: in at least so many of the seeds one number lies above another. Shown is in how many. */
export const inMostSeeds = ({
  atLeast,
  over,
  ...about
}: About & {
  readonly over: Check.Check["over"]
  readonly atLeast: number
  readonly higher: (run: Run) => number
  readonly lower: (run: Run) => number
}): Check.Check => ({
  name: about.name,
  expected: about.expected,
  outputs: about.outputs,
  ...(about.knownGap === undefined ? {} : { knownGap: about.knownGap }),
  kind: "statistical",
  over,
  measure: (runs) =>
    Effect.sync(() => ({
      value: runs.filter((run) => about.higher(run) > about.lower(run)).length,
      note: `of ${runs.length} seeds`
    })),
  holds: ({ value }) => value >= atLeast
})

/** A statistical check: the mean over seeds lies below a bound, wherever its interval, which is shown, ends. */
export const inMean = ({
  below,
  over,
  value,
  ...about
}: About & {
  readonly over: Check.Check["over"]
  readonly below: number
  readonly value: (run: Run) => number
}): Check.Check => ({
  ...Checks.onAverage({ ...about, over, value, below }),
  holds: (measured) => measured.value < below
})
