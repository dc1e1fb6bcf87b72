/** The Brown corpus as plain sentences: tags off, words and punctuation joined as English is printed. */

/** What the corpus writes for formulas and symbols that it could not print. */
const PLACEHOLDER = /\*\*|[{}]/

/**
 * One tagged line (`The/at jury/nn said/vbd ./.`) as a sentence.
 * **Details** Quotes become `"`; commas, stops and closing brackets join the word before them, opening ones the word
 * after; a doubled mark (the corpus writes `?/. ?/.`) counts once. Empty for a line without words, or with a placeholder
 * for a formula.
 */
export const sentence = (line: string): string => {
  const tokens = withoutDoubles(
    line
      .split(/\s+/)
      .filter((token) => token !== "")
      .map(untagged)
  )
  if (!tokens.some((token) => /[A-Za-z0-9]/.test(token)) || tokens.some((token) => PLACEHOLDER.test(token))) return ""
  const single = singleQuotes(tokens)
  let text = ""
  let opened = true
  tokens.forEach((token, i) => {
    const side = single.get(i) ?? SIDES.get(token)
    text += opened || side === "closes" ? "" : " "
    text += token === "``" ? '"' : token.replaceAll("''", '"')
    opened = side === "opens"
  })
  return text
}

type Side = "opens" | "closes"

const SIDES = new Map<string, Side>([
  ...["``", "(", "["].map((token) => [token, "opens"] as const),
  ...["''", ")", "]", ",", ".", ";", ":", "?", "!"].map((token) => [token, "closes"] as const)
])

/** The word before the last slash: words may hold slashes themselves (`1/2/cd`). */
const untagged = (token: string) => {
  const slash = token.lastIndexOf("/")
  return slash > 0 ? token.slice(0, slash) : token
}

/** The stop after an abbreviation that ends the sentence counts as doubled too. */
const withoutDoubles = (tokens: ReadonlyArray<string>) =>
  tokens.filter((token, i) => {
    const before = tokens[i - 1] ?? ""
    return token === "." ? !before.endsWith(".") : !(token === before && /^[?!;:]$/.test(token))
  })

/** Single quotes open and close in turn where they pair up; an odd one is an apostrophe and joins the word before it. */
const singleQuotes = (tokens: ReadonlyArray<string>): ReadonlyMap<number, Side> => {
  const found = tokens.flatMap((token, i) => (token === "'" ? [i] : []))
  return new Map(found.map((at, n) => [at, found.length % 2 === 0 && n % 2 === 0 ? "opens" : "closes"]))
}
