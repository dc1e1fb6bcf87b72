/** A tournament as a page of its own: nothing is fetched, and it is readable in the light and in the dark. */
import { html, trusted } from "../../report/html.ts"
import { COLOURS, document } from "../../report/style.ts"
import * as Format from "../format.ts"
import * as Svg from "./svg.ts"
import type { Point, Standing, Tournament } from "./Tournament.ts"
import { columns, percent } from "./text.ts"

export const page = (tournament: Tournament): string => {
  const { flip, provenance, seeds, summary, testbed } = tournament
  const title = `Tournament on the testbed ${testbed}`
  const body = `<main>
<header><h1>${title}</h1>
<p>${Format.count(tournament.standings.length, "method")} trained on the same pairs with the same budget, ${Format.count(seeds.length, "seed")}${flip > 0 ? `, once more with ${percent(flip)} of the labels flipped` : ""}.</p></header>
<section>
<h2>Which to use</h2>
<ul>${summary.map((sentence) => `<li>${Svg.escape(sentence)}</li>`).join("")}</ul>
<h2>Gold reward and KL</h2>
<figure>
${Svg.plot(plotOf(tournament))}
<figcaption>Each line is one method at its strengths, means over seeds; further right it has moved further from the start, at the left edge. Higher at the same KL is better. The axis of KL is linear in its square root. The thin upright line is the KL that methods are compared at. Rest the pointer on a mark for its numbers.</figcaption>
</figure>
<h2>Standings</h2>
${table(tournament)}
${problems(tournament.standings)}
<h2>What is measured</h2>
<dl>
<dt>gold</dt><dd>${Svg.escape(tournament.gold)}</dd>
<dt>choice of strength</dt><dd>${Svg.escape(tournament.selection)}</dd>
${columns(tournament)
  .filter(({ meaning }) => meaning !== "")
  .map(({ meaning, name }) => `<dt>${Svg.escape(name)}</dt><dd>${Svg.escape(meaning)}</dd>`)
  .join("\n")}
</dl>
<h2>Provenance</h2>
<dl>
<dt>run</dt><dd><code>${provenance.run}</code></dd>
<dt>versions</dt><dd>prefline ${provenance.versions.prefline}, Node ${provenance.versions.node}, Effect ${provenance.versions.effect}</dd>
<dt>device</dt><dd>${Svg.escape(provenance.device)}</dd>
<dt>seeds</dt><dd>${seeds.join(", ")}</dd>
<dt>parameters</dt><dd><code>${Svg.escape(Format.settings(provenance.params))}</code></dd>
</dl>
<details><summary>Store keys of the trained policies</summary>
<ul class="keys">${Object.entries(provenance.keys)
    .map(([name, key]) => `<li>${Svg.escape(name)} <code>${Format.short(key)}</code></li>`)
    .join("")}</ul></details>
</section>
</main>`
  return document({
    title,
    body: trusted(body),
    head: html`<style>${trusted(PLOT_STYLE)}</style>
`
  })
}

const plotOf = ({ matchedKl, optimum, standings, testbed }: Tournament): Svg.Plot => ({
  title: "Gold reward gain against KL from the start, by method",
  description: `${standings
    .flatMap(({ best, method }) =>
      best === null
        ? []
        : [`${method}: gain ${Format.number(best.gain.mean)} at KL ${Format.number(best.kl.mean)} at its best`]
    )
    .join("; ")}.${matchedKl === null ? "" : ` They are compared at KL ${Format.number(matchedKl)}.`}`,
  x: "KL from the start (nats an answer)",
  y: testbed === "text" ? "gain of the judge's score" : "gain of gold reward",
  series: standings.map((standing) => ({
    name: standing.method,
    points: standing.frontier.map((point) => ({
      x: point.kl.mean,
      y: point.gain.mean,
      title: markTitle(standing, point)
    }))
  })),
  at: matchedKl ?? undefined,
  bound:
    optimum.length === 0
      ? undefined
      : {
          name: "best possible",
          points: [{ x: 0, y: 0, title: "" }, ...optimum.map(({ gain, kl }) => ({ x: kl, y: gain, title: "" }))]
        }
})

const markTitle = ({ method, parameter }: Standing, { gain, kl, strength, winRate }: Point): string =>
  [
    parameter === null ? method : `${method} at ${parameter} ${strength}`,
    `gain ${Format.signed(gain.mean)}, KL ${Format.number(kl.mean)}, win rate ${Format.number(winRate.mean)}`
  ].join(": ")

const table = (tournament: Tournament): string => {
  const shown = columns(tournament)
  const head = shown.map(
    ({ meaning, name }) => `<th scope="col" title="${Svg.escape(meaning)}">${Svg.escape(name)}</th>`
  )
  const rows = tournament.standings.map((standing) => {
    const [name, ...cells] = shown.map(({ cell }) => Svg.escape(cell(standing)))
    return `<tr><th scope="row">${name}</th>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`
  })
  return `<div class="wide" role="region" aria-label="Standings" tabindex="0"><table>
<caption>By win rate against the start</caption>
<thead><tr>${head.join("")}</tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
</table></div>`
}

const problems = (standings: ReadonlyArray<Standing>): string => {
  const all = standings.flatMap(({ method, problems }) => problems.map((problem) => `${method}: ${problem}`))
  if (all.length === 0) return ""
  return `<h2>What failed</h2>\n<ul>${all.map((problem) => `<li>${Svg.escape(problem)}</li>`).join("")}</ul>`
}

/** Of the plot, beside what all pages share. */
const PLOT_STYLE = `
svg{width:100%;height:auto}
svg text{fill:var(--ink);font-size:13px}
.grid{stroke:var(--rule);fill:none}.axis,.at{stroke:var(--faint);fill:none}
.line{stroke:var(--series);stroke-width:1.8;fill:none}svg .mark{fill:var(--series);stroke:var(--ground)}
.bound{stroke:var(--faint);stroke-width:2.5;stroke-dasharray:1 5;stroke-linecap:round;fill:none}
${Array.from({ length: COLOURS }, (_, i) => `.c${i}{--series:var(--c${i})}`).join("")}
svg g[data-method]:hover .line{stroke-width:4}
td{white-space:nowrap}dt{font-weight:600}dd{margin:0 0 .5rem;color:var(--faint)}
.keys{columns:20rem;font-size:.8rem;padding-left:1rem}
`
