/** Which texts of a source are taken, and in which letter case: parameters that all loaders of texts share. */
import { Schema, Stream } from "effect"
import type { Text } from "../../dsl/artifacts.ts"
import { Count, withDefault } from "../../dsl/Params.ts"

/** Bounds in words (runs of non-space), both inclusive; `limit` keeps the first texts that pass. */
export const selectionFields = {
  minWords: Schema.optionalKey(Count),
  maxWords: Schema.optionalKey(Count),
  limit: Schema.optionalKey(Count),
  lowercase: Schema.Boolean.pipe(withDefault(false))
}

export interface Selection {
  readonly minWords?: number
  readonly maxWords?: number
  readonly limit?: number
  readonly lowercase: boolean
}

/** Keeps the texts within the bounds, in order. Nothing is held. */
export const select =
  ({ limit, lowercase, maxWords = Number.POSITIVE_INFINITY, minWords = 1 }: Selection) =>
  <E, R>(texts: Stream.Stream<Text, E, R>): Stream.Stream<Text, E, R> =>
    texts.pipe(
      Stream.filter(({ text }) => {
        const count = words(text).length
        return count >= minWords && count <= maxWords
      }),
      Stream.map((text) => (lowercase ? { ...text, text: text.text.toLowerCase() } : text)),
      Stream.take(limit ?? Number.POSITIVE_INFINITY)
    )

/** The runs of characters that are not white space. */
export const words = (text: string): ReadonlyArray<string> => text.match(/\S+/g) ?? []
