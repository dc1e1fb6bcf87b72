/** The sections of a report that are text and tables. */

import * as Json from "../../dsl/Json.ts"
import * as Format from "../cli/format.ts"
import * as Parameters from "../cli/parameters.ts"
import { type Facts, moduleOf } from "./facts.ts"
import { type Content, type Html, html } from "./html.ts"
import * as Tables from "./tables.ts"

export const header = (facts: Facts): Html => {
  const { pipeline, view } = facts
  const { paper } = pipeline ?? {}
  return html`<header>
<p class="kicker">prefline report · run ${view.run}</p>
<h1>${view.pipeline}</h1>
${pipeline === undefined ? undefined : html`<p class="lead">${pipeline.description}</p>`}
${paper === undefined ? undefined : html`<p class="paper"><cite>${paper.title}</cite>, ${arxiv(paper.arxiv)}</p>`}
${pipeline?.claim === undefined ? undefined : html`<blockquote>${pipeline.claim}</blockquote>`}
${abstract(facts)}
<dl class="facts">${about(facts).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</header>`
}

/** Only what looks like an identifier of arXiv's becomes a link. */
const arxiv = (id: string): Html =>
  /^(?:\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?\/\d{7})(?:v\d+)?$/.test(id)
    ? html`<a href="https://arxiv.org/abs/${id}">arXiv ${id}</a>`
    : html`arXiv ${id}`

const STATUS = {
  succeeded: ["succeeded", "good"],
  failed: ["failed", "bad"],
  interrupted: ["interrupted", "warn"],
  unfinished: ["unfinished", "warn"],
  damaged: ["damaged", "bad"]
} as const

const about = ({ view }: Facts): ReadonlyArray<readonly [string, Content]> => {
  const of = (wanted: string) => view.nodes.filter(({ status }) => status === wanted).length
  const counts = (["computed", "cached", "failed", "skipped", "unfinished"] as const).flatMap((status) =>
    of(status) > 0 ? [`${of(status)} ${status}`] : []
  )
  const [text, tone] = STATUS[view.status]
  return [
    ["status", html`<span class="status ${tone}">${text}</span>`],
    ["begun", `${view.at.slice(0, 16).replace("T", " ")} UTC`],
    ["took", view.ms === undefined ? "" : Format.duration(view.ms)],
    ["nodes", counts.join(", ")],
    ["device", deviceOf(view.numerics)],
    [
      "seed",
      String(view.params["seed"] ?? (view.grid?.["seed"] === undefined ? "swept" : view.grid["seed"].join(", ")))
    ]
  ]
}

const deviceOf = (numerics: Json.Json | null): string => {
  if (typeof numerics !== "object" || numerics === null || !("backend" in numerics)) return "none needed"
  return [String(numerics["backend"]), ...("precision" in numerics ? [String(numerics["precision"])] : [])].join(", ")
}

/** The first evaluation that compares two sides, in a sentence or two. */
const abstract = ({ evaluations }: Facts): Html | undefined => {
  const [first] = evaluations.filter(({ evaluation }) => evaluation.estimates["reward/gain"] !== undefined)
  if (first === undefined || evaluations.some(({ name }) => name.includes("["))) return undefined
  const { estimates } = first.evaluation
  const [before, after, gain] = [estimates["reward/reference"], estimates["reward/policy"], estimates["reward/gain"]!]
  if (before === undefined || after === undefined) return undefined
  const verb = gain.low > 0 ? "rises" : gain.high < 0 ? "falls" : "does not clearly change: it goes"
  const text = (x: number) => Tables.minus(Format.number(x))
  const judge = estimates["judge/gain"]
  const { kl } = estimates
  return html`<p>On ${Format.count(gain.count, "prompt")} the reward ${verb} from ${text(before.mean)} to ${text(after.mean)}, by ${Tables.quantity(gain.mean, [gain.low, gain.high], Format.signed)}${judge === undefined ? undefined : html`; a judge that nothing was trained on sees a change of ${Tables.quantity(judge.mean, [judge.low, judge.high], Format.signed)}`}${kl === undefined ? undefined : html`, at ${Tables.quantity(kl.mean, [kl.low, kl.high])} nats an answer from the reference`}.</p>`
}

