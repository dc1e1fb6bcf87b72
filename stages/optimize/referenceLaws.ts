/** Laws of objectives that compare the policy with a reference, for those of which they are true to state. */
import { Arbitrary } from "effect"
import * as Law from "../../dsl/Law.ts"
import type { PairObjective } from "./Objective.ts"
import { evaluate, near, type Token, type TokenPair, TokenPairs } from "./objectiveLaws.ts"

/** Every pair costs `value` where the policy is the reference, and every implicit reward is 0 there. */
export const atReference = (what: string, objective: PairObjective, value: number): Law.Law =>
  Law.make(`${what} where the policy is the reference`, TokenPairs, (pairs) => {
    const equal = pairs.map(eachToken((token) => ({ ...token, reference: token.policy })))
    const { chosen, loss, rejected } = evaluate(objective, equal)
    const zeros = pairs.map(() => 0)
    return (
      near(
        loss,
        pairs.map(() => value)
      ) &&
      near(chosen, zeros) &&
      near(rejected, zeros)
    )
  })

const Shift = Arbitrary.schema(Law.Real(-3, 3))

/** Moving policy and reference together, token by token, changes nothing. */
export const seesOnlyLogRatios = (objective: PairObjective): Law.Law =>
  Law.make("sees only log-ratios of policy and reference", Arbitrary.all([TokenPairs, Shift]), ([pairs, shift]) => {
    const moved = pairs.map(
      eachToken((token) => ({
        ...token,
        policy: token.policy + shift * token.direction,
        reference: token.reference + shift * token.direction
      }))
    )
    const [before, after] = [evaluate(objective, pairs), evaluate(objective, moved)]
    return near(before.loss, after.loss, 1e-3) && near(before.chosen, after.chosen, 1e-3)
  })

/** Adding a constant of the prompt to the reference's log-probability of both answers changes no loss. */
export const seesOnlyTheGap = (objective: PairObjective): Law.Law =>
  Law.make("does not see a constant of the prompt", Arbitrary.all([TokenPairs, Shift]), ([pairs, shift]) => {
    const first = (tokens: ReadonlyArray<Token>) =>
      tokens.map((token, t) => (t === 0 ? { ...token, reference: token.reference + shift } : token))
    const moved = pairs.map(({ chosen, rejected }) => ({ chosen: first(chosen), rejected: first(rejected) }))
    return near(evaluate(objective, pairs).loss, evaluate(objective, moved).loss, 1e-3)
  })

const eachToken =
  (change: (token: Token) => Token) =>
  ({ chosen, rejected }: TokenPair): TokenPair => ({ chosen: chosen.map(change), rejected: rejected.map(change) })
