/** Reward models of a world, free for each response: what a head would put out, as a table. */
import { Schema } from "effect"
import * as Artifact from "../../dsl/Artifact.ts"
import type { Pair } from "../../dsl/artifacts.ts"
import { Count } from "../../dsl/Params.ts"
import * as Float64 from "../optimize/algebra/float64.ts"
import type { Objective } from "../optimize/Objective.ts"
import { rowOf } from "./rows.ts"

/** `theta[(context * responses + response) * outputs + output]`. */
export const HeadTable = Schema.Struct({
  contexts: Count,
  responses: Count,
  outputs: Count,
  theta: Schema.Array(Schema.Finite)
})
export type HeadTable = typeof HeadTable.Type

export const HeadTableValue = Artifact.value("head-table", HeadTable, { equality: Artifact.within(1e-9) })

/** Pairs as items of an objective that reads nothing but heads and numbers; each row of `places` is an answer's start in `theta`. */
export const headItems = (
  pairs: ReadonlyArray<Pair>,
  { loss, reads }: Pick<Objective, "loss" | "reads">,
  { contexts, outputs, responses }: Omit<HeadTable, "theta">
) => {
  if (reads.heads === 0 || reads.heads > outputs)
    throw new RangeError(`the objective reads ${reads.heads} outputs, the table has ${outputs}`)
  const places = Object.fromEntries(
    reads.roles.map((role) => [
      role,
      pairs.map((pair) => {
        const { context, tokens } = rowOf(pair, role)
        const [response = -1] = tokens
        if (tokens.length !== 1 || response >= responses || context >= contexts)
          throw new RangeError(`pair ${pair.id}: no answer of ${responses} responses in ${contexts} contexts`)
        return (context * responses + response) * outputs
      })
    ])
  )
  const numbers = Object.fromEntries(
    Object.keys(reads.numbers).map((name) => [
      name,
      pairs.map(({ id, numbers }) => {
        const value = numbers?.[name]
        if (value === undefined) throw new RangeError(`pair ${id} has no number ${name}`)
        return value
      })
    ])
  )
  const itemsAt = (theta: ArrayLike<number>): Float64.Items => ({
    size: pairs.length,
    numbers,
    answers: Object.fromEntries(
      reads.roles.map((role) => [
        role,
        {
          // A head is read, and no token: every answer is one token of log-probability 0.
          logProbs: { policy: pairs.map(() => [0]) },
          heads: places[role]!.map((at) => Array.from({ length: outputs }, (_, k) => theta[at + k]!))
        }
      ])
    )
  })
  return {
    places,
    evaluate:
      (roots = [loss]) =>
      (theta: ArrayLike<number>) =>
        Float64.evaluate(roots, itemsAt(theta))
  }
}
