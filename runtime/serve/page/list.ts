/** The page of all runs. */
import * as Format from "../../cli/format.ts"
import { type Html, html } from "../../report/html.ts"
import type { Listed, Metric } from "../runs.ts"
import { frame, type Page } from "./frame.ts"

export const list = (runs: ReadonlyArray<Listed>, left: number, root: string): Page =>
  frame({
    title: "prefline: runs",
    script: "list.js",
    body: html`<main><header><p class="kicker">${root}</p><h1>Runs</h1></header>
<section><h2>Newest first</h2><form action="/compare" method="get">
<div class="wide" tabindex="0" role="region" aria-label="Runs"><table><thead><tr><th scope="col">Mark</th><th scope="col">Run</th><th scope="col">Pipeline</th><th scope="col">Status</th><th scope="col">Began (UTC)</th><th scope="col" class="number">Took</th><th scope="col" class="number">Nodes</th><th scope="col">Metrics</th></tr></thead>
<tbody id="runs">${runs.map(row)}</tbody></table></div>
<p id="none" class="nothing">${runs.length === 0 ? "Nothing was run yet." : ""}</p>
${left === 0 ? undefined : html`<p class="faint">and ${left} older ones</p>`}
<p><button type="submit">Compare what is marked</button></p></form></section></main>`
  })

const row = (run: Listed): Html => html`<tr id="r${run.run}" data-state="${run.status} ${run.nodes}">
<td><input type="checkbox" name="runs" value="${run.run}" aria-label="Compare ${run.run}"></td>
<th scope="row"><a href="/runs/${run.run}"><code>${run.run}</code></a></th>
<td><b>${run.pipeline}</b> <span class="faint">${Format.cut(Format.settings(run.params), 120)}</span></td>
<td><span class="status ${run.status}">${run.status}</span></td>
<td>${run.at.slice(0, 16).replace("T", " ")}</td>
<td class="number">${run.ms === undefined ? "" : Format.duration(run.ms)}</td>
<td class="number">${run.nodes}</td>
<td>${run.metrics.map(metric)}</td></tr>
`

const metric = ({ high, low, mean, name }: Metric): Html =>
  html`<div>${name} ${Format.number(mean)}${low === high ? undefined : html` <span class="interval">[${Format.number(low)}, ${Format.number(high)}]</span>`}</div>`
