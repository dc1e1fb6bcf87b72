import { Schema } from "effect"
import Sentiment from "sentiment"
import { withDefault } from "../../dsl/Params.ts"
import { each, Reward, scoped, scopeField } from "./Reward.ts"

const analyzer = new Sentiment()

/**
 * Sentiment by the AFINN word list: each listed word counts -5 to 5, with its sign turned after a negation.
 * **Details** `measure: "comparative"` divides the sum by the number of words, so it lies in [-5, 5]; `"sum"` does not,
 * and has no bound. A text without listed words scores 0.
 * **Gotchas** Both are easily gamed: the mean by repeating one good word ("great great great" scores 3), the sum by
 * writing more. That makes them good training rewards to be judged by another one.
 * **Source** Nielsen 2011, arXiv 1103.2903; npm `sentiment` (AFINN-165 and its emoji).
 */
export const afinn = Reward.define("afinn", {
  module: import.meta.url,
  description: "Sentiment by the AFINN word list",
  params: {
    measure: Schema.Literals(["comparative", "sum"]).pipe(withDefault("comparative")),
    scope: scopeField("whole")
  },
  make: ({ measure, scope }) => {
    const read = scoped(scope)
    return each((answer) => {
      const { comparative, score } = analyzer.analyze(read(answer))
      return measure === "sum" ? score : comparative
    })
  }
})
