/** The graph of a run, drawn with the status and the time of its nodes. */
import { Effect } from "effect"
import * as Format from "../cli/format.ts"
import type { NodeView } from "../cli/RunView.ts"
import * as Condense from "./condense.ts"
import * as Graph from "./graphSvg.ts"
import { type Html, html } from "./html.ts"

/** Parts of a graph that nothing connects, beyond which they are not drawn. */
const PARTS = 24

/** The status of nodes as drawings have it: what has not run is one thing, whatever the reason. */
export const drawnStatus = (status: NodeView["status"]): NonNullable<Graph.Drawn["status"]> =>
  status === "skipped" || status === "unfinished" ? "waiting" : status

export interface Drawing {
  readonly svgs: ReadonlyArray<Html>
  /** Whether some drawn node stands for several. */
  readonly isCondensed: boolean
  readonly hidden: number
}

/** What is known of a node that is to be drawn; `ms` of cached nodes is that of looking them up. */
export type Known = Pick<NodeView, "id" | "stage" | "inputs"> & {
  readonly status: NonNullable<Graph.Drawn["status"]>
  readonly ms?: number | undefined
}

/** The drawn nodes, condensed where they are too many to read. `href` tells where a click on a node leads. */
export const condensed = (
  nodes: ReadonlyArray<Known>,
  outputs: Readonly<Record<string, string>>,
  href: (node: string) => string | undefined = () => undefined
): ReadonlyArray<Graph.Drawn> => {
  const results = new Set(Object.values(outputs))
  const labels = Condense.labelsOf(nodes)
  return Condense.condense(nodes).map(({ id, inputs, members }) => {
    const [first] = members
    const link = href(id)
    const label =
      members.length === 1
        ? id
        : members.every((node) => labels.get(node.id) === labels.get(id))
          ? labels.get(id)!
          : first!.stage
    return {
      id,
      inputs,
      label,
      note: noteOf(members, label),
      status: worst(members),
      output: members.some((node) => results.has(node.id)),
      ...(link === undefined ? {} : { href: link })
    }
  })
}

/** Stage (unless it is the label), number of copies, and time of the computed ones. */
const noteOf = (members: ReadonlyArray<Known>, label: string): string => {
  const ms = members.reduce(
    (total, node) => total + (node.status === "computed" || node.status === "failed" ? (node.ms ?? 0) : 0),
    0
  )
  const status = worst(members)
  return [
    ...(members[0]!.stage === label ? [] : [members[0]!.stage]),
    ...(members.length > 1 ? [`×${members.length}`] : []),
    ...(ms > 0 ? [Format.duration(ms)] : status === "cached" ? ["cached"] : status === "waiting" ? ["not run"] : [])
  ].join(" · ")
}

/** A group is what its worst member is. */
const worst = (members: ReadonlyArray<Known>): NonNullable<Graph.Drawn["status"]> =>
  (["failed", "waiting", "computed"] as const).find((status) => members.some((node) => node.status === status)) ??
  "cached"

export const draw = Effect.fn("graphSection.draw")(function* (
  nodes: ReadonlyArray<Known>,
  outputs: Readonly<Record<string, string>>,
  href?: (node: string) => string | undefined
) {
  const drawn = condensed(nodes, outputs, href)
  const parts = Condense.components(drawn)
  const svgs: Array<Html> = []
  for (const [i, part] of parts.slice(0, PARTS).entries()) {
    const label = `Graph${parts.length > 1 ? `, part ${i + 1} of ${parts.length}` : ""}: ${Format.count(part.length, "node")}`
    svgs.push(yield* Graph.toSvg(part, label))
  }
  const drawing: Drawing = {
    svgs,
    isCondensed: drawn.length < nodes.length,
    hidden: parts.slice(PARTS).reduce((total, part) => total + part.length, 0)
  }
  return drawing
})

/** The drawing as a figure. */
export const figure = ({ hidden, isCondensed, svgs }: Drawing, count: number): Html => html`<figure class="numbered">
<ul class="legend marks"><li><span class="mark computed"></span>computed</li><li><span class="mark cached"></span>served from the store</li><li><span class="mark failed"></span>failed</li><li><span class="mark waiting"></span>not run</li></ul>
<div class="graph" role="region" aria-label="Drawn graph" tabindex="0"><div class="parts">${svgs}</div></div>
<figcaption><b>The graph.</b> ${Format.count(count, "node")}; each runs after those above it that point to it, those with a strong outline are outputs. ${isCondensed ? "Copies of a node at several settings are drawn as one, with their number (×) and the sum of their times." : undefined}${hidden > 0 ? ` ${hidden} more are not drawn.` : undefined}</figcaption>
</figure>`
