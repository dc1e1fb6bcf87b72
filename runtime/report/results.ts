/** What a run measured: evaluations as tables and, where there are two sides, as charts. */
import { Effect } from "effect"
import type { Estimate, Evaluation } from "../../dsl/artifacts.ts"
import * as Evaluations from "../cli/evaluation.ts"
import * as Format from "../cli/format.ts"
import * as Chart from "./chart.ts"
import { type Html, html } from "./html.ts"
import * as Settings from "./settings.ts"
import { type Evaluated, isSwept } from "./sweeps.ts"
import * as Tables from "./tables.ts"

/** As many evaluations of the same metrics stand side by side. */
const SIDE_BY_SIDE = 6

/** Those that are no part of a sweep. */
export const render = Effect.fn("results.render")(function* (evaluations: ReadonlyArray<Evaluated>) {
  const single = evaluations.filter(({ name }) => !isSwept(name))
  const groups = grouped(single)
  const parts: Array<Html> = []
  // What was sampled has intervals and comes first: it is what most runs are about.
  for (const group of groups.toSorted((a, b) => Number(isSampled(b)) - Number(isSampled(a)))) {
    const [only] = group
    if (group.length === 1) parts.push(oneTable(only!), yield* charts(only!))
    else for (let i = 0; i < group.length; i += SIDE_BY_SIDE) parts.push(sideBySide(group.slice(i, i + SIDE_BY_SIDE)))
  }
  return parts
})

/** Evaluations of which one measures all that another does stand together. */
const grouped = (evaluations: ReadonlyArray<Evaluated>): ReadonlyArray<ReadonlyArray<Evaluated>> => {
  const groups: Array<{ metrics: ReadonlySet<string>; readonly members: Array<Evaluated> }> = []
  for (const evaluated of evaluations) {
    const metrics = new Set(Object.keys(evaluated.evaluation.estimates))
    const group = groups.find((group) => isWithin(metrics, group.metrics) || isWithin(group.metrics, metrics))
    if (group === undefined) groups.push({ metrics, members: [evaluated] })
    else {
      group.members.push(evaluated)
      group.metrics = new Set([...group.metrics, ...metrics])
    }
  }
  return groups.map(({ members }) => members)
}

const isWithin = (a: ReadonlySet<string>, b: ReadonlySet<string>) => [...a].every((metric) => b.has(metric))

const isSampled = (group: ReadonlyArray<Evaluated>) =>
  group.some(({ evaluation }) => Object.values(evaluation.estimates).some(({ high, low }) => low < high))

const quantityOf = ({ high, low, mean }: Estimate, text?: (x: number) => string) =>
  Tables.quantity(mean, low === high ? undefined : [low, high], text)

const oneTable = ({ evaluation: { estimates }, name }: Evaluated): Html => {
  const compared = Evaluations.comparedIn(estimates)
  const paired = compared.map((metric) => {
    const [before, after, gain] = Evaluations.sides(metric).map((side) => estimates[side])
    const change =
      gain === undefined
        ? Tables.quantity(after!.mean - before!.mean, undefined, Format.signed)
        : quantityOf(gain, Format.signed)
    return [metric, quantityOf(before!), quantityOf(after!), change, gain === undefined ? "" : verdict(metric, gain)]
  })
  const shown = new Set(compared.flatMap(Evaluations.sides))
  const rest = Object.entries(estimates).filter(([metric]) => !shown.has(metric))
  const hasMeanings = rest.some(([metric]) => Evaluations.meanings[metric] !== undefined)
  const counts = [...new Set(Object.values(estimates).map(({ count }) => count))]
  const over = counts.length === 1 ? ` over ${Format.count(counts[0]!, "item")}` : ""
  const intervals = isSampled([{ name, node: "", evaluation: { estimates, examples: [] } }])
  const note = `Means${over}${intervals ? " with 95 % intervals" : ""}.`
  const sides =
    paired.length === 0
      ? undefined
      : Tables.render({
          title: html`${name}.`,
          label: `Evaluation ${name}`,
          note: `${note} The change is measured prompt by prompt where it has an interval.`,
          columns: [
            { name: "metric" },
            { name: "reference", number: true },
            { name: "policy", number: true },
            { name: "change", number: true },
            { name: "verdict" }
          ],
          rows: paired
        })
  const others =
    rest.length === 0
      ? undefined
      : Tables.render({
          title: html`${name}${paired.length === 0 ? "." : ", further."}`,
          label: `Evaluation ${name}, metrics without a reference's side`,
          note,
          columns: [{ name: "metric" }, { name: "mean", number: true }, ...(hasMeanings ? [{ name: "meaning" }] : [])],
          rows: rest.map(([metric, estimate]) => [
            metric,
            quantityOf(estimate),
            ...(hasMeanings ? [meaning(metric)] : [])
          ])
        })
  return html`${sides}${others}`
}

