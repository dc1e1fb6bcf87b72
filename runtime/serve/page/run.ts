/** The page of one run, which its script keeps up with what happens. */
import { Effect } from "effect"
import * as Format from "../../cli/format.ts"
import { components, condense, type Group } from "../../report/condense.ts"
import type { Drawn } from "../../report/graphSvg.ts"
import * as Graph from "../../report/graphSvg.ts"
import { type Html, html } from "../../report/html.ts"
import * as Follow from "../follow.ts"
import type { NodeState, Snapshot } from "../runs.ts"
import { frame, type Page } from "./frame.ts"

export const run = Effect.fn("serve.page.run")(function* (of: Snapshot): Effect.fn.Return<Page> {
  const { nodes, place, started, status } = of
  const groups = condense(nodes)
  const places = new Map(nodes.map(({ id }, i) => [id, i]))
  const drawn = groups.map((group) => drawnOf(group, places))
  const groupOf = new Map(groups.flatMap(({ id, members }) => members.map((node) => [node.id, hrefOf(id, places)])))
  const parts = components(drawn)
  const graph = yield* Effect.forEach(parts, (part, i) =>
    Graph.toSvg(
      part,
      `The graph of the run${parts.length > 1 ? `, part ${i + 1} of ${parts.length}` : ""}: ${Format.count(part.length, "node")}`
    )
  ).pipe(
    Effect.map((svgs) => html`<div class="parts">${svgs}</div>`),
    // Without a picture there is still the table.
    Effect.catch((error) => Effect.succeed(html`<p class="nothing">${error.message}</p>`))
  )
  const done = nodes.filter(({ status }) => status !== "waiting" && status !== "running").length
  return frame({
    title: `${started.pipeline} · ${started.run}`,
    script: "run.js",
    body: html`<main id="run" data-run="${started.run}" data-place="${Follow.toText(place)}" data-status="${status}">
<header><p class="kicker"><code>${started.run}</code></p><h1>${started.pipeline}</h1>
<p><span id="status" class="status ${status}" role="status">${status}</span> · <span id="done">${done}</span> of ${nodes.length} nodes · <span id="time" data-at="${started.at}">${of.ms === undefined ? "" : Format.duration(of.ms)}</span> · <a href="/runs/${started.run}/report">report</a></p>
<p class="faint">${Format.settings(started.params)}</p></header>
<div class="bar" aria-hidden="true"><div id="bar" data-share="${nodes.length === 0 ? 1 : done / nodes.length}"></div></div>
<section><h2>Graph</h2><div class="graph" id="graph" tabindex="0" role="region" aria-label="Graph">${graph}</div></section>
<section><h2>Curves</h2><div class="multiples" id="curves"><p class="nothing">Nothing that is trained here has told a loss yet.</p></div></section>
<section><h2>Nodes</h2><div class="wide" tabindex="0" role="region" aria-label="Nodes"><table><thead><tr><th scope="col">Node</th><th scope="col">Stage</th><th scope="col">Status</th><th scope="col" class="number">Took</th><th scope="col">Progress</th></tr></thead>
<tbody id="nodes">${nodes.map((node, i) => row(node, i, groupOf.get(node.id)!))}</tbody></table></div></section>
<section><h2>Events</h2><ol class="log" id="log" tabindex="0" aria-label="Events">${of.events.slice(-MOST).map((event) => html`<li><time>${event.at.slice(11, 19)}</time>${describe(event)}</li>`)}</ol></section>
</main>`
  })
})

/** Events that are shown. */
const MOST = 200

/** The row of a group's first member, to which its place in the picture leads; the script finds that place by it. */
const hrefOf = (id: string, places: ReadonlyMap<string, number>) => `#n${places.get(id)}`

const drawnOf = ({ id, inputs, members }: Group<NodeState>, places: ReadonlyMap<string, number>): Drawn => ({
  id,
  inputs,
  href: hrefOf(id, places),
  note: members.length === 1 ? members[0]!.stage : `${members[0]!.stage} × ${members.length}`,
  ...statusOf(members)
})

const statusOf = (members: ReadonlyArray<NodeState>): Pick<Drawn, "status"> => {
  const all = (...statuses: ReadonlyArray<NodeState["status"]>) =>
    members.every(({ status }) => statuses.includes(status))
  if (members.some(({ status }) => status === "failed")) return { status: "failed" }
  if (all("cached")) return { status: "cached" }
  return { status: all("cached", "computed") ? "computed" : "waiting" }
}

const row = (
  { error, id, ms, stage, status }: NodeState,
  i: number,
  group: string
): Html => html`<tr id="n${i}" data-node="${id}" data-group="${group}">
<th scope="row">${id}</th><td>${stage}</td><td><span class="status ${status}">${status}</span></td><td class="number">${ms === undefined ? "" : Format.duration(ms)}</td><td class="progress">${error}</td></tr>
`

/** An event as the log shows it. */
export const describe = (event: Snapshot["events"][number]): string => {
  switch (event._tag) {
    case "RunStarted":
      return `the run begins: ${Format.count(event.nodes.length, "node")}`
    case "NodeStarted":
      return event.attempt === 1 ? `${event.node} begins` : `${event.node} begins, attempt ${event.attempt}`
    case "NodeRetried":
      return `${event.node}: attempt ${event.attempt} failed: ${event.error}`
    case "NodeFinished":
      return `${event.node} ${event.status}${event.status === "computed" ? ` in ${Format.duration(event.ms)}` : ""}`
    case "NodeFailed":
      return `${event.node} failed: ${event.error.message}`
    case "NodeSkipped":
      return `${event.node} skipped for want of ${event.because.join(", ")}`
    case "RunFinished":
      return `the run ${event.status} after ${Format.duration(event.ms)}`
  }
}
