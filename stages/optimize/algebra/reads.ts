import { type Expression, inOrder, type Range, type Role, type Source } from "./Expression.ts"

/** What must be given to compute expressions: nothing else is prepared, annotated or sent through a model. */
export interface Reads {
  /** The answers that the policy's log-probabilities, or anything else, are read of; in alphabetical order. */
  readonly roles: ReadonlyArray<Role>
  /** By frozen source the answers whose log-probabilities are read. */
  readonly frozen: Readonly<Record<Exclude<Source, "policy">, ReadonlyArray<Role>>>
  readonly reference: boolean
  readonly guide: boolean
  readonly numbers: Readonly<Record<string, Range>>
  /** How many outputs the head must have; 0 where none is read. */
  readonly heads: number
  /** Whether an item's value depends on the batch around it. */
  readonly batch: boolean
}

export const reads = (roots: ReadonlyArray<Expression>): Reads => {
  const roles = new Set<Role>()
  const frozen = { reference: new Set<Role>(), guide: new Set<Role>() }
  const numbers: Record<string, Range> = {}
  let heads = 0
  let batch = false
  for (const { operation } of inOrder(roots)) {
    switch (operation.op) {
      case "logProbs":
        roles.add(operation.role)
        if (operation.source !== "policy") frozen[operation.source].add(operation.role)
        break
      case "position":
      case "length":
        roles.add(operation.role)
        break
      case "head":
        roles.add(operation.role)
        heads = Math.max(heads, operation.index + 1)
        break
      case "number":
        numbers[operation.name] = operation.range
        break
      case "batchMean":
      case "sorted":
      case "movingMean":
        batch = true
    }
  }
  const ordered = (names: Set<Role>) => [...names].sort()
  return {
    roles: ordered(roles),
    frozen: { reference: ordered(frozen.reference), guide: ordered(frozen.guide) },
    reference: frozen.reference.size > 0,
    guide: frozen.guide.size > 0,
    numbers,
    heads,
    batch
  }
}
