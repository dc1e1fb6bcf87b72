/** How prefline's pages look, and the document around each: one file that fetches nothing, in the light and in the dark. */
import { createHash } from "node:crypto"
import { escape, type Html, html, trusted } from "./html.ts"

/** Colours of series, which differ for most eyes on either ground; `--c0` to `--c7` in style sheets. */
const LIGHT = ["#0b62a8", "#b84300", "#127a3e", "#a3216f", "#6a4fb8", "#806000", "#00757a", "#b3242b"]
const DARK = ["#74b9f5", "#f79f60", "#6fd298", "#ee8fc6", "#bba8fb", "#dcbf5c", "#5fd0d4", "#fb9490"]

/** How many series can be told apart by colour. */
export const COLOURS = LIGHT.length

/** The colour of series `i` as CSS. */
export const colour = (i: number): string => `var(--c${i % COLOURS})`

const variables = (colours: ReadonlyArray<string>) => colours.map((colour, i) => `--c${i}:${colour}`).join(";")

const light = `--ground:#fffefb;--panel:#f6f4ee;--ink:#1d1c1a;--faint:#5f5b53;--rule:#dbd7cc;--strong:#1d1c1a;--link:#0b5394;--good:#146c38;--bad:#a5201f;--warn:#7d5a00;--computed:#e9f1e6;--computed-edge:#4f7f4b;--cached:#f0eee7;--cached-edge:#8d877a;--failed:#fbe4e0;--failed-edge:#a5201f;--waiting:#fffefb;--waiting-edge:#9a9488;${variables(LIGHT)}`
const dark = `--ground:#16171a;--panel:#1e2024;--ink:#e4e1da;--faint:#a29d92;--rule:#37393e;--strong:#c9c5bb;--link:#8cc0f0;--good:#7ecf98;--bad:#f59a90;--warn:#e0bf68;--computed:#1f2f24;--computed-edge:#6fae7c;--cached:#25272b;--cached-edge:#85817a;--failed:#3a1f1e;--failed-edge:#f59a90;--waiting:#16171a;--waiting-edge:#77746d;${variables(DARK)}`

const SERIF = `Charter,"Bitstream Charter","Iowan Old Style","Source Serif 4","Palatino Linotype",Palatino,"Noto Serif",Georgia,"Liberation Serif",serif`
const SANS = `"Source Sans 3","Helvetica Neue",Helvetica,Arial,"Liberation Sans",sans-serif`
const MONO = `ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono",monospace`