/** What went wrong, in words, and what to do. */
export const trouble = ({ view }: Facts): Html | undefined => {
  const failed = view.nodes.filter(({ status }) => status === "failed")
  const skipped = view.nodes.filter(({ status }) => status === "skipped").length
  const done = view.nodes.filter(({ output }) => output !== undefined).length
  const of = `${done} of ${Format.count(view.nodes.length, "node")} had been made`
  const again = "The same command, given again, serves what was made and goes on from there."
  if (view.status === "succeeded") return undefined
  if (view.status === "failed" || failed.length > 0)
    return html`<div class="problem" role="note" aria-labelledby="trouble"><h2 id="trouble">What went wrong</h2>
${failed.slice(0, 20).map(({ error, id, stage }) => html`<p><b>${id}</b> (${stage}) failed: ${error ?? "it did not say why"}</p>`)}
${failed.length > 20 ? html`<p>${failed.length - 20} more nodes failed.</p>` : undefined}
<p>${skipped > 0 ? `${Format.count(skipped, "node")} did not run for want of what failed. ` : ""}${of}. ${again}</p></div>`
  const what =
    view.status === "interrupted"
      ? "The run was interrupted"
      : "The run has no end: it goes on still, or its process was ended from outside"
  return html`<div class="problem" role="note" aria-labelledby="trouble"><h2 id="trouble">Not finished</h2><p>${what}. ${of} by then. ${again}</p></div>`
}

export const remarks = (facts: Facts): Html | undefined =>
  facts.remarks.length === 0
    ? undefined
    : html`<section id="remarks"><h2>What this page lacks</h2><ul>${[...new Set(facts.remarks)].slice(0, 50).map((remark) => html`<li>${remark}</li>`)}</ul></section>`

export const parameters = ({ pipeline, view }: Facts): Html => {
  const known = new Map(pipeline === undefined ? [] : Parameters.describe(pipeline).map((one) => [one.name, one]))
  const rows = Object.entries(view.params).map(([name, value]) => {
    const about = known.get(name)
    const isDefault =
      about?.default !== undefined && Json.canonicalUnsafe(about.default) === Json.canonicalUnsafe(value)
    const shown = valueText(value)
    const fallback = about?.default === undefined ? "" : isDefault ? "is it" : valueText(about.default)
    return [
      html`${name}`,
      isDefault ? html`${shown}` : html`<b>${shown}</b>`,
      html`<span class="faint">${fallback}</span>`,
      html`<span class="faint">${about?.type ?? ""}</span>`
    ]
  })
  const swept = Object.entries(view.grid ?? {}).map(([name, values]) => [
    name,
    html`<b>${values.map(valueText).join(", ")}</b>`,
    html`<span class="faint">swept</span>`,
    ""
  ])
  return html`<section id="parameters"><h2>Parameters</h2>
${
  rows.length + swept.length === 0
    ? html`<p>It has none.</p>`
    : Tables.render({
        title: html`Parameters.`,
        note: known.size === 0 ? "" : "Those that differ from their defaults are bold.",
        label: "Parameters",
        columns: [{ name: "name" }, { name: "value" }, { name: "default" }, { name: "type" }],
        rows: [...swept, ...rows]
      })
}</section>`
}

const valueText = (value: Json.Json): string => (typeof value === "string" ? value : JSON.stringify(value))

