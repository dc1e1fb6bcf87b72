/** The prompt under which a policy improves on a draft: the original one, the draft between two marks. */
import { Schema } from "effect"
import type { Completion, Prompt } from "../../dsl/artifacts.ts"
import { withDefault } from "../../dsl/Params.ts"

/** What stands before and after a draft, word for word; an answer brings its own leading space. */
export const templateFields = {
  before: Schema.String.pipe(withDefault(" <draft>")),
  after: Schema.String.pipe(withDefault(" <better> "))
}
export interface Template {
  readonly before: string
  readonly after: string
}

/**
 * The prompt that asks for a better answer than `draft`.
 * **Details** Its id is `<prompt id>/draft:<draft>`, the draft by its tokens (joined by dots) or else by its text:
 * equal for equal drafts of one prompt wherever they come from, which is what worlds that know contexts by id need.
 */
export const draftPrompt = (prompt: Prompt, draft: Completion, { after, before }: Template): Prompt => ({
  id: `${prompt.id}/draft:${draft.tokens?.join(".") ?? JSON.stringify(draft.text)}`,
  text: `${prompt.text}${before}${draft.text}${after}`
})
