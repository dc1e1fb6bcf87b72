/** A graph of nodes as Graphviz draws it, and as text for other programs that draw. */
import { Effect, Schema } from "effect"
import { escape, type Html, trusted } from "./html.ts"

/** What is drawn of a node. */
export interface Drawn {
  readonly id: string
  /** First line; the id unless told. */
  readonly label?: string
  /** Second line, smaller: its stage, its time, how many nodes it stands for. */
  readonly note?: string
  readonly status?: "computed" | "cached" | "failed" | "waiting"
  readonly output?: boolean
  /** Where a click on it leads, within the page. */
  readonly href?: string
  /** Input name -> node. */
  readonly inputs: Readonly<Record<string, string>>
}

/** Graphviz could not lay the graph out. */
export class GraphNotDrawn extends Schema.TaggedError<GraphNotDrawn>()("GraphNotDrawn", { problem: Schema.String }) {
  override get message() {
    return `the graph could not be drawn: ${this.problem}`
  }
}

/** Fill and outline for programs that read no classes; on a page its style sheet prevails. */
const COLOURS: Readonly<Record<NonNullable<Drawn["status"]>, string>> = {
  computed: `fillcolor="#e9f1e6" color="#4f7f4b"`,
  cached: `fillcolor="#f0eee7" color="#8d877a"`,
  failed: `fillcolor="#fbe4e0" color="#a5201f"`,
  waiting: `fillcolor="#fffefb" color="#9a9488"`
}

/** The graph in Graphviz' own language. Nodes carry their status as a class, for the page's colours, and as a colour. */
export const toDot = (nodes: ReadonlyArray<Drawn>): string => {
  const place = new Map(nodes.map(({ id }, i) => [id, `n${i}`]))
  const lines = nodes.map(({ href, id, label, note, output, status }) => {
    const classes = [status ?? "plain", ...(output === true ? ["output"] : [])].join(" ")
    const second = note === undefined ? "" : `<br/><font point-size="10.5">${text(note)}</font>`
    const link = href === undefined ? "" : ` href=${quoted(href)} tooltip=${quoted(id)}`
    return `  ${place.get(id)} [class=${quoted(classes)}${status === undefined ? "" : ` ${COLOURS[status]}`}${output === true ? " penwidth=2" : ""} label=<${text(label ?? id)}${second}>${link}]`
  })
  const edges = nodes.flatMap(({ id, inputs }) =>
    [...new Set(Object.values(inputs))].flatMap((input) => {
      const [from, to] = [place.get(input), place.get(id)]
      return from === undefined || to === undefined ? [] : [`  ${from} -> ${to}`]
    })
  )
  return `digraph {
  graph [bgcolor="transparent" rankdir=TB nodesep=0.22 ranksep=0.32 pad=0.05]
  node [shape=box style="rounded,filled" fontname="Helvetica" fontsize=13 height=0.3 margin="0.12,0.05" penwidth=1]
  edge [arrowsize=0.5 arrowhead=vee]
${[...lines, ...edges].join("\n")}
}
`
}

/** The graph as an SVG element; `label` says what it shows to whoever does not see it. */
export const toSvg = Effect.fn("graphSvg.toSvg")(function* (nodes: ReadonlyArray<Drawn>, label: string) {
  const svg = yield* layout(toDot(nodes))
  return tidy(svg, label)
})

const layout = (dot: string) =>
  Effect.tryPromise({
    try: async () => {
      // Loading the layouter takes longer than everything else that most commands do.
      const { Graphviz } = await import("@hpcc-js/wasm-graphviz")
      return (await Graphviz.load()).layout(dot, "svg", "dot")
    },
    catch: (cause) => new GraphNotDrawn({ problem: cause instanceof Error ? cause.message : String(cause) })
  })

/** Without the prologue, comments and titles, which show ids of Graphviz' own. */
const tidy = (svg: string, label: string): Html => {
  const name = text(label)
  const body = svg
    .slice(svg.indexOf("<svg"))
    .replaceAll(/<!--[\s\S]*?-->\n?/g, "")
    .replaceAll(/<title>[\s\S]*?<\/title>\n?/g, "")
    .replaceAll(/ id="(?:a_)?(?:graph|node|edge)\d+"/g, "")
    .replaceAll(/ font-family="[^"]*"/g, "")
    .replaceAll(/ (?:xlink:title)="[^"]*"/g, "")
    .replaceAll("xlink:href", "href")
    .replace(/<svg width="(\d+)pt" height="(\d+)pt"/, '<svg width="$1" height="$2"') // points drawn as pixels
    .replace("<svg", () => `<svg role="group" aria-label="${name}"`)
  return trusted(body)
}

/** Text of a label: markup, and characters that XML has none of, escaped. */
const text = (raw: string) => {
  const { length } = raw
  const shown = length <= LONGEST ? raw : `${raw.slice(0, LONGEST - 1)}…`
  return escape(shown.replaceAll(/\s/g, " "))
}
const LONGEST = 48

const quoted = (raw: string) => `"${raw.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`
