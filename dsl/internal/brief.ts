/** Longer than any sentence of ours with a few names in it. */
const LIMIT = 1000

/** A text for people that holds what came from outside, cut where that is longer than anybody reads. */
export const brief = (text: string): string =>
  text.length <= LIMIT ? text : `${text.slice(0, LIMIT).toWellFormed()}… (${text.length} characters in all)`
