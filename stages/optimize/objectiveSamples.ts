/** Generated items for the laws of objectives, and an objective's values and gradients on them, both ways of computing. */
import * as tf from "@tensorflow/tfjs"
import { Arbitrary, Schema } from "effect"
import * as Law from "../../dsl/Law.ts"
import type { Range, Role } from "./algebra/Expression.ts"
import * as Float64 from "./algebra/float64.ts"
import { reads } from "./algebra/reads.ts"
import * as Tensors from "./algebra/tensors.ts"
import type { Written } from "./Objective.ts"

/** A token's log-probabilities in nats; `direction` is where finite differences move the policy's. */
export interface Token {
  readonly policy: number
  readonly reference: number
  readonly guide: number
  readonly direction: number
}

/** A head's output, and where finite differences move it. */
export interface Output {
  readonly value: number
  readonly direction: number
}

export interface Item {
  readonly answers: Readonly<Record<Role, ReadonlyArray<Token>>>
  readonly heads: Readonly<Record<Role, ReadonlyArray<Output>>>
  readonly numbers: Readonly<Record<string, number>>
}

const Nats = Arbitrary.schema(Law.Real(-5, 0))
const Direction = Arbitrary.schema(Law.Real(-1, 1))
const Answer = Arbitrary.array(Arbitrary.all({ policy: Nats, reference: Nats, guide: Nats, direction: Direction }), {
  minLength: 1,
  maxLength: 4
})

/** A head's output, not near 0: a vector of no length has no direction, nor has a loss of directions a gradient there. */
const Awake = Arbitrary.schema(Law.Real(-2, 2)).pipe(Arbitrary.map((x) => x + (x < 0 ? -0.25 : 0.25)))

const numberIn = ({ maximum, minimum, whole }: Range) =>
  whole === true
    ? Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
    : Arbitrary.schema(Law.Real(minimum, maximum))

/** One to four items with all that the objective reads, answers of one to four tokens. */
export const itemsFor = (objective: Written): Arbitrary.Arbitrary<ReadonlyArray<Item>> => {
  const { heads, numbers, roles } = reads([objective.loss])
  const all = [...new Set(["chosen", "rejected", ...roles])]
  const each = <A>(arbitrary: Arbitrary.Arbitrary<A>) =>
    Arbitrary.all(Object.fromEntries(all.map((r) => [r, arbitrary])))
  const outputs = Arbitrary.array(Arbitrary.all({ value: Awake, direction: Direction }), {
    minLength: heads,
    maxLength: heads
  })
  return Arbitrary.array(
    Arbitrary.all({
      answers: each(Answer),
      heads: each(outputs),
      numbers: Arbitrary.all(
        Object.fromEntries(Object.entries(numbers).map(([name, range]) => [name, numberIn(range)]))
      )
    }),
    { minLength: 1, maxLength: 4 }
  )
}

const rolesOf = (items: ReadonlyArray<Item>) => Object.keys(items[0]!.answers)
const columns = (items: ReadonlyArray<Item>) =>
  Object.fromEntries(Object.keys(items[0]!.numbers).map((name) => [name, items.map(({ numbers }) => numbers[name]!)]))

/** The items as float64 rows; the policy and the heads moved by `step` along their directions. */
export const float64Items = (items: ReadonlyArray<Item>, step = 0): Float64.Items => ({
  size: items.length,
  numbers: columns(items),
  answers: Object.fromEntries(
    rolesOf(items).map((role) => {
      const rows = (value: (token: Token) => number) => items.map(({ answers }) => answers[role]!.map(value))
      const policy = rows((token) => token.policy + step * token.direction)
      const heads = items.map((item) => item.heads[role]!.map(({ direction, value }) => value + step * direction))
      const frozen = { reference: rows(({ reference }) => reference), guide: rows(({ guide }) => guide) }
      return [role, { logProbs: { policy, ...frozen }, heads }] as const
    })
  )
})

