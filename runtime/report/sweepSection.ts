/** Sweeps as tables and plots. */
import { Effect } from "effect"
import * as Format from "../cli/format.ts"
import * as Chart from "./chart.ts"
import { type Html, html } from "./html.ts"
import type { Row, Sweep } from "./sweeps.ts"
import * as Tables from "./tables.ts"

/** As many metrics have a column, and a plot, each; the others can be unfolded. */
const COLUMNS = 6
const PLOTS = 9

export const render = Effect.fn("sweepSection.render")(function* (sweeps: ReadonlyArray<Sweep>) {
  const parts: Array<Html> = []
  for (const sweep of sweeps) parts.push(yield* renderOne(sweep))
  return parts
})

const renderOne = Effect.fnUntraced(function* (sweep: Sweep) {
  const { metrics, output, rows, seeds, swept } = sweep
  // What is the same everywhere says nothing about the settings.
  const telling = metrics.filter((metric) => rows.length < 2 || varies(rows, metric))
  const note =
    seeds > 1
      ? `Means over ${seeds} seeds with 95 % intervals (Student's t).`
      : "One seed each; intervals are those of the evaluation, where it has any."
  const first = telling.slice(0, COLUMNS)
  const others = metrics.filter((metric) => !first.includes(metric))
  const plots: Array<Html> = []
  if (swept.length > 0 && rows.length > 1)
    for (const metric of telling.slice(0, PLOTS)) plots.push(yield* plot(sweep, metric))
  const legend =
    swept.length > 1
      ? html`; ${swept.slice(1).join(", ")} by colour, as the numbers at the curves' ends tell`
      : undefined
  return html`<h3>${output}</h3>
${table(sweep, first, html`${output}.`, note)}
${
  plots.length === 0
    ? undefined
    : html`<figure class="numbered"><div class="multiples">${plots}</div><figcaption><b>${output} against ${swept[0]}</b>${legend}. Bars are 95 % intervals.</figcaption></figure>`
}
${others.length === 0 ? undefined : html`<details><summary>${Format.count(others.length, "further metric")} of ${output}</summary>${chunks(others).map((part) => table(sweep, part, html`${output}, further.`, note))}</details>`}`
})

const varies = (rows: ReadonlyArray<Row>, metric: string) =>
  new Set(rows.map(({ results }) => results[metric]?.mean)).size > 1

const chunks = (metrics: ReadonlyArray<string>) =>
  Array.from({ length: Math.ceil(metrics.length / COLUMNS) }, (_, i) => metrics.slice(i * COLUMNS, (i + 1) * COLUMNS))

const table = ({ output, rows, swept }: Sweep, metrics: ReadonlyArray<string>, title: Html, note: string): Html =>
  Tables.render({
    title,
    note,
    label: `Sweep of ${output}: ${metrics.join(", ")}`,
    columns: [
      ...(swept.length === 0 ? [{ name: "setting" }] : swept.map((name) => ({ name }))),
      ...metrics.map((name) => ({ name, number: true }))
    ],
    rows: rows.map(({ results, setting }) => [
      ...(swept.length === 0 ? ["at every setting"] : swept.map((name) => setting[name] ?? "")),
      ...metrics.map((metric) => {
        const result = results[metric]
        return result === undefined ? "" : Tables.quantity(result.mean, result.interval)
      })
    ])
  })

/** Where values of a swept parameter lie this many times apart, equal steps are equal factors. */
const FACTOR = 8

const plot = Effect.fnUntraced(function* ({ output, rows, swept }: Sweep, metric: string) {
  const [along, ...others] = swept as [string, ...Array<string>]
  const numbers = rows.map(({ setting }) => Number(setting[along]))
  const isNumber = numbers.every(Number.isFinite)
  const isWide = isNumber && Math.min(...numbers) > 0 && Math.max(...numbers) / Math.min(...numbers) >= FACTOR
  const values = rows.flatMap(({ results, setting }) => {
    const result = results[metric]
    if (result === undefined) return []
    const [low, high] = result.interval ?? [result.mean, result.mean]
    const x = isNumber ? Number(setting[along]) : (setting[along] ?? "")
    return [{ x, mean: result.mean, low, high, line: others.map((name) => `${name} = ${setting[name]}`).join(", ") }]
  })
  const lines = [...new Set(values.map(({ line }) => line))]
  const color = {
    field: "line",
    type: "nominal",
    scale: { domain: lines, range: lines.map((_, i) => `var(--c${i % 8})`) }
  }
  const x = {
    field: "x",
    type: isNumber ? "quantitative" : "nominal",
    sort: null,
    title: along,
    scale: isNumber ? { zero: false, ...(isWide ? { type: "log" } : {}), padding: 12 } : {},
    axis: {
      labelAngle: 0,
      labelLimit: 90,
      ...(isNumber ? { values: [...new Set(numbers)], labelExpr: "'' + datum.value" } : {})
    }
  }
  const y = { type: "quantitative", title: null, scale: { zero: false }, axis: { tickCount: 4 } }
  const name = { align: "left", dx: 6, fontSize: 10, color: "var(--faint)" }
  const svg = yield* Chart.draw(describe(output, metric, rows, along), {
    width: lines.length > 1 ? 210 : 262,
    height: 150,
    data: { values },
    encoding: { x, color },
    layer: [
      {
        mark: { type: "rule", strokeWidth: 1.6, opacity: 0.75 },
        encoding: { y: { field: "low", ...y }, y2: { field: "high" } }
      },
      ...(isNumber ? [{ mark: { type: "line" }, encoding: { y: { field: "mean", ...y } } }] : []),
      { mark: { type: "point", filled: true, size: 42, opacity: 1 }, encoding: { y: { field: "mean", ...y } } },
      ...(lines.length > 1 && isNumber
        ? [
            {
              transform: [
                {
                  window: [{ op: "rank", as: "place" }],
                  sort: [{ field: "x", order: "descending" }],
                  groupby: ["line"]
                },
                { filter: "datum.place === 1" }
              ],
              mark: { type: "text", ...name },
              encoding: { y: { field: "mean", ...y }, text: { field: "line" } }
            }
          ]
        : [])
    ]
  })
  return html`<div class="chart"><p>${metric}</p>${svg}</div>`
})

const describe = (output: string, metric: string, rows: ReadonlyArray<Row>, along: string) =>
  `${metric} of ${output} against ${along}: ${rows
    .slice(0, 24)
    .flatMap(({ results, setting }) =>
      results[metric] === undefined
        ? []
        : [`${Object.values(setting).join(", ")}: ${Format.number(results[metric].mean)}`]
    )
    .join("; ")}`
