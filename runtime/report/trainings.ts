/** Logs of trainings as charts: one for each metric, the trainings of a kind laid over one another. */
import { Effect } from "effect"
import * as Format from "../cli/format.ts"
import type { RunView } from "../cli/RunView.ts"
import * as Chart from "./chart.ts"
import { labelsOf } from "./condense.ts"
import { type Html, html, trusted } from "./html.ts"
import * as Settings from "./settings.ts"
import { COLOURS, colour } from "./style.ts"

/** A node that trained, and its log under the names of Hugging Face's and TRL's metrics. */
export interface Training {
  readonly node: string
  readonly stage: string
  readonly log: ReadonlyArray<Readonly<Record<string, number>>>
}

/** One chart: metrics of one unit that are read together, at most a solid and a dashed one. */
interface Panel {
  readonly title: string
  readonly unit?: string
  readonly metrics: ReadonlyArray<readonly [metric: string, name: string]>
}

/** In the order in which they are read; metrics of other names follow, each for itself. */
const PANELS: ReadonlyArray<Panel> = [
  { title: "Loss", metrics: [["loss", "loss"]] },
  { title: "Implicit-reward accuracy", metrics: [["rewards/accuracies", "accuracy"]] },
  { title: "Reward margin", metrics: [["rewards/margins", "margin"]] },
  {
    title: "Implicit rewards",
    metrics: [
      ["rewards/chosen", "chosen"],
      ["rewards/rejected", "rejected"]
    ]
  },
  {
    title: "Log-probabilities",
    unit: "nats",
    metrics: [
      ["logps/chosen", "chosen"],
      ["logps/rejected", "rejected"]
    ]
  },
  { title: "Reward of answers", metrics: [["eval_reward", "reward"]] },
  { title: "KL from the start", unit: "nats", metrics: [["eval_kl", "KL"]] },
  { title: "Length of answers", unit: "tokens", metrics: [["eval_length", "length"]] }
]
const LAST: ReadonlyArray<Panel> = [
  { title: "Gradient norm", metrics: [["grad_norm", "norm"]] },
  { title: "Learning rate", metrics: [["learning_rate", "rate"]] }
]
const NO_METRIC: ReadonlySet<string> = new Set(["step", "epoch"])

/** As many curves as a legend tells apart; beyond that they are drawn alike. */
const TOLD_APART = COLOURS

/** A curve: trainings that differ in their seed only share one, as a mean with its members behind it. */
interface Series {
  readonly name: string
  readonly members: ReadonlyArray<Training>
}

interface Kind {
  readonly stage: string
  readonly series: ReadonlyArray<Series>
}

/** Trainings of one stage that log the same are one kind. */
export const kinds = (
  trainings: ReadonlyArray<Training>,
  { nodes, outputs }: Pick<RunView, "nodes" | "outputs">
): ReadonlyArray<Kind> => {
  const settings = Settings.reaching(nodes, outputs)
  const labels = labelsOf(nodes)
  const isSweep = [...settings.values()].some((all) => all.some((setting) => Object.keys(setting).length > 0))
  const groups = Map.groupBy(
    trainings,
    ({ log, stage }) => `${stage} ${[...new Set(log.flatMap(Object.keys))].sort().join(" ")}`
  )
  return [...groups.values()].map((members) => {
    const names = new Set(members.map(({ node }) => labels.get(node)))
    const named = Map.groupBy(members, ({ node }) => {
      if (!isSweep) return node
      const setting = Settings.toText(Settings.withoutSeed(Settings.common(settings.get(node) ?? [])))
      const label = labels.get(node)!
      return setting === "" ? label : names.size === 1 ? setting : `${label}, ${setting}`
    })
    const series = [...named].map(([name, members]): Series => ({ name, members }))
    return { stage: members[0]!.stage, series }
  })
}

export const render = Effect.fn("trainings.render")(function* (
  trainings: ReadonlyArray<Training>,
  view: Pick<RunView, "nodes" | "outputs">
) {
  const parts: Array<Html> = []
  for (const kind of kinds(trainings, view)) parts.push(yield* renderKind(kind))
  return parts
})

const renderKind = Effect.fnUntraced(function* ({ series, stage }: Kind) {
  const logged = [...new Set(series.flatMap(({ members }) => members.flatMap(({ log }) => log.flatMap(Object.keys))))]
  const charts: Array<Html> = []
  for (const panel of panelsOf(logged)) charts.push(yield* renderPanel(panel, series, logged))
  const [only] = series.length === 1 ? series : []
  const copies = Math.max(...series.map(({ members }) => members.length))
  const count = series.reduce((total, { members }) => total + members.length, 0)
  return html`<h3>${only === undefined ? `${Format.count(count, "training")} by ${stage}` : `${only.name}, by ${stage}`}</h3>
<figure class="numbered">
${only === undefined ? legend(series) : undefined}
<div class="multiples">${charts}</div>
<figcaption><b>Curves of ${only === undefined ? "these trainings" : only.name}.</b> Each point is the mean over the steps since the one before, as logged. ${logged.some((metric) => metric.startsWith("eval_")) ? "Reward, KL and length are of answers to prompts watched on the way, at that step. " : undefined}${copies > 1 ? "Thick: means over seeds; thin: the seeds." : undefined}</figcaption>
</figure>`
})