const meaning = (metric: string) =>
  Evaluations.meanings[metric] === undefined ? "" : html`<span class="faint">${Evaluations.meanings[metric]}</span>`

const verdict = (metric: string, { high, low }: Estimate): Html => {
  const coloured = (kind: string, text: string) =>
    Evaluations.isMerit(metric) ? html`<span class="${kind}">${text}</span>` : html`${text}`
  if (low > 0) return coloured("good", "higher")
  return high < 0 ? coloured("bad", "lower") : html`<span class="faint">no clear change</span>`
}

const sideBySide = (group: ReadonlyArray<Evaluated>): Html => {
  const metrics = [...new Set(group.flatMap(({ evaluation }) => Object.keys(evaluation.estimates)))].sort()
  return Tables.render({
    title: html`${group.map(({ name }, i) => `${i === 0 ? "" : ", "}${name}`)}.`,
    label: `Evaluations ${group.map(({ name }) => name).join(", ")}`,
    columns: [{ name: "metric" }, ...group.map(({ name }) => ({ name, number: true }))],
    rows: metrics.map((metric) => [
      metric,
      ...group.map(({ evaluation: { estimates } }) =>
        estimates[metric] === undefined ? "" : quantityOf(estimates[metric])
      )
    ])
  })
}

/** What no difference is, for shares of comparisons that were won. */
const EVEN: Readonly<Record<string, number>> = { win_rate: 0.5, "judge/win_rate": 0.5 }

/** One small chart a metric that has intervals: the reference's estimate above the policy's. */
const charts = Effect.fnUntraced(function* ({ evaluation: { estimates }, name }: Evaluated) {
  const drawn: Array<Html> = []
  const compared = Evaluations.comparedIn(estimates)
  const shown = new Set(compared.flatMap(Evaluations.sides))
  for (const metric of compared) {
    const [before, after] = Evaluations.sides(metric).map((side) => estimates[side]!)
    if (before!.low < before!.high) drawn.push(yield* chart(metric, { reference: before!, policy: after! }))
  }
  for (const [metric, estimate] of Object.entries(estimates))
    if (!shown.has(metric) && estimate.low < estimate.high) drawn.push(yield* chart(metric, { policy: estimate }))
  return drawn.length === 0
    ? html``
    : html`<figure class="numbered"><div class="multiples">${drawn}</div>
<figcaption><b>${name}.</b> Dots are means, bars their 95 % intervals${compared.length > 0 ? "; the reference above, the policy below" : ""}. ${Object.keys(estimates).some((metric) => metric in EVEN) ? "The dashed line is no difference." : undefined}</figcaption></figure>`
})