/** The style sheet of every page. */
export const STYLE = `
:root{color-scheme:light dark;${light}}
@media (prefers-color-scheme:dark){:root{${dark}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:1.0625rem/1.58 ${SERIF};font-kerning:normal;text-rendering:optimizeLegibility;counter-reset:figure table}
main{max-width:66rem;margin:0 auto;padding:3.5rem 1.5rem 6rem}
main>header,main>footer,main>nav,section>p,section>h2,section>h3,section>ul,section>ol,section>dl,.prose{max-width:43rem}
main>*,section>*{margin-left:auto;margin-right:auto}
a{color:var(--link);text-underline-offset:.15em;text-decoration-thickness:.06em}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
h1,h2,h3{font-weight:600;line-height:1.22;text-wrap:balance}
h1{font-size:2.35rem;letter-spacing:-.012em;margin:.2rem 0 .6rem}
h2{font-size:1.4rem;margin:4rem auto .8rem}
h3{font-size:1.08rem;margin:2.2rem auto .5rem}
p{margin:.7rem auto}
.kicker,.facts,figcaption,caption,table,.note,nav,footer{font-family:${SANS};font-size:.875rem;line-height:1.5}
.kicker{color:var(--faint);letter-spacing:.02em;margin:0}
.lead{font-size:1.2rem;line-height:1.5;margin:.4rem 0 1rem}
.paper{margin:.6rem 0}
.paper cite{font-style:italic}.paper a{white-space:nowrap}
blockquote{margin:1.2rem 0;padding:0 0 0 1.1rem;border-left:2px solid var(--rule);color:var(--faint);font-style:italic}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.9rem 1.5rem;margin:1.8rem 0 0;padding:1rem 0;border-top:1px solid var(--strong);border-bottom:1px solid var(--rule)}
.facts div{min-width:0}
.facts dt{color:var(--faint);font-size:.8125rem}
.facts dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}.faint{color:var(--faint)}
.status{font-weight:600}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;margin:1rem 0 0;padding:0}
.problem{background:var(--failed);border-left:3px solid var(--failed-edge);padding:.9rem 1.2rem;margin:1.6rem auto;max-width:43rem}
.problem h2{margin:0 0 .4rem;font-size:1.15rem}
.problem p{margin:.4rem 0;white-space:pre-wrap;overflow-wrap:anywhere}
figure{margin:1.8rem auto;max-width:100%}
figcaption,caption{color:var(--faint);text-align:left;max-width:43rem}
figcaption{margin:.7rem auto 0}
caption{padding:0 0 .6rem;caption-side:top}
caption>span{position:sticky;left:0;display:inline-block;max-width:min(43rem,100vw - 3rem)}
figcaption b,caption b{color:var(--ink);font-weight:600}
figure.numbered>figcaption b:first-child::before{counter-increment:figure;content:"Figure " counter(figure) ". "}
caption b:first-child::before{counter-increment:table;content:"Table " counter(table) ". "}
.wide{overflow-x:auto;max-width:100%;min-width:min(43rem,100%);margin:1.4rem auto;width:fit-content;scrollbar-width:thin}
table{border-collapse:collapse;font-variant-numeric:tabular-nums lining-nums;border-top:1.5px solid var(--strong);border-bottom:1.5px solid var(--strong);width:100%}
caption+thead th{border-top:1.5px solid var(--strong)}
table:has(caption){border-top:0}
thead th{font-weight:600;border-bottom:1px solid var(--strong);vertical-align:bottom}
th,td{padding:.34rem .9rem .34rem 0;text-align:left;vertical-align:baseline}
th:last-child,td:last-child{padding-right:0}
tbody th{font-weight:400}
tbody tr+tr>*{border-top:1px solid var(--rule)}
tbody.group tr:first-child>*{border-top:1px solid var(--strong)}
td.number,th.number{text-align:right;white-space:nowrap}
td .interval{color:var(--faint)}
tr:target>*{background:var(--panel)}
.hash{display:inline-block;max-width:12ch;overflow:hidden;white-space:nowrap;vertical-align:bottom;overflow-wrap:normal}
.params{display:block;max-width:26rem;color:var(--faint);font-size:.78rem;line-height:1.4;overflow-wrap:anywhere}
td .params{max-width:16rem}
.columns{columns:24rem;font-size:.8rem;max-width:66rem}
.columns dl.pairs{margin:0;font-size:.78rem;gap:.1rem 1rem;max-width:none}
code,.code{font-family:${MONO};font-size:.86em;overflow-wrap:anywhere}
.multiples{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(18.5rem,100%),1fr));gap:1.6rem 1.8rem;align-items:start}
.multiples>*{min-width:0}
.chart{margin:0}
.chart p{font-family:${SANS};font-size:.875rem;font-weight:600;margin:0 0 .25rem}
.chart p span{font-weight:400;color:var(--faint)}
svg{display:block;max-width:100%;height:auto;font-family:${SANS}}
svg text{font-family:${SANS}}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1.3rem;margin:.2rem auto 1.1rem;max-width:43rem;padding:0;font-family:${SANS};font-size:.875rem}
.legend svg{display:inline-block;vertical-align:.22em;margin-right:.45em}
.legend.marks .mark{display:inline-block;width:.85em;height:.85em;border-radius:3px;border:1.3px solid;margin-right:.45em;vertical-align:-.07em}
.mark.computed{background:var(--computed);border-color:var(--computed-edge)!important}.mark.cached{background:var(--cached);border-color:var(--cached-edge)!important}
.mark.failed{background:var(--failed);border-color:var(--failed-edge)!important}.mark.waiting{background:var(--waiting);border-color:var(--waiting-edge)!important;border-style:dashed!important}
.graph{overflow-x:auto;scrollbar-width:thin}
.graph .parts{display:flex;flex-wrap:wrap;gap:2rem 2.5rem;justify-content:safe center}
.graph svg{max-width:none;flex:none}
.graph .node polygon,.graph .node path{fill:var(--waiting);stroke:var(--waiting-edge);stroke-width:1.1}
.graph .computed polygon,.graph .computed path{fill:var(--computed);stroke:var(--computed-edge)}
.graph .cached polygon,.graph .cached path{fill:var(--cached);stroke:var(--cached-edge)}
.graph .failed polygon,.graph .failed path{fill:var(--failed);stroke:var(--failed-edge)}
.graph .output polygon,.graph .output path{stroke-width:2.2}
.graph .waiting polygon,.graph .waiting path{stroke-dasharray:4 3}
.graph .node text{fill:var(--ink)}
.graph .node text.small,.graph .node text[font-size="10.50"]{fill:var(--faint)}
.graph .node a{text-decoration:none}.graph .node a:hover text{text-decoration:underline}
.graph .edge path{fill:none;stroke:var(--waiting-edge);stroke-width:.9}
.graph .edge polygon{fill:var(--waiting-edge);stroke:var(--waiting-edge)}
.graph .edge text{fill:var(--faint)}
.answers{display:grid;gap:1.6rem;margin:1.4rem auto;max-width:60rem}
.answers article{border-top:1px solid var(--rule);padding-top:.9rem}
.answers .prompt{margin:0 0 .6rem}
.answers .about{font-family:${SANS};font-size:.8125rem;color:var(--faint)}
.answers .prompt .about{margin-right:.6em}
.sides{display:grid;grid-template-columns:1fr 1fr;gap:1.6rem}
.sides p{margin:.15rem 0;white-space:pre-wrap;overflow-wrap:anywhere}
.sides .score{font-variant-numeric:tabular-nums;color:var(--ink);font-weight:600}
details{margin:1rem auto;max-width:43rem}
details[open]{max-width:66rem}
summary{cursor:pointer;font-family:${SANS};font-size:.875rem;color:var(--link)}
dl.pairs{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.25rem 1.4rem;font-family:${SANS};font-size:.875rem}
dl.pairs dt{color:var(--faint)}dl.pairs dd{margin:0;overflow-wrap:anywhere}
th button{font:inherit;font-weight:600;color:inherit;background:none;border:0;padding:0;cursor:pointer;text-align:inherit}
th button:hover{text-decoration:underline}
footer{margin-top:5rem!important;padding-top:1rem;border-top:1px solid var(--rule);color:var(--faint)}
@media (max-width:40rem){tbody th,td:not(.number){min-width:7.5rem}.params{min-width:12rem}main{padding:1.8rem 1.1rem 4rem}h1{font-size:1.8rem}h2{margin-top:3rem}.sides{grid-template-columns:1fr;gap:.8rem}dl.pairs{grid-template-columns:1fr;gap:0}dl.pairs dd{margin-bottom:.5rem}}
@media print{main{max-width:none;padding:0}.wide,.graph{overflow:visible}section{break-inside:auto}figure,article,tr{break-inside:avoid}nav{display:none}}
`

