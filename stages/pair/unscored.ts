import type { Completion, ScoredCompletion } from "../../dsl/artifacts.ts"

/** An answer without its score, as pairs hold it. */
export const unscored = ({ score: _, ...completion }: ScoredCompletion): Completion => completion
