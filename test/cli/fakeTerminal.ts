/** A terminal of a given size, as far as the live display needs one: it wraps, scrolls, erases, and reflows on resizing. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { type Sink, styleOf } from "../../runtime/cli/Output.ts"

interface Row {
  text: string
  /** Whether the row goes on with the one above it. */
  readonly goesOn: boolean
}

const ESCAPE = "\u001b"
const PIECES = new RegExp(
  `${ESCAPE}\\[(?<n>\\d*)(?<command>[A-Za-z])|(?<plain>[^${ESCAPE}\\n\\r]+)|\\n|\\r|${ESCAPE}`,
  "g"
)

export const fakeTerminal = (size: { columns: number; rows: number }) => {
  let rows: Array<Row> = [{ text: "", goesOn: false }]
  let at = 0
  let column = 0
  const writes: Array<string> = []

  const put = (text: string) => {
    for (const character of text) {
      if (column === size.columns) {
        at++
        column = 0
        rows[at] = { text: rows[at]?.text ?? "", goesOn: true }
      }
      const row = rows[at]!
      row.text = row.text.slice(0, column).padEnd(column) + character + row.text.slice(column + 1)
      column++
    }
  }
  const feed = (text: string) => {
    for (const { 0: piece, groups } of text.matchAll(PIECES)) {
      if (groups?.["plain"] !== undefined) put(piece)
      else if (piece === "\n") {
        at++
        column = 0
        rows[at] ??= { text: "", goesOn: false }
      } else if (piece === "\r") column = 0
      else if (groups?.["command"] === "A") {
        const top = Math.max(0, rows.length - size.rows)
        at = Math.max(top, at - Number(groups["n"] || 1))
      } else if (groups?.["command"] === "K") rows[at]!.text = rows[at]!.text.slice(0, column)
      else if (groups?.["command"] === "J") {
        rows[at]!.text = rows[at]!.text.slice(0, column)
        rows.length = at + 1
      } else
        assert.strictEqual(
          groups?.["command"],
          "m",
          `a code that this terminal does not know: ${JSON.stringify(piece)}`
        )
    }
  }
  const logical = () =>
    rows.reduce<Array<string>>((lines, { goesOn, text }) => {
      if (goesOn) lines[lines.length - 1] += text
      else lines.push(text)
      return lines
    }, [])
  const sink: Sink = {
    write: (text) =>
      Effect.sync(() => {
        writes.push(text)
        feed(text)
      }),
    isTerminal: true,
    columns: () => size.columns,
    rows: () => size.rows,
    style: styleOf(true)
  }
  return {
    sink,
    writes,
    /** What was typed at the terminal and is echoed by it. */
    echo: feed,
    /** All rows ever shown, the cursor's empty one last. */
    rows: () => rows.map(({ text }) => text),
    /** Wraps what is there anew, as terminals do; the cursor stays at the end. */
    resize: (columns: number) => {
      const lines = logical()
      size.columns = columns
      rows = lines.flatMap((line) =>
        Array.from(
          { length: Math.max(1, Math.ceil(line.length / columns)) },
          (_, i): Row => ({
            text: line.slice(i * columns, (i + 1) * columns),
            goesOn: i > 0
          })
        )
      )
      at = rows.length - 1
      column = rows[at]!.text.length
    }
  }
}