export const checks = ({ checks, view }: Facts): Html | undefined => {
  if (checks.length === 0) return undefined
  const measured = checks.filter(({ verdict }) => verdict !== undefined).length
  const isMeasured = checks.some(({ problem, verdict }) => verdict !== undefined || problem !== undefined)
  const name = view.pipeline.split("/")[0]!
  const rows = checks.map(({ check, problem, verdict }) => [
    check.name,
    check.expected,
    verdict === undefined
      ? html`<span class="faint">${problem ?? "not measured here"}</span>`
      : html`${Tables.quantity(verdict.measured.value, verdict.measured.interval)}${verdict.measured.note === undefined ? undefined : html` <span class="faint">(${verdict.measured.note})</span>`}`,
    verdict === undefined ? html`<span class="faint">open</span>` : outcome(verdict.holds, check.knownGap)
  ])
  const what =
    measured === 0
      ? html`<p>What the paper's claim comes to, as checks. None was measured in this store at these parameters; <code>prefline claims ${name}</code> does it.</p>`
      : html`<p>What the paper's claim comes to, as checks; ${measured} of ${checks.length} measured on runs in this store at the same parameters.</p>`
  return html`<section id="checks"><h2>Checks of the claim</h2>
${what}
${Tables.render({
  title: html`Checks.`,
  label: "Checks",
  columns: ["check", "expected", ...(isMeasured ? ["measured", "outcome"] : [])].map((name) => ({ name })),
  rows: isMeasured ? rows : rows.map(([name, expected]) => [name, expected])
})}</section>`
}

const outcome = (holds: boolean, knownGap: string | undefined): Html =>
  holds
    ? html`<span class="good">holds</span>${knownGap === undefined ? undefined : " (stated not to)"}`
    : knownGap === undefined
      ? html`<span class="bad">fails</span>`
      : html`<span class="warn">known gap</span>: ${knownGap}`

/** As many nodes have a row. */
const ROWS = 2500
/** As many nodes show their parameters too. */
const WITH_PARAMETERS = 200

export const idOf = (i: number): string => `node-${i}`

export const nodes = ({ actions, retries, view }: Facts): Html => {
  const shown = view.nodes.slice(0, ROWS)
  const withParameters = shown.length <= WITH_PARAMETERS
  const paramsOf = (id: string) => {
    const parts = actions.get(id)?.parts
    const params =
      typeof parts === "object" && parts !== null && !Array.isArray(parts)
        ? (parts as Json.JsonObject)["params"]
        : undefined
    return typeof params === "object" && params !== null ? settingsText(params as Json.JsonObject) : ""
  }
  const table = Tables.render({
    title: html`Nodes.`,
    note: `In the order of the graph. Keys and digests are cut to their first digits, and are copied whole.`,
    label: "Nodes",
    sortable: true,
    ids: shown.map((_, i) => idOf(i)),
    columns: [
      { name: "node" },
      { name: "stage" },
      { name: "status" },
      { name: "time", number: true },
      { name: "output" },
      { name: "key" },
      { name: "digest" }
    ],
    rows: shown.map(({ error, id, key, ms, output, stage, status }) => {
      const params = withParameters ? paramsOf(id) : ""
      const tried = retries.get(id)?.length ?? 0
      return [
        html`${id}${params === "" ? undefined : html`<span class="params">${params}</span>`}`,
        stage,
        html`<span class="${TONE[status]}">${status}</span>${tried === 0 ? undefined : html`<span class="params">after ${Format.count(tried, "retry").replace(/rys$/, "ries")}</span>`}${error === undefined ? undefined : html`<span class="params">${Format.oneLine(error, 160)}</span>`}`,
        ms === undefined ? "" : html`<data value="${ms}">${Format.duration(ms)}</data>`,
        output?.artifact ?? "",
        key === undefined ? "" : Tables.digest(key),
        output === undefined ? "" : Tables.digest(output.digest)
      ]
    })
  })
  const left = view.nodes.length - shown.length
  return html`<section id="nodes"><h2>Nodes</h2>
${shown.length > 120 ? html`<details><summary>${Format.count(shown.length, "node")}</summary>${table}</details>` : table}
${left > 0 ? html`<p class="note faint">${left} more are not listed.</p>` : undefined}</section>`
}

