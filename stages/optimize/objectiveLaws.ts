/** What every pairwise objective obeys, on generated batches of pairs. The checks run on the current tensor backend. */
import * as tf from "@tensorflow/tfjs"
import { Arbitrary, Effect } from "effect"
import type * as Component from "../../dsl/Component.ts"
import * as Law from "../../dsl/Law.ts"
import type { PairBatch, PairObjective, Tokens } from "./Objective.ts"

/** A token's log-probabilities in nats; `direction` is where the finite differences move the policy's. */
export interface Token {
  readonly policy: number
  readonly reference: number
  readonly direction: number
}

/** A pair as the tokens of its two answers. */
export interface TokenPair {
  readonly chosen: ReadonlyArray<Token>
  readonly rejected: ReadonlyArray<Token>
}

const Nats = Arbitrary.schema(Law.Real(-5, 0))
const Answer = Arbitrary.array(
  Arbitrary.all({ policy: Nats, reference: Nats, direction: Arbitrary.schema(Law.Real(-1, 1)) }),
  { minLength: 1, maxLength: 4 }
)

/** One to four pairs of answers of one to four tokens. */
export const TokenPairs: Arbitrary.Arbitrary<ReadonlyArray<TokenPair>> = Arbitrary.array(
  Arbitrary.all({ chosen: Answer, rejected: Answer }),
  { minLength: 1, maxLength: 4 }
)

interface Layout {
  /** Further columns of padding. */
  readonly padding?: number
  readonly reference: boolean
  /** How far the policy is moved along `direction`. */
  readonly step?: number
}

/** The tensors of a batch, padded at the end with zeros. */
export const batchOf = (pairs: ReadonlyArray<TokenPair>, { padding = 0, reference, step = 0 }: Layout): PairBatch => {
  const width = padding + Math.max(...pairs.flatMap(({ chosen, rejected }) => [chosen.length, rejected.length]))
  const grid = (rows: ReadonlyArray<ReadonlyArray<Token>>, value: (token: Token) => number) =>
    tf.tensor2d(rows.map((row) => Array.from({ length: width }, (_, t) => (t < row.length ? value(row[t]!) : 0))))
  const side = (rows: ReadonlyArray<ReadonlyArray<Token>>): Tokens => ({
    policy: grid(rows, (token) => token.policy + step * token.direction),
    mask: grid(rows, () => 1),
    ...(reference ? { reference: grid(rows, (token) => token.reference) } : {})
  })
  return { chosen: side(pairs.map(({ chosen }) => chosen)), rejected: side(pairs.map(({ rejected }) => rejected)) }
}

/** Losses of the pairs and implicit rewards of both sides, as the objective's own tensors hold them. */
export const evaluate = (objective: PairObjective, pairs: ReadonlyArray<TokenPair>, layout: Partial<Layout> = {}) =>
  tf.tidy(() => {
    const batch = batchOf(pairs, { ...objective.reads, ...layout })
    const tensors = [objective.loss(batch), objective.reward(batch.chosen), objective.reward(batch.rejected)] as const
    const [loss, chosen, rejected] = tensors.map((x) => [...x.dataSync()])
    return { loss: loss!, chosen: chosen!, rejected: rejected!, shapes: tensors.map(({ shape }) => String(shape)) }
  })

/** `d/dh sum of losses(policy + h direction)` at `h = 0`, by the tensor library's gradients. */
const slope = (objective: PairObjective, pairs: ReadonlyArray<TokenPair>): number =>
  tf.tidy(() => {
    const { chosen, rejected } = batchOf(pairs, objective.reads)
    const loss = (c: tf.Tensor, r: tf.Tensor) =>
      tf.sum(
        objective.loss({
          chosen: { ...chosen, policy: c as tf.Tensor2D },
          rejected: { ...rejected, policy: r as tf.Tensor2D }
        })
      )
    const gradients = tf.grads(loss)([chosen.policy, rejected.policy])
    const moved = batchOf(pairs, { ...objective.reads, step: 1 })
    const along = (gradient: tf.Tensor, to: Tokens, from: Tokens) =>
      tf.sum(tf.mul(gradient, tf.sub(to.policy, from.policy))).dataSync()[0]!
    return along(gradients[0]!, moved.chosen, chosen) + along(gradients[1]!, moved.rejected, rejected)
  })

/** Equal within `tolerance`, absolutely for small numbers and relatively for large ones. */
export const near = (a: ReadonlyArray<number>, b: ReadonlyArray<number>, tolerance = 1e-4): boolean =>
  a.length === b.length &&
  a.every((x, i) => Math.abs(x - b[i]!) <= tolerance * Math.max(1, Math.abs(x), Math.abs(b[i]!)))

const STEP = 2 ** -6

/**
 * Central differences of one pair's loss, extrapolated (Richardson), or, where the loss has a kink within the step, the
 * one-sided difference of the side that has none.
 */
const matchesDifferences = (objective: PairObjective, pair: TokenPair) => {
  const at = (step: number) => evaluate(objective, [pair], { step }).loss[0]!
  const central = (step: number) => (at(step) - at(-step)) / (2 * step)
  const here = at(0)
  const differences = [(4 * central(STEP / 2) - central(STEP)) / 3, (here - at(-STEP)) / STEP, (at(STEP) - here) / STEP]
  const gradient = slope(objective, [pair])
  const tolerance = 2e-3 * (1 + Math.abs(here) + Math.abs(gradient))
  if (differences.some((difference) => Math.abs(gradient - difference) <= tolerance)) return Effect.succeed(true)
  const [middle, left, right] = differences
  return Effect.fail(
    new Law.Broken({
      reason: `the gradient gives ${gradient}, finite differences ${middle} (from the left ${left}, right ${right})`
    })
  )
}

export const laws = ({ implementation: objective }: Component.Component<"objective", PairObjective>) => [
  Law.make("gives each pair one finite loss and each answer one finite reward", TokenPairs, (pairs) => {
    const { chosen, loss, rejected, shapes } = evaluate(objective, pairs)
    return (
      shapes.every((shape) => shape === String(pairs.length)) &&
      [...loss, ...chosen, ...rejected].every(Number.isFinite)
    )
  }),
  Law.make("treats pairs alike, in whatever order they stand", TokenPairs, (pairs) =>
    near(evaluate(objective, pairs).loss, evaluate(objective, pairs.toReversed()).loss.toReversed())
  ),
  Law.make("does not see padding", TokenPairs, (pairs) => {
    const [bare, padded] = [evaluate(objective, pairs), evaluate(objective, pairs, { padding: 3 })]
    return near(bare.loss, padded.loss) && near(bare.chosen, padded.chosen) && near(bare.rejected, padded.rejected)
  }),
  Law.make("reads no reference that it does not ask for", TokenPairs, (pairs) => {
    if (objective.reads.reference) return true
    return near(evaluate(objective, pairs).loss, evaluate(objective, pairs, { reference: true }).loss, 0)
  }),
  Law.make(
    "has the gradient of its finite differences",
    TokenPairs,
    (pairs) =>
      Effect.forEach(pairs, (pair) => matchesDifferences(objective, pair), { discard: true }).pipe(Effect.as(true)),
    { runs: 40 }
  )
]
