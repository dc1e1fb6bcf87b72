/** A reward of your own. It has its own file, so that editing it recomputes what uses it and nothing else. */
import { Reward } from "prefline/stages"

/** The share of vowels in an answer, in [0, 1]. */
export const vowels = Reward.Reward.define("vowels", {
  module: import.meta.url,
  description: "Share of vowels in the answer",
  params: {},
  make: () => Reward.each(({ completion }) => completion.replace(/[^aeiou]/gi, "").length / (completion.length || 1))
})
