/** Which change of which module breaks a law, for every law. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Change } from "./mutate.ts"
import type { Subject } from "./subjects.ts"
import { bugs } from "./wrapped.ts"

const root = new URL("../../../", import.meta.url)

/** A bug of `wrapped.ts`. */
export interface WrappedEntry {
  readonly wrapped: string
}

export interface ChangedEntry {
  /** For a law of a kind: the component that breaks it. */
  readonly by?: string
  readonly file: string
  /** Whole lines that stand once in the file. */
  readonly text: string
  readonly replacement: string
}

export type Entry = ChangedEntry | WrappedEntry

/** By `<subject>: <law>`. */
export type Table = Readonly<Record<string, Entry>>

export const FOUND = new URL("mutants.json", import.meta.url)
const HANDMADE = new URL("handmade.json", import.meta.url)

const tableAt = (url: URL): Table => JSON.parse(readFileSync(url, "utf8")) as Table

/** What was found by the search. */
export const found = (): Table => tableAt(FOUND)

/** Written by hand, for laws for which the search finds nothing. */
export const handmade = (): Table => tableAt(HANDMADE)

export const idOf = ({ of }: Pick<Subject, "of">, law: string) => `${of}: ${law}`

export const pathOf = (url: string) => url.slice(root.href.length)
export const urlOf = (path: string) => new URL(path, root).href
export const sourceAt = (url: string) => readFileSync(fileURLToPath(url), "utf8")

/** The module as the entry changes it; `undefined` where its text does not stand there, or more than once. */
export const changed = ({ file, replacement, text }: ChangedEntry): string | undefined => {
  const parts = `\n${sourceAt(urlOf(file))}`.split(`\n${text}\n`)
  return parts.length === 2 ? parts.join(`\n${replacement}\n`).slice(1) : undefined
}

/** Whether the entry still says what to break. */
export const applies = (entry: Entry): boolean =>
  "wrapped" in entry ? Object.hasOwn(bugs, entry.wrapped) : changed(entry) !== undefined

/** The change in whole lines, with as many before it as make them unique. */
export const entryOf = (url: string, source: string, { end, replacement, start }: Change): Omit<ChangedEntry, "by"> => {
  const to = source.indexOf("\n", end)
  for (let from = source.lastIndexOf("\n", start - 1) + 1; ; from = source.lastIndexOf("\n", from - 2) + 1) {
    const text = source.slice(from, to)
    if (from === 0 || `\n${source}`.split(`\n${text}\n`).length === 2)
      return { file: pathOf(url), text, replacement: source.slice(from, start) + replacement + source.slice(end, to) }
  }
}
