/** Quantities and tables as people read them. */
import { CliOutput } from "effect/cli"
import type * as Json from "../../dsl/Json.ts"

/** `12 ms`, `42.1 s`, `3 min 20 s`, `2 h 05 min`. */
export const duration = (ms: number): string => {
  if (ms < 995) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)]
  return hours === 0 ? `${minutes} min ${padded(seconds % 60)} s` : `${hours} h ${padded(minutes % 60)} min`
}

const padded = (n: number) => String(n).padStart(2, "0")

export const bytes = (count: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB"]
  const power = count < 1000 ? 0 : Math.min(Math.floor(Math.log10(count) / 3), units.length - 1)
  return `${power === 0 ? count : (count / 1000 ** power).toFixed(1)} ${units[power]}`
}

/** Three significant digits, without an exponent where that is readable. */
export const number = (x: number): string => {
  if (x === 0 || !Number.isFinite(x)) return String(x)
  const size = Math.abs(x)
  if (size >= 1e6 || size < 1e-4) return x.toExponential(2)
  return size >= 100 ? x.toFixed(Number.isInteger(x) ? 0 : 1) : x.toPrecision(3)
}

export const signed = (x: number): string => (x > 0 ? `+${number(x)}` : number(x))

/** The first digits of a digest: enough to find it by. */
export const short = (digest: string): string => digest.slice(0, 12)

/** `1 node`, `3 nodes`. */
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`

/** `beta=0.1 steps=400`: as they are given to `--set`. */
export const settings = (params: Json.JsonObject): string =>
  Object.entries(params)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ")

/** `text` without what does not fit into `width` characters. */
export const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(width - 1, 0))}…`

/** `text` on one line of at most `width` characters. */
export const oneLine = (text: string, width: number): string => cut(text.replaceAll(/\s+/g, " ").trim(), width)

/** Control characters spelled out, but for tabs and line ends: text from a model or a file must not move the cursor. */
export const visible = (text: string): string =>
  text.replaceAll(/(?![\t\n])\p{Cc}/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** Columns aligned to the left, two spaces apart, each line indented by two. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows.reduce<ReadonlyArray<number>>(
    (known, row) =>
      Array.from({ length: Math.max(known.length, row.length) }, (_, i) =>
        Math.max(known[i] ?? 0, CliOutput.displayWidth(row[i] ?? ""))
      ),
    []
  )
  const pad = (cell: string, i: number) => cell + " ".repeat(Math.max(widths[i]! - CliOutput.displayWidth(cell), 0))
  return rows.map((row) => `  ${row.map(pad).join("  ")}`.trimEnd()).join("\n")
}
