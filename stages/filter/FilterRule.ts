/**
 * The kind of component that says which answers to a prompt are kept. A rule only points at answers, so whatever it does,
 * what is left is some of the answers in their order.
 */
import { Arbitrary, Schema } from "effect"
import type { Prompt, ScoredCompletion } from "../../dsl/artifacts.ts"
import * as Component from "../../dsl/Component.ts"
import * as Law from "../../dsl/Law.ts"

export interface FilterRule {
  /** For each answer of one prompt, in order, whether it is kept. */
  readonly keeps: (completions: ReadonlyArray<ScoredCompletion>, prompt: Prompt) => ReadonlyArray<boolean>
}

/** A rule that looks at each answer alone. */
export const each = (keeps: (completion: ScoredCompletion) => boolean): FilterRule => ({
  keeps: (completions) => completions.map(keeps)
})

/** A rule that keeps all answers of a prompt or drops the prompt. */
export const wholePrompt = (keeps: (completions: ReadonlyArray<ScoredCompletion>) => boolean): FilterRule => ({
  keeps: (completions) => {
    const kept = keeps(completions)
    return completions.map(() => kept)
  }
})

/** The answers that a rule keeps. */
export const kept = (
  rule: FilterRule,
  completions: ReadonlyArray<ScoredCompletion>,
  prompt: Prompt
): ReadonlyArray<ScoredCompletion> => {
  const keeps = rule.keeps(completions, prompt)
  return completions.filter((_, i) => keeps[i])
}

const prompt: Prompt = { id: "p", text: "the food was" }
const TEXTS = ["", " ", "good", " good", "good ", "not bad", "not bad at all", "awful. awful. awful."]

/** Answers with repeated texts and tied scores: the cases in which rules differ. */
const Completions = Arbitrary.array(
  Arbitrary.all([Arbitrary.schema(Schema.Literals(TEXTS)), Arbitrary.schema(Law.Real(-2, 2))]).pipe(
    Arbitrary.map(([text, score]): ScoredCompletion => ({ text, finish: "stop", score: Math.round(score * 2) / 2 }))
  ),
  { maxLength: 8 }
)

/** A rule that filters nothing more when it is applied again. Stated by the rules of which it is true. */
export const idempotent = (rule: FilterRule): Law.Law =>
  Law.make("keeps all of what it kept", Completions, (completions) => {
    const once = kept(rule, completions, prompt)
    return kept(rule, once, prompt).length === once.length
  })

/** What every filter rule obeys. */
const laws = ({ implementation: rule }: Component.Component<"filter", FilterRule>): ReadonlyArray<Law.Law> => [
  Law.make("decides once about every answer", Completions, (completions) => {
    const keeps = rule.keeps(completions, prompt)
    return keeps.length === completions.length && keeps.every((keep) => typeof keep === "boolean")
  }),
  Law.make("decides the same way again and leaves its input alone", Completions, (completions) => {
    const before = JSON.stringify(completions)
    const first = JSON.stringify(rule.keeps(completions, prompt))
    return first === JSON.stringify(rule.keeps(completions, prompt)) && before === JSON.stringify(completions)
  })
]

export const FilterRule = Component.kind<FilterRule>()("filter", { laws })
