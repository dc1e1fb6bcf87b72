/** Prompts to a judging model: a text with places for what is judged. */
import { Schema } from "effect"

/** A text in which each of these places occurs, written `{name}`. */
export const Template = (...places: ReadonlyArray<string>) =>
  Schema.String.check(
    Schema.makeFilter((text) => {
      const missing = places.filter((place) => !text.includes(`{${place}}`))
      return missing.length === 0 || `the template lacks ${missing.map((place) => `{${place}}`).join(", ")}`
    })
  )

/** Puts texts in their places, word for word: what looks like a place inside of them stays as it is. */
export const fill = (template: string, texts: Readonly<Record<string, string>>): string =>
  template.replace(/\{(\w+)\}/g, (place, name: string) => (Object.hasOwn(texts, name) ? texts[name]! : place))
