/** The loss of a batch of items, by tensors alone or, where items depend on their batch, by way of float64. */
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import type { Llama } from "../../runtime/models/Llama.ts"
import { computed } from "../../runtime/tensor/read.ts"
import type { Contribution } from "../../runtime/tensor/train.ts"
import type { Expression } from "./algebra/Expression.ts"
import * as Float64 from "./algebra/float64.ts"
import { type Reads, reads } from "./algebra/reads.ts"
import * as Tensors from "./algebra/tensors.ts"
import { type Item, tensorsOf } from "./items.ts"
import { type Losses, separable } from "./loop.ts"
import type { Objective } from "./Objective.ts"

/** What the loop minimizes: the mean of the items' losses by their weights, with TRL's metrics beside it. */
export const itemLosses = (model: Llama, objective: Objective): Losses<Item> =>
  objective.reads.batch ? wholeBatch(model, objective) : eachAlone(model, objective)

/** For losses that items have each for themselves: on tensors throughout. */
export const eachAlone = (model: Llama, objective: Objective): Losses<Item> =>
  separable((items) => {
    const batch = tensorsOf(model, items, objective.reads)
    const [losses] = Tensors.onTensors([objective.loss], batch)
    return contribution(items, tf.sum(tf.mul(losses!, weightsOf(items))), metrics(objective, batch, items))
  })

/**
 * For losses of a whole batch, whatever the micro-batches: one pass reads the log-probabilities, float64 tells how the
 * batch's loss changes with each of them, and a second pass turns that into the gradient of the parameters.
 * **Source** Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup" (gradient caching).
 */
export const wholeBatch =
  (model: Llama, objective: Objective): Losses<Item> =>
  (microBatches, state) =>
    Effect.gen(function* () {
      const { loss, reads } = objective
      const found = yield* Effect.forEach(microBatches, (items) => readItems(model, items, reads))
      const whole = Float64.evaluate([loss], { ...joined(found), state })
      const items = microBatches.flat()
      const { logProbs, heads } = whole.gradient(items.map(({ weight }) => weight))
      const starts = new Map(microBatches.map((items, m) => [items, microBatches.slice(0, m).flat().length]))
      const lossOf = (items: ReadonlyArray<Item>): Contribution => {
        const start = starts.get(items)!
        const batch = tensorsOf(model, items, reads)
        const pulled = reads.roles.flatMap((role) => {
          const { heads: outputs, logProbs: sources, mask } = batch.answers[role]!
          const of = (rows: ReadonlyArray<Float64Array>) => rows.slice(start, start + items.length)
          const byToken = tf.sum(tf.mul(sources.policy!, spread(of(logProbs[role]!), items, role, mask.shape)))
          return outputs === undefined
            ? [byToken]
            : [byToken, tf.sum(tf.mul(outputs, tf.tensor2d(of(heads[role]!).map((row) => [...row]))))]
        })
        const surrogate = tf.addN(pulled as Array<tf.Scalar>)
        const value = items.reduce((sum, { weight }, i) => sum + weight * whole.values[0]![start + i]!, 0)
        return contribution(items, valued(surrogate, value), metrics(objective, batch, items))
      }
      return { lossOf, state: whole.state }
    })

/** Has the gradient of a tensor, and a value of its own. */
const valued = (of: tf.Tensor, value: number): tf.Tensor =>
  tf.customGrad((x) => ({
    value: tf.scalar(value),
    gradFunc: (dy: tf.Tensor) => tf.mul(dy, tf.onesLike(x as tf.Tensor))
  }))(of)

const contribution = (
  items: ReadonlyArray<Item>,
  loss: tf.Tensor,
  metrics: Readonly<Record<string, tf.Scalar>>
): Contribution => ({ loss: loss as tf.Scalar, weight: items.reduce((sum, { weight }) => sum + weight, 0), metrics })

const weightsOf = (items: ReadonlyArray<Item>): tf.Tensor1D => tf.tensor1d(items.map(({ weight }) => weight))

/** A row of numbers for each item, laid where the tokens of its answer lie. */
const spread = (
  rows: ReadonlyArray<Float64Array>,
  items: ReadonlyArray<Item>,
  role: string,
  [height, width]: [number, number]
): tf.Tensor2D => {
  const values = new Float32Array(height * width)
  rows.forEach((row, i) => {
    values.set(row, i * width + items[i]!.rows[role]!.prompt.length - 1)
  })
  return tf.tensor2d(values, [height, width])
}

