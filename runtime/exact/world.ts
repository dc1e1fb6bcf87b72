/** Whether the parts of a world fit together. */
import type { World } from "../../dsl/exactArtifacts.ts"
import { policyOf } from "./families.ts"
import { preferenceMatrix } from "./games.ts"
import type { Policy } from "./Policy.ts"

/**
 * The reference policy of a world whose parts fit: rewards `[contexts][responses]` for each objective and valid
 * preference matrices `[contexts][responses][responses]` where responses can be listed, one token reward per symbol
 * elsewhere. RangeError that names the part at fault.
 */
export const referenceOf = (world: World): Policy => {
  const policy = policyOf(world.reference)
  const { kind } = world.reference.family
  const listed = kind === "softmax" || kind === "linear" || kind === "conditional"
  if (!listed && (world.rewards !== undefined || world.preferences !== undefined))
    throw new RangeError(
      `a world of ${kind} sequences has neither rewards nor preferences by response, but tokenRewards`
    )
  if (listed && world.tokenRewards !== undefined)
    throw new RangeError(`a world of ${kind} responses has rewards or preferences, but no tokenRewards`)
  world.rewards?.forEach((matrix, objective) => {
    table(policy, `rewards[${objective}]`, matrix)
  })
  if (world.preferences !== undefined) {
    table(policy, "preferences", world.preferences)
    world.preferences.forEach((matrix, context) => {
      try {
        preferenceMatrix(matrix)
      } catch (cause) {
        throw new RangeError(`preferences[${context}]: ${cause instanceof Error ? cause.message : cause}`, { cause })
      }
    })
  }
  if (world.tokenRewards !== undefined) lengthIs("tokenRewards", world.tokenRewards, symbolsOf(policy))
  return policy
}

/** Number of symbols (of responses, where they can be listed) that a policy writes. */
export const symbolsOf = ({ process }: Policy): number => {
  const written = new Set<number>()
  for (let action = 0; action < process.logProbs(0, 0, process.start).length; action++) {
    const symbol = process.symbol(action)
    if (symbol !== undefined) written.add(symbol)
  }
  return written.size
}

const table = (policy: Policy, name: string, rows: ReadonlyArray<ReadonlyArray<unknown>>) => {
  lengthIs(name, rows, policy.process.contexts)
  rows.forEach((row, context) => {
    lengthIs(`${name}[${context}]`, row, symbolsOf(policy))
  })
}

const lengthIs = (name: string, list: ReadonlyArray<unknown>, expected: number) => {
  if (list.length !== expected) throw new RangeError(`${name} has ${list.length} entries, the reference ${expected}`)
}
