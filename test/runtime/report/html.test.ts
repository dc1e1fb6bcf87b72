import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { escape, html, trusted, visible } from "../../../runtime/report/html.ts"

const undone = (text: string) =>
  text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&")

describe("html", () => {
  it("escapes what is put in, joins lists, and takes HTML as it is", () => {
    const cells = ["<a>", 'x="1"', "it's & so"].map((text) => html`<td>${text}</td>`)
    assert.strictEqual(
      html`<tr>${cells}${undefined}${1.5}${trusted("<i></i>")}</tr>`.html,
      "<tr><td>&lt;a&gt;</td><td>x=&quot;1&quot;</td><td>it&#39;s &amp; so</td>1.5<i></i></tr>"
    )
  })

  it("spells out what would hide or turn text around", () => {
    assert.strictEqual(
      visible("a\u202eb\u2066c\u0000d\u001b[31me\tf\ng"),
      "a\\u202eb\\u2066c\\u0000d\\u001b[31me\tf\ng"
    )
    assert.strictEqual(visible("\ud800 \udc00 \ud83d\ude00"), "\\ud800 \\udc00 \ud83d\ude00")
  })

  it.prop("keeps all that is visible, and no markup", [Schema.String], ([text]) => {
    const escaped = escape(text)
    assert.notMatch(escaped, /[<>"']/)
    assert.strictEqual(undone(escaped), visible(text))
    assert.isTrue(escaped.isWellFormed())
  })
})
