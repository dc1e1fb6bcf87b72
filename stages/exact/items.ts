/** From pairs to the float64 items of an objective under exact policies. */
import type { Pair } from "../../dsl/artifacts.ts"
import type { Policy, Row } from "../../runtime/exact/Policy.ts"
import type { Role } from "../optimize/algebra/Expression.ts"
import type * as Float64 from "../optimize/algebra/float64.ts"
import type { Reads } from "../optimize/algebra/reads.ts"
import { RowInvalid, rowOf } from "./rows.ts"

export interface ExactItems {
  /** By role, one row for each pair. */
  readonly rows: Readonly<Record<Role, ReadonlyArray<Row>>>
  readonly weights: Float64Array
  /** The items with the policy's log-probabilities as they are under it. */
  readonly under: (policy: Policy) => Float64.Items
}

/** Prepares what the objective reads of the pairs. Throws `RowInvalid`, or a RangeError for rows that a policy cannot write. */
export const exactItems = (
  pairs: ReadonlyArray<Pair>,
  reads: Reads,
  frozen: Readonly<Partial<Record<"reference" | "guide", Policy | undefined>>>
): ExactItems => {
  if (reads.heads > 0) throw new RangeError("exact policies have no head")
  const rows = Object.fromEntries(reads.roles.map((role) => [role, pairs.map((pair) => rowOf(pair, role))]))
  const numbers = Object.fromEntries(
    Object.keys(reads.numbers).map((name) => [
      name,
      pairs.map(({ id, numbers }) => {
        const value = numbers?.[name]
        if (value === undefined)
          throw new RowInvalid({ pair: id, problem: `the objective reads the number ${name}, which it does not have` })
        return value
      })
    ])
  )
  const logProbs = (policy: Policy, role: Role) => rows[role]!.map(policy.tokenLogProbs)
  const annotated = Object.fromEntries(
    reads.roles.map((role) => {
      const sources = (["reference", "guide"] as const).flatMap((source) => {
        if (!reads.frozen[source].includes(role)) return []
        const policy = frozen[source]
        if (policy === undefined) throw new RangeError(`the objective reads the ${source}: give one`)
        return [[source, logProbs(policy, role)] as const]
      })
      return [role, Object.fromEntries(sources)] as const
    })
  )
  return {
    rows,
    weights: Float64Array.from(pairs, ({ id, numbers }) => {
      const weight = numbers?.["weight"] ?? 1
      if (!(weight >= 0)) throw new RowInvalid({ pair: id, problem: `its weight is ${weight}` })
      return weight
    }),
    under: (policy) => ({
      size: pairs.length,
      numbers,
      answers: Object.fromEntries(
        reads.roles.map((role) => [role, { logProbs: { policy: logProbs(policy, role), ...annotated[role] } }])
      )
    })
  }
}
