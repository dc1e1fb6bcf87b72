/** HTML as a value: whatever is put into a template is escaped, unless it is HTML already. */

export interface Html {
  readonly html: string
}

export type Content = Html | string | number | undefined | ReadonlyArray<Content>

/** A template. Texts and numbers are escaped, lists are joined, nothing stands for `undefined`. */
export const html = (strings: TemplateStringsArray, ...contents: ReadonlyArray<Content>): Html => ({
  html: strings.reduce((all, string, i) => `${all}${toText(contents[i - 1])}${string}`)
})

/** HTML from elsewhere, taken as it is: only for what this project has written itself. */
export const trusted = (html: string): Html => ({ html })

/** Escaped for an element's text and for an attribute in quotes; what would hide or reorder text is spelled out. */
export const escape = (text: string): string => visible(text).replaceAll(/[&<>"']/g, (c) => ENTITIES[c]!)

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

/**
 * Control characters (but for tabs and line ends), marks that turn the direction of writing, and halves of surrogate pairs
 * spelled out as `\u202e`: what is quoted must not change how the page around it reads.
 */
export const visible = (text: string): string =>
  text.replaceAll(
    /(?![\t\n])[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]|\p{Cs}/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

const toText = (content: Content): string => {
  if (content === undefined) return ""
  if (typeof content === "string") return escape(content)
  if (typeof content === "number") return escape(String(content))
  return "html" in content ? content.html : content.map(toText).join("")
}
