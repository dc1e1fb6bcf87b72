/** Laws of objectives that compare the policy with a reference, for those of which they are true to state. */
import { Arbitrary } from "effect"
import * as Law from "../../dsl/Law.ts"
import type { Written } from "./Objective.ts"
import { evaluate, type Item, itemsFor, near, type Token } from "./objectiveSamples.ts"

/** Every item costs `value` where the policy is the reference, and every implicit reward is 0 there. */
export const atReference = (what: string, objective: Written, value: number): Law.Law =>
  Law.make(`${what} where the policy is the reference`, itemsFor(objective), (items) => {
    const equal = items.map(eachToken((token) => ({ ...token, reference: token.policy })))
    const { loss, reward } = evaluate(objective, equal)
    return (
      near(
        loss,
        items.map(() => value)
      ) &&
      near(
        reward("chosen"),
        items.map(() => 0)
      )
    )
  })

const Shift = Arbitrary.schema(Law.Real(-3, 3))

/** Moving policy and reference together, token by token, changes nothing. */
export const seesOnlyLogRatios = (objective: Written): Law.Law =>
  Law.make(
    "sees only log-ratios of policy and reference",
    Arbitrary.all([itemsFor(objective), Shift]),
    ([items, shift]) => {
      const moved = items.map(
        eachToken((token) => ({
          ...token,
          policy: token.policy + shift * token.direction,
          reference: token.reference + shift * token.direction
        }))
      )
      const [before, after] = [evaluate(objective, items), evaluate(objective, moved)]
      return near(before.loss, after.loss) && near(before.reward("chosen"), after.reward("chosen"))
    }
  )

/** Adding a constant of the prompt to the reference's log-probability of every answer changes no loss. */
export const seesOnlyTheGap = (objective: Written): Law.Law =>
  Law.make("does not see a constant of the prompt", Arbitrary.all([itemsFor(objective), Shift]), ([items, shift]) => {
    const moved = items.map(
      eachToken((token, t) => (t === 0 ? { ...token, reference: token.reference + shift } : token))
    )
    return near(evaluate(objective, items).loss, evaluate(objective, moved).loss)
  })

const eachToken =
  (change: (token: Token, t: number) => Token) =>
  (item: Item): Item => ({
    ...item,
    answers: Object.fromEntries(Object.entries(item.answers).map(([role, tokens]) => [role, tokens.map(change)]))
  })
