import { Count, withDefault } from "../../dsl/Params.ts"
import { each, Reward, scoped, scopeField } from "./Reward.ts"

/**
 * A penalty in (-1, 0] for saying the same thing again: minus the share of n-grams that occurred before in the text.
 * **Details** `-(1 - distinct / all)` over the `n`-grams of lower-case words, which is distinct-n minus 1; 0 for a text
 * of fewer than `n` words.
 * **Source** distinct-n of Li et al. 2016, arXiv 1510.03055.
 */
export const repetition = Reward.define("repetition", {
  module: import.meta.url,
  description: "Penalty for repeated n-grams of words",
  params: { n: Count.pipe(withDefault(2)), scope: scopeField("completion") },
  make: ({ n, scope }) => {
    const read = scoped(scope)
    return each((answer) => {
      const grams = ngrams(read(answer).toLowerCase().match(/\S+/g) ?? [], n)
      return grams.length === 0 ? 0 : new Set(grams).size / grams.length - 1
    })
  }
})

/** Words hold no space, so a space keeps different n-grams different. */
const ngrams = (words: ReadonlyArray<string>, n: number): ReadonlyArray<string> =>
  Array.from({ length: Math.max(0, words.length - n + 1) }, (_, i) => words.slice(i, i + n).join(" "))
