/** What every testbed tells of a policy, whatever it is made of. */
import type { Evaluation } from "../../dsl/artifacts.ts"
import type * as Pipeline from "../../dsl/Pipeline.ts"

export interface Measures {
  /** How often its answer is better than the start's by gold standard, ties half; 0.5 is no difference. */
  readonly winRate: number
  /** Gold reward less the start's. */
  readonly gain: number
  /** Nats that it has moved away from the start, an answer. */
  readonly kl: number
  /** Symbols or tokens of an answer, less the start's. */
  readonly length: number
  /** Log-likelihood of held-out chosen answers less that under the start, nats an answer: below 0 it is displaced. */
  readonly displacement: number
}

/** Outputs, decoded, by name. */
export type Parts = Readonly<Record<string, unknown>>

export interface Arena {
  /** Its default export is the pipeline. */
  readonly module: string
  readonly pipeline: Pipeline.Pipeline
  /** What gold standard and win rate are here, for people. */
  readonly gold: string
  /** Outputs of each entrant that are decoded; beside these each has one named `policy`, whose node is the training. */
  readonly parts: ReadonlyArray<string>
  /** Outputs that all entrants share, named `start/<part>`, and that are decoded. */
  readonly shared: ReadonlyArray<string>
  readonly measure: (own: Parts, start: Parts) => Measures
}

/** The mean of an estimate; throws a RangeError where there is none of that name. */
export const meanOf = (evaluation: unknown, name: string): number => {
  const found = (evaluation as Evaluation).estimates[name]
  if (found === undefined) throw new RangeError(`an evaluation without the estimate ${name}`)
  return found.mean
}
