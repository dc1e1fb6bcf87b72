/** Runs against the first of them: parameters, metrics with their changes, and curves laid over one another. */
import { Effect } from "effect"
import * as Format from "../cli/format.ts"
import { type Comparison, compare } from "../compare/index.ts"
import { type Html, html } from "../report/html.ts"
import { gather } from "../report/index.ts"
import * as Tables from "../report/tables.ts"
import * as Trainings from "../report/trainings.ts"
import { frame } from "./page/frame.ts"

/** The comparison as a page and as JSON: the others, each against the first. */
export const comparison = Effect.fn("serve.comparison")(function* (runs: ReadonlyArray<string>) {
  const [first, ...others] = runs as readonly [string, ...Array<string>]
  const comparisons = yield* Effect.forEach(others, (other) => compare(first, other))
  const gathered = yield* Effect.forEach(runs, gather)
  // Each training under its run's name: laid over one another, they are told apart by it.
  const trainings = gathered.flatMap(({ trainings }, i) =>
    trainings.map((training) => ({ ...training, node: `${letter(i)} ${training.node}` }))
  )
  const curves = yield* Trainings.render(trainings, { nodes: [], outputs: {} })
  return { json: comparisons, page: pageOf(comparisons, curves) }
})

const letter = (i: number) => String.fromCharCode(65 + i)

const pageOf = (comparisons: ReadonlyArray<Comparison>, curves: ReadonlyArray<Html>) => {
  const sides = [comparisons[0]!.a, ...comparisons.map(({ b }) => b)]
  return frame({
    title: `prefline: ${sides.map(({ pipeline }) => pipeline).join(" against ")}`,
    hasStyles: true,
    body: html`<main><header><p class="kicker">Comparison</p><h1>${sides.length} runs, side by side</h1></header>
<section><h2>Runs</h2><div class="wide" tabindex="0" role="region" aria-label="Runs"><table><thead><tr><th scope="col">Name</th><th scope="col">Run</th><th scope="col">Pipeline</th><th scope="col">Status</th><th scope="col">Began (UTC)</th></tr></thead><tbody>
${sides.map(({ at, pipeline, run, status }, i) => html`<tr><th scope="row">${letter(i)}</th><td><a href="/runs/${run}"><code>${run}</code></a></td><td>${pipeline}</td><td><span class="status ${status}">${status}</span></td><td>${at.slice(0, 16).replace("T", " ")}</td></tr>`)}
</tbody></table></div></section>
<section><h2>Parameters</h2>${parameters(sides)}</section>
${comparisons.map((one, i) => against(one, letter(i + 1)))}
<section><h2>Curves</h2>${curves.length === 0 ? html`<p class="nothing">Neither has trained anything that it has finished.</p>` : curves}</section></main>`
  })
}

/** Those that differ somewhere, then in one line those that do not. */
const parameters = (sides: ReadonlyArray<Comparison["a"]>): Html => {
  const names = [...new Set(sides.flatMap(({ params }) => Object.keys(params)))]
  const text = (side: Comparison["a"], name: string) =>
    Object.hasOwn(side.params, name) ? Format.settings({ [name]: side.params[name]! }).slice(name.length + 1) : "—"
  const isSame = (name: string) => new Set(sides.map((side) => text(side, name))).size === 1
  const rest = names.filter(isSame)
  const changed = names.filter((name) => !isSame(name))
  const same =
    rest.length === 0
      ? undefined
      : html`<p class="faint">The same in all: ${rest.map((name) => `${name}=${text(sides[0]!, name)}`).join(" ")}</p>`
  if (changed.length === 0) return html`<p>No parameter differs.</p>${same}`
  return html`<div class="wide" tabindex="0" role="region" aria-label="Parameters"><table><thead><tr><th scope="col">Parameter</th>${sides.map((_, i) => html`<th scope="col" class="number">${letter(i)}</th>`)}</tr></thead><tbody>
${changed.map((name) => html`<tr><th scope="row">${name}</th>${sides.map((side) => html`<td class="number">${text(side, name)}</td>`)}</tr>`)}
</tbody></table></div>${same}`
}

const against = (of: Comparison, name: string): Html => html`<section><h2>${name} against A</h2>
<p>${of.parting.length === 0 ? "No node parts them." : `They part at ${of.parting.join(", ")}.`} ${of.code.length === 0 ? "The code is the same." : "Code differs too."}</p>
${metrics(of, name)}</section>`

const metrics = ({ metrics: all, unreadable }: Comparison, name: string): Html => {
  const metrics = all.filter(({ method }) => method !== "identical")
  const lost = unreadable.map(({ node, problem }) => html`<p class="warn">${node} cannot be read: ${problem}</p>`)
  if (all.length === 0) return html`${lost}<p class="nothing">There is no metric that both have measured.</p>`
  const same = Format.count(all.length - metrics.length, "metric")
  const rest =
    metrics.length === all.length
      ? undefined
      : html`<p class="faint">${same} of evaluations with the same content: no change.</p>`
  if (metrics.length === 0) return html`${lost}${rest}`
  return html`${lost}<div class="wide" tabindex="0" role="region" aria-label="Metrics of ${name} and A"><table><thead><tr><th scope="col">Metric</th><th scope="col" class="number">A</th><th scope="col" class="number">${name}</th><th scope="col" class="number">Change, with its 95 % interval</th></tr></thead><tbody>
${metrics.map(({ a, b, change, metric, node }) => html`<tr><th scope="row">${node} · ${metric}</th><td class="number">${a === null ? "—" : Tables.quantity(a.mean, null)}</td><td class="number">${b === null ? "—" : Tables.quantity(b.mean, null)}</td><td class="number">${change === null ? "—" : Tables.quantity(change.mean, change.low === change.high ? null : [change.low, change.high], Format.signed)}</td></tr>`)}
</tbody></table></div>${rest}`
}
