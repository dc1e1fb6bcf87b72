/** From pairs to what an objective is computed on: the token rows of the answers that it reads, and nothing else. */
import * as tf from "@tensorflow/tfjs"
import { Effect, Schema, Stream } from "effect"
import type * as Artifact from "../../dsl/Artifact.ts"
import type { Completion, Pair, PairLogProbs, Prompt } from "../../dsl/artifacts.ts"
import * as Batch from "../../runtime/models/Batch.ts"
import { answers } from "../../runtime/models/forward.ts"
import type { Llama } from "../../runtime/models/Llama.ts"
import { HEAD } from "../../runtime/models/LlamaConfig.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import type { Role } from "./algebra/Expression.ts"
import type { Reads } from "./algebra/reads.ts"
import type * as Tensors from "./algebra/tensors.ts"

/** The models whose log-probabilities are annotated beforehand. */
export type Frozen = "reference" | "guide"

/** A pair as token ids. `frozen` holds the log-probability of every completion token under the models that are read. */
export interface Item {
  readonly prompt: string
  readonly rows: Readonly<Record<Role, Batch.Row>>
  readonly frozen: Readonly<Partial<Record<Frozen, Readonly<Record<Role, ReadonlyArray<number>>>>>>
  readonly numbers: Readonly<Record<string, number>>
  /** How much the item counts: the number `weight`, 1 where there is none. */
  readonly weight: number
}

/** A pair without something that the objective reads, log-probabilities of other pairs, or an answer without tokens. */
export class PairsInvalid extends Schema.TaggedError<PairsInvalid>()("PairsInvalid", {
  pair: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return this.pair === "" ? this.problem : `pair ${JSON.stringify(this.pair)}: ${this.problem}`
  }
}

/** Log-probabilities beside pairs: of the same pairs in the same order. */
export type Annotations = Readonly<Partial<Record<Frozen, Artifact.Records<PairLogProbs> | undefined>>>

/** The answer that a role names, with the prompt that it answers; `undefined` where the pair has none. */
export const answerOf = (
  { chosen, others, prompt, rejected }: Pair,
  role: Role
): { readonly prompt: Prompt; readonly completion: Completion } | undefined => {
  if (role === "chosen") return { prompt, completion: chosen }
  if (role === "rejected") return { prompt, completion: rejected }
  const other = others?.[role]
  return other && { prompt: other.prompt ?? prompt, completion: other.completion }
}