/** The items of a micro-batch in float64: what the policy says of them now, and what is annotated. */
const readItems = Effect.fnUntraced(function* (model: Llama, items: ReadonlyArray<Item>, reads: Reads) {
  const { heads: outputs, roles } = reads
  const values = yield* computed(() => {
    const { answers } = tensorsOf(model, items, reads)
    const parts = roles.flatMap((role) => {
      const { heads, logProbs } = answers[role]!
      return [tf.reshape(logProbs.policy!, [-1]), ...(heads === undefined ? [] : [tf.reshape(heads, [-1])])]
    })
    return tf.concat(parts as Array<tf.Tensor1D>)
  })
  const width = values.length / roles.length / items.length - outputs
  let next = 0
  const take = (count: number) => {
    next += count
    return Array.from(values.subarray(next - count, next))
  }
  const read: Float64.Items = {
    size: items.length,
    numbers: Object.fromEntries(Object.keys(reads.numbers).map((name) => [name, items.map((i) => i.numbers[name]!)])),
    answers: Object.fromEntries(
      roles.map((role) => {
        const policy = items.map(({ rows }) => {
          const { completion, prompt } = rows[role]!
          return take(width).slice(prompt.length - 1, prompt.length - 1 + completion.length)
        })
        const frozen = (source: "reference" | "guide") =>
          reads[source]
            ? { [source]: items.map((item) => item.frozen[source]?.[role] ?? item.rows[role]!.completion.map(() => 0)) }
            : {}
        const heads = outputs === 0 ? {} : { heads: items.map(() => take(outputs)) }
        return [role, { logProbs: { policy, ...frozen("reference"), ...frozen("guide") }, ...heads }]
      })
    )
  }
  return read
})

const joined = (parts: ReadonlyArray<Float64.Items>): Float64.Items => {
  const [first] = parts
  const rows = (of: (part: Float64.Items) => ReadonlyArray<ArrayLike<number>> | undefined) =>
    parts.flatMap((part) => of(part) ?? [])
  return {
    size: parts.reduce((sum, { size }) => sum + size, 0),
    numbers: Object.fromEntries(
      Object.keys(first!.numbers).map((name) => [name, parts.flatMap(({ numbers }) => Array.from(numbers[name]!))])
    ),
    answers: Object.fromEntries(
      Object.entries(first!.answers).map(([role, { heads, logProbs }]) => {
        const sources = Object.keys(logProbs) as ReadonlyArray<keyof typeof logProbs>
        const joint = sources.map((source) => [source, rows((part) => part.answers[role]!.logProbs[source])] as const)
        const outputs = heads === undefined ? {} : { heads: rows((part) => part.answers[role]!.heads) }
        return [role, { logProbs: Object.fromEntries(joint), ...outputs }]
      })
    )
  }
}

/** Whether an expression can be computed from what the loss reads anyhow, an item at a time. */
export const comesWith = (roots: ReadonlyArray<Expression>, given: Reads): boolean => {
  const wanted = reads(roots)
  return (
    !wanted.batch &&
    wanted.heads <= given.heads &&
    (["reference", "guide"] as const).every((source) =>
      wanted.frozen[source].every((role) => given.frozen[source].includes(role))
    ) &&
    wanted.roles.every((role) => given.roles.includes(role)) &&
    Object.keys(wanted.numbers).every((name) => Object.hasOwn(given.numbers, name))
  )
}

/**
 * Sums over items under TRL's names, where the loss reads both answers of the pair: implicit rewards of both sides, their
 * margin, the share of pairs whose chosen answer has strictly the higher one, and the answers' log-probabilities in nats.
 */
const metrics = (objective: Objective, batch: Tensors.Items, items: ReadonlyArray<Item>) => {
  const rewards = [objective.reward("chosen"), objective.reward("rejected")]
  if (!comesWith(rewards, objective.reads)) return {}
  const [chosen, rejected] = Tensors.onTensors(rewards, batch)
  const weights = weightsOf(items)
  const total = (x: tf.Tensor) => tf.sum(tf.mul(x, weights)) as tf.Scalar
  const logProbs = (role: string) => total(tf.sum(batch.answers[role]!.logProbs.policy!, 1))
  return {
    "rewards/chosen": total(chosen!),
    "rewards/rejected": total(rejected!),
    "rewards/margins": total(tf.sub(chosen!, rejected!)),
    "rewards/accuracies": total(tf.cast(tf.greater(chosen!, rejected!), "float32")),
    "logps/chosen": logProbs("chosen"),
    "logps/rejected": logProbs("rejected")
  }
}