const GRAPH_STYLE = STYLE.split("\n")
  .filter((rule) => /^\.graph \.(?:node|edge|computed|cached|failed|output|waiting)/.test(rule))
  .join("\n")
  .replaceAll(".graph ", "")

/** An SVG element as a file of its own, with its colours, for either ground. */
export const standalone = (svg: string, title: string): string =>
  svg.replace(
    /<svg[^>]*>/,
    (opening) =>
      `${opening}\n<title>${escape(title)}</title>\n<style>:root{${light}}@media (prefers-color-scheme:dark){:root{${dark}}}svg{background:var(--ground);font-family:${SANS.replaceAll('"', "'")}}\n${GRAPH_STYLE}</style>`
  )

/** A page. */
export interface Document {
  readonly title: string
  readonly body: Html
  /** A script that stands in the page; the page has to be readable without it. */
  readonly script?: string
  /** More for the head, such as a module script of a page that is served. */
  readonly head?: Html
  /** What the page may load besides its own style and script, as content security policy directives; nothing unless told. */
  readonly policy?: string
}

/** The text of a page in HTML. It refuses by its own policy to run or to fetch anything but what is told here. */
export const document = ({ body, head, policy, script, title }: Document): string => {
  const scripts = script === undefined ? "" : `; script-src 'sha256-${sha256(script)}'`
  const directives =
    policy ?? `default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'${scripts}`
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="prefline">
<meta http-equiv="Content-Security-Policy" content="${trusted(escape(directives).replaceAll("&#39;", "'"))}">
<title>${title}</title>
<style>${trusted(STYLE)}</style>
${head}</head>
<body>
${body}
${script === undefined ? undefined : trusted(`<script>${script}</script>`)}
</body>
</html>
`.html
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("base64")
