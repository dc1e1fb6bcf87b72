import vaderSentiment from "vader-sentiment"
import { each, Reward, scoped, scopeField } from "./Reward.ts"

/**
 * Sentiment by VADER's compound score, in [-1, 1]: a word list with rules for negation, emphasis, capitals and "but".
 * **Details** A text without listed words scores 0. Capitals count as emphasis only in a text that mixes both cases.
 * **Gotchas** The npm port is not the published program: on about 5 % of short reviews its score differs from Python's
 * `vaderSentiment`, sometimes in sign ("had absolutely no problem": -0.70 here, 0.48 there).
 * **Source** Hutto and Gilbert 2014, "VADER: a parsimonious rule-based model"; npm `vader-sentiment`.
 */
export const vader = Reward.define("vader", {
  module: import.meta.url,
  description: "Sentiment by VADER's compound score",
  params: { scope: scopeField("whole") },
  make: ({ scope }) => {
    const read = scoped(scope)
    return each((answer) => vaderSentiment.SentimentIntensityAnalyzer.polarity_scores(read(answer)).compound)
  }
})
