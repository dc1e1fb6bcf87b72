/** A graph as a text of its own: SVG, Mermaid, JSON, or Graphviz' language. */
import { Effect } from "effect"
import * as GraphSection from "./graphSection.ts"
import * as Graph from "./graphSvg.ts"
import { visible } from "./html.ts"
import { standalone } from "./style.ts"

export type Format = "svg" | "mermaid" | "json" | "dot"

export interface Named {
  readonly name: string
  readonly nodes: ReadonlyArray<GraphSection.Known>
  /** Output name -> node. */
  readonly outputs: Readonly<Record<string, string>>
}

/** The text, with its last line ended. JSON has every node; the drawings are condensed where there are too many. */
export const render = Effect.fn("graphText.render")(function* ({ name, nodes, outputs }: Named, format: Format) {
  const drawn = GraphSection.condensed(nodes, outputs)
  switch (format) {
    case "svg":
      return standalone((yield* Graph.toSvg(drawn, `Graph of ${name}`)).html, visible(name))
    case "dot":
      return Graph.toDot(drawn)
    case "mermaid":
      return toMermaid(drawn)
    case "json": {
      const told = nodes.map(({ id, inputs, ms, stage, status }) => ({ id, stage, inputs, status, ms: ms ?? null }))
      return `${JSON.stringify({ name, nodes: told, outputs })}\n`
    }
  }
})

const CLASSES = [
  "classDef computed fill:#e9f1e6,stroke:#4f7f4b,color:#1d1c1a",
  "classDef cached fill:#f0eee7,stroke:#8d877a,color:#1d1c1a",
  "classDef failed fill:#fbe4e0,stroke:#a5201f,color:#1d1c1a",
  "classDef waiting fill:#fffefb,stroke:#9a9488,color:#1d1c1a,stroke-dasharray:4 3"
]

/** As Markdown pages of code hosts draw it. */
export const toMermaid = (nodes: ReadonlyArray<Graph.Drawn>): string => {
  const place = new Map(nodes.map(({ id }, i) => [id, `n${i}`]))
  const lines = nodes.map(({ id, label, note, output, status }) => {
    const inner = `"${mermaidText(label ?? id)}${note === undefined ? "" : `<br/>${mermaidText(note)}`}"`
    const shape = output === true ? `[[${inner}]]` : `[${inner}]`
    return `  ${place.get(id)}${shape}${status === undefined ? "" : `:::${status}`}`
  })
  const edges = nodes.flatMap(({ id, inputs }) =>
    [...new Set(Object.values(inputs))].flatMap((input) =>
      place.has(input) ? [`  ${place.get(input)} --> ${place.get(id)}`] : []
    )
  )
  return `${["flowchart TB", ...lines, ...edges, ...CLASSES.map((line) => `  ${line}`)].join("\n")}\n`
}

/** Mermaid has entities of its own, by number. */
const mermaidText = (text: string) =>
  visible(text).replaceAll(/[^\p{L}\p{N} ._/=×·,:()-]/gu, (c) => `#${c.codePointAt(0)};`)
