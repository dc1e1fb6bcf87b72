/** Charts: Vega-Lite specifications drawn as SVG without a browser, in the colours of the page that they stand in. */
import { Effect, Schema } from "effect"
import type { TopLevelSpec } from "vega-lite"
import { escape, type Html, trusted } from "./html.ts"

/** Vega could not draw a chart. */
export class ChartNotDrawn extends Schema.TaggedError<ChartNotDrawn>()("ChartNotDrawn", {
  chart: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `the chart ${JSON.stringify(this.chart)} could not be drawn: ${this.problem}`
  }
}

const CONFIG = {
  background: "transparent",
  padding: 2,
  view: { stroke: null },
  font: "sans-serif",
  axis: {
    labelColor: "var(--faint)",
    titleColor: "var(--faint)",
    gridColor: "var(--rule)",
    domainColor: "var(--faint)",
    tickColor: "var(--faint)",
    labelFontSize: 11,
    titleFontSize: 11,
    titleFontWeight: "normal",
    gridWidth: 0.7,
    tickSize: 4,
    labelOverlap: true
  },
  axisX: { grid: false },
  axisY: { domain: false, ticks: false, labelPadding: 6 },
  line: { strokeWidth: 1.6, strokeJoin: "round" },
  legend: { disable: true }
} as const

/** A Vega-Lite specification without its configuration, which is that of all charts. Vega-Lite itself checks it. */
export type Spec = Readonly<Record<string, unknown>>

/** Draws a specification; `label` says what it shows to whoever does not see it. */
export const draw = Effect.fn("chart.draw")(function* (
  label: string,
  spec: Spec
): Effect.fn.Return<Html, ChartNotDrawn> {
  const svg = yield* Effect.tryPromise({
    try: async () => {
      // Half a second to load, which pages without charts do without.
      const [{ logger, parse, View }, { compile }] = await Promise.all([import("vega"), import("vega-lite")])
      const compiled = compile({ ...spec, config: CONFIG } as unknown as TopLevelSpec, { logger: logger(SILENT) })
      const view = new View(parse(compiled.spec), { renderer: "none" })
      const text = await view.toSVG()
      view.finalize()
      return text
    },
    catch: (cause) =>
      new ChartNotDrawn({ chart: label, problem: cause instanceof Error ? cause.message : String(cause) })
  })
  return tidy(svg, label)
})

/** Vega's level of logging that says nothing: what cannot be drawn is thrown. */
const SILENT = 0

/** One picture to whoever hears the page, and without what only Vega's own scripts read. */
const tidy = (svg: string, label: string): Html =>
  trusted(
    svg
      .replaceAll(/ (?:role|aria-[a-z]+|class|pointer-events|font-family)="[^"]*"/g, "")
      .replaceAll(/ xmlns:xlink="[^"]*"| version="[^"]*"/g, "")
      .replaceAll(/<path d="" ?[^>]*\/>|<path d="M0,0h0v0h0Z"[^>]*\/>/g, "")
      .replaceAll(/ (?:d|transform)="[^"]*"/g, (attribute) => attribute.replaceAll(/(\.\d\d)\d+/g, "$1"))
      .replace("<svg", () => `<svg role="img" aria-label="${escape(label)}"`)
  )
