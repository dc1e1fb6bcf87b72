/**
 * Rapid automatic keyword extraction: which runs of words carry a text's content, and how much.
 *
 * **Source** Rose et al. 2010, "Automatic keyword extraction from individual documents", chapter 1 of "Text Mining".
 */
import { stopWords } from "./stopWords.ts"

export interface Phrase {
  /** Its words in lower case, single spaces between. */
  readonly text: string
  /** The sum over its words of degree / frequency. */
  readonly score: number
  /** Where it stands as a whole run: UTF-16 offsets, the end exclusive, in order. */
  readonly at: ReadonlyArray<readonly [start: number, end: number]>
}

/** Letters and digits, with apostrophes and hyphens inside. */
const WORD = /[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu

interface Run {
  readonly words: ReadonlyArray<string>
  readonly start: number
  readonly end: number
}

/** The longest runs of content words with nothing but white space between them. */
const runs = (text: string, stops: ReadonlySet<string>): ReadonlyArray<Run> => {
  const found: Array<Run> = []
  let open: Run | undefined
  for (const match of text.matchAll(WORD)) {
    const word = match[0].toLowerCase().replaceAll("’", "'")
    const [start, end] = [match.index, match.index + match[0].length]
    const joins = open !== undefined && text.slice(open.end, start).trim() === ""
    if (open !== undefined && (!joins || stops.has(word))) {
      found.push(open)
      open = undefined
    }
    if (!stops.has(word))
      open =
        open === undefined ? { words: [word], start, end } : { words: [...open.words, word], start: open.start, end }
  }
  return open === undefined ? found : [...found, open]
}

/**
 * The distinct phrases of a text, the highest score first, ties by where they first occur.
 * **Details** Every occurrence of a word adds 1 to its frequency and the length of its phrase to its degree, so a
 * phrase that stands twice counts twice. Letter case and the spaces around punctuation make no difference.
 */
export const phrases = (text: string, stops: ReadonlySet<string> = stopWords): ReadonlyArray<Phrase> => {
  const all = runs(text, stops)
  const weight = new Map<string, { frequency: number; degree: number }>()
  for (const { words } of all) {
    for (const word of words) {
      const { degree, frequency } = weight.get(word) ?? { frequency: 0, degree: 0 }
      weight.set(word, { frequency: frequency + 1, degree: degree + words.length })
    }
  }
  const distinct = new Map<string, Array<readonly [number, number]>>()
  for (const { end, start, words } of all) {
    const phrase = words.join(" ")
    const at = distinct.get(phrase) ?? []
    at.push([start, end])
    distinct.set(phrase, at)
  }
  const scoreOf = (phrase: string) =>
    phrase.split(" ").reduce((sum, word) => {
      const { degree, frequency } = weight.get(word)!
      return sum + degree / frequency
    }, 0)
  return [...distinct]
    .map(([phrase, at]): Phrase => ({ text: phrase, score: scoreOf(phrase), at }))
    .sort((a, b) => b.score - a.score)
}

/**
 * The text without these phrases, every occurrence deleted together with the white space before it; where that leaves
 * white space at a start that had none, it goes too.
 */
export const without = (text: string, removed: ReadonlyArray<Phrase>): string => {
  const spans = removed.flatMap(({ at }) => at).sort(([a], [b]) => a - b)
  let kept = ""
  let from = 0
  for (const [start, end] of spans) {
    kept += text.slice(from, start).trimEnd()
    from = end
  }
  kept += text.slice(from)
  return /^\s/.test(text) ? kept : kept.trimStart()
}

/**
 * The text at falling degrees of content: element `l - 1` lacks the `ceil(l m / levels)` highest of its `m` phrases,
 * for l from 1 to `levels`; with fewer phrases than levels it lacks l of them, for l from 1 to m. Empty for a text
 * without content words.
 * **Source** The degrees of Li et al. 2024, arXiv 2409.17791 (SPO), as reconstructed here.
 */
export const degrees = (text: string, levels: number, stops?: ReadonlySet<string>): ReadonlyArray<string> => {
  const found = phrases(text, stops)
  const count = Math.min(levels, found.length)
  return Array.from({ length: count }, (_, i) =>
    without(text, found.slice(0, Math.ceil(((i + 1) * found.length) / count)))
  )
}
