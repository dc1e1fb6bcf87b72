/** How the answers of exact policies travel as prompts and completions: context `c` as the prompt `c<c>`. */
import { Schema } from "effect"
import type { Completion, Pair, Prompt } from "../../dsl/artifacts.ts"
import type { World } from "../../dsl/exactArtifacts.ts"
import type { Row } from "../../runtime/exact/Policy.ts"
import type { Role } from "../optimize/algebra/Expression.ts"
import { answerOf } from "../optimize/items.ts"

/** A pair that is not of the world's answers. */
export class RowInvalid extends Schema.TaggedError<RowInvalid>()("RowInvalid", {
  pair: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `pair ${JSON.stringify(this.pair)}: ${this.problem}`
  }
}

export const promptOf = (context: number): Prompt => ({ id: `c${context}`, text: "" })

/** The symbols, separated by spaces, are the text. */
export const completionOf = ({ finish, tokens }: Row): Completion => ({ text: tokens.join(" "), tokens, finish })

const CONTEXT = /^c(\d+)(?:\/\d+)?$/

/** The row of an answer; throws `RowInvalid` where there is none, or it is no answer of an exact policy. */
export const rowOf = (pair: Pair, role: Role): Row => {
  const answer = answerOf(pair, role)
  if (answer === undefined)
    throw new RowInvalid({ pair: pair.id, problem: `the objective reads the answer ${role}, which it does not have` })
  const context = CONTEXT.exec(answer.prompt.id)?.[1]
  const { finish, tokens } = answer.completion
  if (context === undefined || tokens === undefined)
    throw new RowInvalid({
      pair: pair.id,
      problem: `its answer ${role} is not of a world: it has no context or no symbols`
    })
  return { context: Number(context), tokens, finish }
}

/** What an answer is worth to a judge. */
export interface Gold {
  /** Which of the world's rewards, where responses have one each. */
  readonly objective: number
  /** Divides the sum of symbols' rewards by their number. */
  readonly perToken: boolean
  /** Worth of each symbol as such: a judge who likes length. */
  readonly lengthWeight: number
  /** Multiplies it all. */
  readonly scale: number
}

/** The gold reward of an answer. Throws a RangeError where the world has none. */
export const goldOf = ({ rewards, tokenRewards }: World, { context, tokens }: Row, gold: Gold): number => {
  const { lengthWeight, objective, perToken, scale } = gold
  if (tokenRewards !== undefined) {
    const sum = tokens.reduce((total, symbol) => total + tokenRewards[symbol]!, 0)
    const own = perToken ? (tokens.length === 0 ? 0 : sum / tokens.length) : sum
    return scale * own + lengthWeight * tokens.length
  }
  const reward = rewards?.[objective]?.[context]?.[tokens[0]!]
  if (reward === undefined) throw new RangeError(`the world has no reward ${objective} of response ${tokens[0]}`)
  return scale * reward
}
