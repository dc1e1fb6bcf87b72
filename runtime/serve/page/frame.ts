/** The page around what is served: its style, its scripts by name, and the policy that holds it to both. */
import { createHash } from "node:crypto"
import { type Html, html, trusted } from "../../report/html.ts"
import { document, STYLE } from "../../report/style.ts"
import { LIVE } from "./style.ts"

export interface Page {
  readonly text: string
  /** The content security policy that the server sends with it. */
  readonly policy: string
}

const sha256 = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

const STYLES = `${sha256(STYLE)} ${sha256(LIVE)}`
const policyOf = (styles: string) =>
  `default-src 'none'; style-src ${styles}; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'`

export interface Framed {
  readonly title: string
  readonly body: Html
  /** The module script `/assets/<script>`. */
  readonly script?: string
  /** Whether elements have styles of their own, as drawn charts do. */
  readonly hasStyles?: boolean
}

export const frame = (of: Framed): Page => {
  const policy = policyOf(of.hasStyles === true ? "'unsafe-inline'" : STYLES)
  const module = of.script === undefined ? undefined : html`<script type="module" src="/assets/${of.script}"></script>`
  const head = html`<style>${trusted(LIVE)}</style><link rel="icon" href="data:,">${module}`
  const body = html`<nav aria-label="prefline"><a href="/">prefline: runs</a></nav>${of.body}`
  return { text: document({ title: of.title, body, head, policy }), policy }
}

/** A page of another part, which says its policy itself. */
export const asItIs = (text: string): Page => {
  const [, content = "default-src 'none'"] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(text) ?? []
  return { text, policy: content.replaceAll("&#39;", "'").replaceAll("&amp;", "&") }
}

/** What went wrong, in plain words. */
export const problem = (title: string, text: string): Page =>
  frame({
    title,
    body: html`<main><header><h1>${title}</h1></header><section><p class="pre">${text}</p></section></main>`
  })
