/** Tables as the pages set them. */
import * as Format from "../cli/format.ts"
import { type Content, type Html, html } from "./html.ts"

export interface Column {
  readonly name: Content
  /** Numbers stand to the right. */
  readonly number?: boolean
}

export interface Table {
  /** Bold, after the table's number. */
  readonly title: Content
  readonly note?: Content
  readonly columns: ReadonlyArray<Column>
  /** Their first cells head the rows. */
  readonly rows: ReadonlyArray<ReadonlyArray<Content>>
  /** By row: what it can be linked to by. */
  readonly ids?: ReadonlyArray<string>
  readonly sortable?: boolean
  /** What names the region in which a wide table is scrolled. */
  readonly label: string
}

export const render = ({ columns, ids, label, note, rows, sortable, title }: Table): Html => {
  const kind = (i: number) => (columns[i]?.number === true ? html` class="number"` : undefined)
  const head = columns.map(({ name }, i) => html`<th scope="col"${kind(i)}>${name}</th>`)
  const body = rows.map(
    ([first, ...cells], r) =>
      html`<tr${ids?.[r] === undefined ? undefined : html` id="${ids[r]}"`}><th scope="row"${kind(0)}>${first}</th>${cells.map((cell, i) => html`<td${kind(i + 1)}>${cell}</td>`)}</tr>\n`
  )
  return html`<div class="wide" role="region" aria-label="${label}" tabindex="0"><table${sortable === true ? html` data-sortable` : undefined}>
<caption><span><b>${title}</b> ${note}</span></caption>
<thead><tr>${head}</tr></thead>
<tbody>
${body}</tbody>
</table></div>`
}

/** `0.540 [0.500, 0.580]`, the interval set back. */
export const quantity = (
  mean: number,
  interval: readonly [number, number] | undefined | null,
  text: (x: number) => string = Format.number
): Html =>
  html`${minus(text(mean))}${interval === undefined || interval === null ? undefined : html` <span class="interval">[${minus(text(interval[0]))}, ${minus(text(interval[1]))}]</span>`}`

/** With the sign that is set for numbers, not the hyphen. */
export const minus = (text: string): string => text.replaceAll("-", "\u2212")

/** A digest of which the first digits are seen, and all of it is there to be copied. */
export const digest = (text: string): Html => html`<code class="hash">${text}</code>`