/** Reads pairs and the log-probabilities beside them, which must be given exactly where they are read. */
export const itemsOf = Effect.fnUntraced(function* (
  policy: Policy.Policy,
  pairs: Artifact.Records<Pair>,
  annotations: Annotations,
  reads: Reads
): Effect.fn.Return<ReadonlyArray<Item>, PairsInvalid | Batch.TokensInvalid | Artifact.DecodeError> {
  const outputs = policy.model.parameters.get(HEAD)?.shape[0] ?? 0
  if (reads.heads > outputs) {
    const problem = `the objective reads ${reads.heads} outputs of a head, the checkpoint's has ${outputs}`
    return yield* new PairsInvalid({ pair: "", problem })
  }
  const records = yield* Stream.runCollect(pairs.stream)
  const frozen: Partial<Record<Frozen, ReadonlyArray<PairLogProbs>>> = {}
  for (const source of ["reference", "guide"] as const) {
    const given = annotations[source]
    if (reads[source] !== (given !== undefined)) {
      const problem = reads[source]
        ? `the objective reads the ${source}: give ${source}LogProbs`
        : `the objective does not read the ${source}: leave ${source}LogProbs out`
      return yield* new PairsInvalid({ pair: "", problem })
    }
    if (given === undefined) continue
    const found = yield* Stream.runCollect(given.stream)
    if (found.length !== records.length) {
      const problem = `${records.length} pairs, but ${source} log-probabilities of ${found.length}`
      return yield* new PairsInvalid({ pair: "", problem })
    }
    frozen[source] = found
  }
  const items: Array<Item> = []
  for (const [i, pair] of records.entries()) {
    const invalid = (problem: string) => new PairsInvalid({ pair: pair.id, problem })
    const rows: Record<Role, Batch.Row> = {}
    for (const role of reads.roles) {
      const answer = answerOf(pair, role)
      if (answer === undefined) return yield* invalid(`the objective reads the answer ${role}, which it does not have`)
      rows[role] = Policy.rowOf(policy, answer.prompt, answer.completion)
      if (rows[role].completion.length === 0) return yield* invalid("an answer has no tokens")
    }
    const absent = Object.keys(reads.numbers).find((name) => pair.numbers?.[name] === undefined)
    if (absent !== undefined) return yield* invalid(`the objective reads the number ${absent}, which it does not have`)
    const logProbs: Partial<Record<Frozen, Record<Role, ReadonlyArray<number>>>> = {}
    for (const source of ["reference", "guide"] as const) {
      const record = frozen[source]?.[i]
      if (record === undefined) continue
      const byRole: Record<Role, ReadonlyArray<number>> = {}
      for (const role of reads.frozen[source]) {
        const values = role === "chosen" || role === "rejected" ? record[role] : record.others?.[role]
        if (record.pair !== pair.id || values?.length !== rows[role]!.completion.length)
          return yield* invalid(`its ${source} log-probabilities are of other tokens`)
        byRole[role] = values
      }
      logProbs[source] = byRole
    }
    const numbers = pair.numbers ?? {}
    const weight = numbers["weight"] ?? 1
    if (!(weight >= 0)) return yield* invalid(`its weight is ${weight}`)
    items.push({ prompt: pair.prompt.id, rows, frozen: logProbs, numbers, weight })
  }
  yield* Batch.validate(
    items.flatMap(({ rows }) => Object.values(rows)),
    policy.model.config
  )
  return items
})

/** The tensors of a batch of items: one forward pass over the rows of all roles. */
export const tensorsOf = (model: Llama, items: ReadonlyArray<Item>, reads: Reads): Tensors.Items => {
  const rows = reads.roles.flatMap((role) => items.map((item) => item.rows[role]!))
  const batch = Batch.make(rows)
  const width = batch.columns - 1
  const { heads, logProbs } = answers(model, batch, { heads: reads.heads > 0 })
  const grid = (fill: (values: Float32Array, item: Item, role: Role, start: number) => void) => {
    const values = new Float32Array(rows.length * width)
    reads.roles.forEach((role, k) => {
      items.forEach((item, i) => {
        fill(values, item, role, (k * items.length + i) * width + item.rows[role]!.prompt.length - 1)
      })
    })
    return tf.tensor2d(values, [rows.length, width])
  }
  const lengthOf = (item: Item, role: Role) => item.rows[role]!.completion.length
  const mask = grid((values, item, role, start) => values.fill(1, start, start + lengthOf(item, role)))
  const position = grid((values, item, role, start) => {
    for (let t = 0; t < lengthOf(item, role); t++) values[start + t] = t
  })
  const frozen = (source: Frozen) =>
    reads[source]
      ? { [source]: grid((values, item, role, start) => values.set(item.frozen[source]?.[role] ?? [], start)) }
      : {}
  const all: Readonly<Record<string, tf.Tensor2D>> = { policy: logProbs, ...frozen("reference"), ...frozen("guide") }
  const numberOf = (name: string) => tf.tensor1d(items.map(({ numbers }) => numbers[name]!))
  return {
    size: items.length,
    numbers: Object.fromEntries(Object.keys(reads.numbers).map((name) => [name, numberOf(name)])),
    answers: Object.fromEntries(
      reads.roles.map((role, k) => {
        const part = (x: tf.Tensor2D): tf.Tensor2D => tf.slice(x, [k * items.length, 0], [items.length, x.shape[1]])
        const sources = Object.fromEntries(Object.entries(all).map(([source, x]) => [source, part(x)]))
        const outputs = heads === undefined ? {} : { heads: part(heads) }
        return [role, { mask: part(mask), position: part(position), logProbs: sources, ...outputs }]
      })
    )
  }
}