/** As `Format.settings`, with components as calls: `objective=dpo(beta=0.1)`. */
const settingsText = (params: Json.JsonObject, separator = " "): string =>
  Object.entries(params)
    .map(([name, value]) => `${name}=${componentText(value)}`)
    .join(separator)

const componentText = (value: Json.Json): string => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return valueText(value)
  const { name, params, ...rest } = value as Json.JsonObject
  const isComponent =
    typeof name === "string" && typeof params === "object" && params !== null && !Array.isArray(params)
  if (!isComponent || Object.keys(rest).length > 0) return valueText(value)
  const inner = settingsText(params as Json.JsonObject, ", ")
  return inner === "" ? name : `${name}(${inner})`
}

const TONE = { computed: "", cached: "faint", failed: "bad", skipped: "warn", unfinished: "warn" } as const

export const provenance = ({ actions, view }: Facts): Html => {
  const [modules, packages] = [partsOf(actions, "modules"), partsOf(actions, "packages")]
  const { effect, node, prefline } = view.versions
  const numerics = view.numerics === null ? "no device" : JSON.stringify(view.numerics)
  const outputs = Object.entries(view.outputs).slice(0, 60)
  const digestOf = new Map(view.nodes.map(({ id, output }) => [id, output]))
  const pairs = (entries: ReadonlyArray<readonly [Content, Content]>) =>
    html`<dl class="pairs">${entries.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`
  const known = <A>(map: ReadonlyMap<string, A>) => [...map].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return html`<section id="provenance"><h2>Provenance</h2>
<p>Everything that a result depends on enters the key of its node: code, parameters, the content of its inputs, its random stream and the device's numerics. The same key names the same result in every store.</p>
${pairs([
  ["run", html`<code>${view.run}</code>`],
  ["module", html`<code>${moduleOf(view)}</code>`],
  ["versions", `prefline ${prefline}, Node ${node.replace(/^v/, "")}, Effect ${effect}`],
  ["numerics", html`<code>${numerics}</code>`]
])}
<h3>Outputs</h3>
${pairs(outputs.map(([name, id]) => [name, digestOf.get(id) === undefined ? html`<span class="faint">was not made</span>` : html`${digestOf.get(id)!.artifact} <code>${digestOf.get(id)!.digest}</code>`]))}
${Object.keys(view.outputs).length > outputs.length ? html`<p class="note faint">${Object.keys(view.outputs).length - outputs.length} more outputs are in the table of nodes.</p>` : undefined}
${
  packages.size === 0
    ? undefined
    : html`<details><summary>${Format.count(packages.size, "package")} that the code imports, directly or not</summary><p class="note">${known(
        packages
      )
        .map(([name, version]) => `${name} ${version}`)
        .join(", ")}</p></details>`
}
${modules.size === 0 ? undefined : html`<details><summary>Code: ${Format.count(modules.size, "module")} by hash</summary><div class="columns">${pairs(known(modules).map(([path, hash]) => [html`<code>${path}</code>`, html`<code>${hash}</code>`]))}</div></details>`}
</section>`
}

/** The code's modules, or packages, of all nodes together. */
const partsOf = (actions: Facts["actions"], which: "modules" | "packages"): ReadonlyMap<string, string> => {
  const all = new Map<string, string>()
  for (const { parts } of actions.values()) {
    const code = member(parts, "code")
    for (const [name, value] of Object.entries(member(code, which) ?? {}))
      if (typeof value === "string") all.set(name, value)
  }
  return all
}

const member = (json: unknown, name: string): object | undefined => {
  if (typeof json !== "object" || json === null || !Object.hasOwn(json, name)) return undefined
  const value = (json as Readonly<Record<string, unknown>>)[name]
  return typeof value === "object" && value !== null ? value : undefined
}
