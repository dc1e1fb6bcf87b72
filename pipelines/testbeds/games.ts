/** Games of preferences with known answers, and what checks read off exact policies. */
import type { ExactPolicy, World } from "../../dsl/exactArtifacts.ts"
import { logSoftmax, softmax } from "../../runtime/exact/numbers.ts"
import { exact } from "../../stages/index.ts"
import type { Run } from "./checks.ts"

type Matrix = ReadonlyArray<ReadonlyArray<number>>

/** One context, with the starting policy given and, unless told otherwise, no reward. */
export const game = (reference: ReadonlyArray<number>, preferences: Matrix) =>
  exact.world({ world: exact.given({ reference: [reference], preferences: [preferences] }) })

/** Preferences `sigma(S)` of scores, of which `above[y]` are those of `y` against `y + 1`, `y + 2`, …. */
export const ofScores = (above: Matrix): Matrix => {
  const n = above.length + 1
  const score = (y: number, z: number): number => (y === z ? 0 : y < z ? above[y]![z - y - 1]! : -score(z, y))
  return Array.from({ length: n }, (_, y) => Array.from({ length: n }, (_, z) => 1 / (1 + Math.exp(-score(y, z)))))
}

/** The value of an output that is an exact policy. */
export const policyIn = (run: Run, output: string): ExactPolicy => run.outputs[output] as ExactPolicy
export const worldIn = (run: Run, output: string): World => run.outputs[output] as World

const rowsOf = ({ family, theta }: ExactPolicy, transform: (row: ReadonlyArray<number>) => Float64Array) => {
  if (family.kind !== "softmax") throw new RangeError(`a policy of the family ${family.kind} has no list of responses`)
  const { contexts, responses } = family
  return Array.from({ length: contexts }, (_, c) => transform(theta.slice(c * responses, (c + 1) * responses)))
}

/** Probabilities `[context][response]` of a softmax policy. */
export const probabilities = (policy: ExactPolicy): ReadonlyArray<Float64Array> => rowsOf(policy, softmax)

/** Log-probabilities `[context][response]` of a softmax policy. */
export const logProbabilities = (policy: ExactPolicy): ReadonlyArray<Float64Array> => rowsOf(policy, logSoftmax)

/** The largest distance of a probability in the first context from what it ought to be. */
export const distance = (policy: ExactPolicy, expected: ReadonlyArray<number>): number =>
  Math.max(...expected.map((p, y) => Math.abs(probabilities(policy)[0]![y]! - p)))