/** The items as tensors, padded at the end by further `padding` columns that hold `outside`. */
export const tensorItems = (items: ReadonlyArray<Item>, { outside = 0, padding = 0 } = {}): Tensors.Items => {
  const roles = rolesOf(items)
  const width = padding + Math.max(...items.flatMap(({ answers }) => roles.map((role) => answers[role]!.length)))
  const answers = Object.fromEntries(
    roles.map((role) => {
      const grid = (value: (token: Token, t: number) => number, elsewhere: number) =>
        tf.tensor2d(
          items.map(({ answers }) =>
            Array.from({ length: width }, (_, t) =>
              t < answers[role]!.length ? value(answers[role]![t]!, t) : elsewhere
            )
          )
        )
      const outputs = items.map((item) => item.heads[role]!.map(({ value }) => value))
      const logProbs = {
        policy: grid(({ policy }) => policy, outside),
        reference: grid(({ reference }) => reference, 2 * outside),
        guide: grid(({ guide }) => guide, -outside)
      }
      const heads = outputs[0]!.length === 0 ? {} : { heads: tf.tensor2d(outputs) }
      return [role, { mask: grid(() => 1, 0), position: grid((_, t) => t, outside), logProbs, ...heads }] as const
    })
  )
  const numbers = Object.fromEntries(
    Object.entries(columns(items)).map(([name, values]) => [name, tf.tensor1d(values)])
  )
  return { size: items.length, answers, numbers }
}

/** Losses of the items and implicit rewards of every role, in float64. */
export const evaluate = ({ loss, reward }: Written, items: ReadonlyArray<Item>) => {
  const given = float64Items(items)
  const of = (root: Written["loss"]) => [...Float64.evaluate([root], given).values[0]!]
  return { loss: of(loss), reward: (role: Role) => of(reward(role)) }
}

/** One row of numbers for each item and role: the gradient of the sum of the losses by the policy's log-probabilities. */
export type Rows = Readonly<Record<Role, ReadonlyArray<ReadonlyArray<number>>>>

export const gradient64 = ({ loss }: Written, items: ReadonlyArray<Item>): { logProbs: Rows; heads: Rows } => {
  const found = Float64.evaluate([loss], float64Items(items)).gradient(items.map(() => 1))
  const plain = (rows: Float64.Gradient["logProbs"]) =>
    Object.fromEntries(Object.entries(rows).map(([role, each]) => [role, each.map((row) => [...row])]))
  return { logProbs: plain(found.logProbs), heads: plain(found.heads) }
}

interface Layout {
  readonly outside?: number
  readonly padding?: number
}

/** Losses and gradient on the current tensor backend, by its own gradients. */
export const onTensors = ({ loss }: Written, items: ReadonlyArray<Item>, layout: Layout = {}) => {
  const roles = rolesOf(items)
  const tensors = tf.tidy(() => {
    const given = tensorItems(items, layout)
    const policies = roles.map((role) => given.answers[role]!.logProbs.policy!)
    const losses = (moved: ReadonlyArray<tf.Tensor>) => {
      const answers = Object.fromEntries(
        roles.map((role, i) => {
          const side = given.answers[role]!
          return [role, { ...side, logProbs: { ...side.logProbs, policy: moved[i] as tf.Tensor2D } }]
        })
      )
      return Tensors.onTensors([loss], { ...given, answers })[0]!
    }
    // A loss of the heads alone has no gradient in the log-probabilities: it is asked for together with a 0 of each.
    const withZeros = (...moved: Array<tf.Tensor>) =>
      moved.reduce((sum, x) => tf.add(sum, tf.mul(tf.sum(x), 0)), tf.sum(losses(moved)) as tf.Tensor)
    return [losses(policies), ...tf.grads(withZeros)(policies)]
  })
  const [values, ...grids] = tensors.map((tensor) => tensor.arraySync() as ReadonlyArray<unknown>)
  tf.dispose(tensors)
  const logProbs: Rows = Object.fromEntries(
    roles.map((role, i) => {
      const grid = grids[i] as ReadonlyArray<ReadonlyArray<number>>
      return [role, items.map(({ answers }, b) => grid[b]!.slice(0, answers[role]!.length))]
    })
  )
  return { loss: values as ReadonlyArray<number>, logProbs }
}

/** Equal within `tolerance`, absolutely for small numbers and relatively for large ones. */
export const near = (a: ReadonlyArray<number>, b: ReadonlyArray<number>, tolerance = 1e-9): boolean =>
  a.length === b.length &&
  a.every((x, i) => Math.abs(x - b[i]!) <= tolerance * Math.max(1, Math.abs(x), Math.abs(b[i]!)))