const chart = Effect.fnUntraced(function* (metric: string, sides: Readonly<Record<string, Estimate>>) {
  const order = Object.keys(sides)
  const values = Object.entries(sides).map(([side, { high, low, mean }]) => ({ side, low, high, mean }))
  const even = EVEN[metric]
  const label = `${metric}: ${values.map(({ high, low, mean, side }) => `${side} ${Format.number(mean)}, interval ${Format.number(low)} to ${Format.number(high)}`).join("; ")}`
  const color = {
    field: "side",
    type: "nominal",
    scale: { domain: ["reference", "policy"], range: ["var(--faint)", "var(--c0)"] }
  }
  const y = {
    field: "side",
    type: "nominal",
    sort: order,
    title: null,
    axis: order.length < 2 ? null : { grid: false }
  }
  const svg = yield* Chart.draw(label, {
    width: order.length < 2 ? 262 : 200,
    height: order.length < 2 ? 26 : 44,
    data: { values },
    layer: [
      ...(even === undefined
        ? []
        : [
            {
              data: { values: [{ even }] },
              mark: { type: "rule", color: "var(--faint)", strokeDash: [3, 3] },
              encoding: { x: { field: "even", type: "quantitative" } }
            }
          ]),
      {
        mark: { type: "rule", strokeWidth: 2.2, strokeCap: "round" },
        encoding: { x: { field: "low" }, x2: { field: "high" }, y, color }
      },
      { mark: { type: "point", filled: true, size: 55, opacity: 1 }, encoding: { x: { field: "mean" }, y, color } }
    ].map((layer) => withX(layer))
  })
  return html`<div class="chart"><p>${metric}</p>${svg}</div>`
})

const withX = (layer: { readonly encoding: { readonly x: object } }) => ({
  ...layer,
  encoding: {
    ...layer.encoding,
    x: {
      type: "quantitative",
      title: null,
      scale: { zero: false, nice: true },
      axis: { tickCount: 5, grid: true },
      ...layer.encoding.x
    }
  }
})

/** Answers before and after, prompt by prompt. */
export const answers = (evaluations: ReadonlyArray<Evaluated>): Html | undefined => {
  const quoted = evaluations.filter(({ evaluation }) => evaluation.examples.length > 0)
  if (quoted.length === 0) return undefined
  const shown = quoted.filter(({ name }) => isFirstSeed(name, quoted)).slice(0, QUOTED)
  const left = quoted.length - shown.length
  return html`<section id="answers"><h2>Answers before and after</h2>
<p>The reference's and the policy's answers to the same prompts, drawn with the same random numbers, with the reward that each gets. They are the first prompts of the evaluation, not the best.</p>
${shown.map((evaluated) => html`${quoted.length > 1 ? html`<h3>${titleOf(evaluated.name)}</h3>` : undefined}${quotes(evaluated.evaluation)}`)}
${left > 0 ? html`<p class="note faint">${Format.count(left, "further evaluation")} of this run ${left === 1 ? "quotes" : "quote"} answers too.</p>` : undefined}
</section>`
}

const QUOTED = 4

/** Of a sweep each setting is quoted once, at the first of its seeds. */
const isFirstSeed = (name: string, quoted: ReadonlyArray<Evaluated>): boolean => {
  const keyOf = (name: string) => {
    const { output, setting } = Settings.parse(name)
    return `${output} ${Settings.toText(Settings.withoutSeed(setting))}`
  }
  return quoted.find((other) => keyOf(other.name) === keyOf(name))?.name === name
}

const titleOf = (name: string): string => {
  const { output, setting } = Settings.parse(name)
  return Object.keys(setting).length === 0 ? output : `${output} at ${Settings.toText(setting)}`
}
const LONGEST = 2000

const quotes = ({ examples }: Evaluation): Html =>
  html`<div class="answers">${examples.map(
    ({ policy, policyReward, prompt, reference, referenceReward }) => html`<article>
<p class="prompt"><span class="about">prompt</span> <bdi>${Format.cut(prompt, LONGEST)}</bdi></p>
<div class="sides">${side("reference", reference, referenceReward)}${side("policy", policy, policyReward)}</div>
</article>`
  )}</div>`

const side = (who: string, text: string, reward: number) =>
  html`<div><p class="about">${who} <span class="score">${Tables.minus(Format.number(reward))}</span></p><p dir="auto">${text.trim() === "" ? html`<span class="faint">(empty)</span>` : Format.cut(text.trim(), LONGEST)}</p></div>`