const panelsOf = (logged: ReadonlyArray<string>): ReadonlyArray<Panel> => {
  const known = new Set([...PANELS, ...LAST].flatMap(({ metrics }) => metrics.map(([metric]) => metric)))
  const others = logged
    .filter((metric) => !known.has(metric) && !NO_METRIC.has(metric))
    .map((metric): Panel => ({ title: metric, metrics: [[metric, metric]] }))
  return [...PANELS, ...others, ...LAST].filter(({ metrics }) => metrics.some(([metric]) => logged.includes(metric)))
}

const renderPanel = Effect.fnUntraced(function* (
  { metrics, title, unit }: Panel,
  series: ReadonlyArray<Series>,
  logged: ReadonlyArray<string>
) {
  const shown = metrics.filter(([metric]) => logged.includes(metric))
  const values = series.flatMap(({ members }, i) =>
    shown.flatMap(([metric, name], m) => {
      const curves = members.map((member) => pointsOf(member, metric))
      const of = { series: String(i), side: String(m) }
      const thin =
        curves.length === 1
          ? []
          : curves.flatMap((points, j) =>
              points.map((point) => ({ ...point, ...of, curve: `${i}/${m}/${j}`, thin: true }))
            )
      const thick = meanOf(curves).map((point) => ({ ...point, ...of, curve: `${i}/${m}`, thin: false }))
      return [...thin, ...thick].map((point) => ({ ...point, name }))
    })
  )
  if (values.length === 0) return html``
  const isLong = Math.max(...values.map(({ step }) => step)) >= 10_000
  const isAlike = series.length > TOLD_APART
  const colours = series.length === 1 ? shown.map((_, m) => colour(m)) : series.map((_, i) => colour(isAlike ? 0 : i))
  const svg = yield* Chart.draw(describe(title, shown, series), {
    width: 262,
    height: 150,
    data: { values },
    layer: [true, false].map((thin) => ({
      transform: [{ filter: `datum.thin === ${thin}` }],
      mark: { type: "line", opacity: thin ? 0.3 : isAlike ? 0.45 : 1, strokeWidth: thin || isAlike ? 0.8 : 1.7 }
    })),
    encoding: {
      x: {
        field: "step",
        type: "quantitative",
        title: "step",
        axis: { tickCount: 5, format: isLong ? "~s" : "d" },
        scale: { nice: false }
      },
      y: {
        field: "value",
        type: "quantitative",
        title: null,
        scale: { zero: false },
        axis: { tickCount: 4 }
      },
      detail: { field: "curve", type: "nominal" },
      color: {
        field: series.length === 1 ? "side" : "series",
        type: "nominal",
        scale: { domain: (series.length === 1 ? shown : series).map((_, i) => String(i)), range: colours }
      },
      strokeDash: {
        field: "side",
        type: "nominal",
        scale: { domain: shown.map((_, m) => String(m)), range: shown.map((_, m) => (m === 0 ? [1, 0] : [4, 3])) }
      }
    }
  })
  const sides = shown.length < 2 ? undefined : html` <span>${sidesOf(shown, series.length)}</span>`
  return html`<div class="chart"><p>${title}${unit === undefined ? undefined : html` <span>(${unit})</span>`}${sides}</p>${svg}</div>`
})

const pointsOf = ({ log }: Training, metric: string) =>
  log.flatMap((entry, i) => {
    const value = entry[metric]
    return value === undefined || !Number.isFinite(value) ? [] : [{ step: entry["step"] ?? i + 1, value }]
  })

/** At every step that all of them have. */
const meanOf = (curves: ReadonlyArray<ReadonlyArray<{ readonly step: number; readonly value: number }>>) => {
  const [first, ...others] = curves
  const lookups = others.map((points) => new Map(points.map(({ step, value }) => [step, value])))
  return (first ?? []).flatMap(({ step, value }) => {
    const rest = lookups.flatMap((lookup) => lookup.get(step) ?? [])
    return rest.length < others.length
      ? []
      : [{ step, value: (value + rest.reduce((a, b) => a + b, 0)) / curves.length }]
  })
}

/** What is seen in a chart: where each curve begins and ends. */
const describe = (title: string, shown: Panel["metrics"], series: ReadonlyArray<Series>): string => {
  const ends = series.slice(0, TOLD_APART).flatMap(({ members, name }) =>
    shown.flatMap(([metric, side]) => {
      const points = meanOf(members.map((member) => pointsOf(member, metric)))
      const [first, last] = [points[0], points.at(-1)]
      const who = [...(series.length > 1 ? [name] : []), ...(shown.length > 1 ? [side] : [])].join(" ")
      return first === undefined || last === undefined
        ? []
        : [
            `${who}${who === "" ? "" : " "}from ${Format.number(first.value)} at step ${first.step} to ${Format.number(last.value)} at step ${last.step}`
          ]
    })
  )
  return `${title} against step: ${ends.join("; ")}`
}

/** A short line as the curves are drawn. */
const sample = (stroke: string, dash: ReadonlyArray<number>) =>
  trusted(
    `<svg aria-hidden="true" width="26" height="4" viewBox="0 0 26 4" style="display:inline-block;vertical-align:.22em"><path d="M0 2h26" fill="none" stroke="${stroke}" stroke-width="2" stroke-dasharray="${dash.join(" ")}"/></svg>`
  )

const sidesOf = (shown: Panel["metrics"], series: number) =>
  shown.map(([, name], m) => html`${sample(series === 1 ? colour(m) : "currentColor", m === 0 ? [] : [4, 3])} ${name} `)

const legend = (series: ReadonlyArray<Series>) =>
  series.length > TOLD_APART
    ? undefined
    : html`<ul class="legend">${series.map(({ name }, i) => html`<li>${sample(colour(i), [])}${name}</li>`)}</ul>`
