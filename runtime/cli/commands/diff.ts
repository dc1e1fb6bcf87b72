import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import type { Estimate } from "../../../dsl/artifacts.ts"
import { type Comparison, compare, type MetricChange } from "../../compare/index.ts"
import * as Key from "../../store/Key.ts"
import { existingStoreAt } from "../environment.ts"
import * as Evaluations from "../evaluation.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { Output, print, printJson, type Style } from "../Output.ts"
import * as RunView from "../RunView.ts"

const side = (name: string, which: string) =>
  Argument.String(name).pipe(
    Argument.withDescription(
      `${which}: a run's id, a pipeline's name for its newest run, or name~1 for the one before that`
    )
  )

export const diff = Command.make(
  "diff",
  {
    a: side("a", "The run to start from"),
    b: side("b", "The run to compare with it"),
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.diff")(
    function* ({ a, b, json }) {
      const [first, second] = [yield* RunView.findId(Option.some(a)), yield* RunView.findId(Option.some(b))]
      const comparison = yield* compare(first, second)
      if (json) return yield* printJson(comparison)
      yield* print(render(comparison, (yield* Output).stdout.style))
    },
    (effect, { store }) => Effect.provide(effect, existingStoreAt(store))
  )
).pipe(
  Command.withDescription("What two runs differ in: parameters, code, inputs, metrics, and the stages where they part"),
  Command.withExamples([
    { command: "npm run prefline -- diff dpo~1 dpo", description: "What changed since the run before" },
    { command: "npm run prefline -- diff dpo simpo", description: "The newest runs of two pipelines" }
  ])
)

const render = (comparison: Comparison, style: Style): string => {
  const { a, b, code, metrics, numerics, parting, params, sources, unreadable, versions } = comparison
  const sides = [a, b].map(({ at, pipeline, run, status }, i) => [
    "ab"[i]!,
    run,
    style.bold(pipeline),
    status,
    `${at.slice(0, 16).replace("T", " ")} UTC`
  ])
  const values = [...params, ...numerics, ...versions, ...sources].map(({ at, a, b }) => [at, value(a), "->", value(b)])
  const modules = code.map(({ a, b, kind, name, stages }) => [
    kind === "package" ? `package ${name}` : name,
    a === null ? "only in b" : b === null ? "only in a" : kind === "package" ? `${a} -> ${b}` : "changed",
    style.dim(stages.join(", "))
  ])
  const byId = new Map(comparison.nodes.map((node) => [node.a, node]))
  const parts = parting.flatMap((id) => {
    const { b, changes, stage, status } = byId.get(id)!
    const why = changes === null ? ["the store has no entry of its key any more"] : changes.map(Key.describeChange)
    const name = id === b ? id : `${id} / ${b}`
    return [[style.bold(name), stage, status, why[0] ?? ""], ...why.slice(1).map((line) => ["", "", "", line])]
  })
  const apart = [
    ...comparison.onlyA.map(({ id, stage }) => [id, stage, "only in a"]),
    ...comparison.onlyB.map(({ id, stage }) => [id, stage, "only in b"])
  ]
  const sections: ReadonlyArray<readonly [title: string, rows: ReadonlyArray<ReadonlyArray<string>>]> = [
    ["parameters and surroundings", values],
    ["code", modules],
    ["where they part", parts],
    ["nodes of one only", apart],
    ["metrics  change [95 % interval], b less a", metricRows(metrics, style)],
    ["not read", unreadable.map(({ node, problem }) => [node, problem])]
  ]
  const shown = sections.filter(([, rows]) => rows.length > 0)
  return [
    Format.table(sides),
    ...shown.map(([title, rows]) => `\n${style.bold(title)}\n${Format.table(rows)}`),
    `\n${ending(comparison)}`
  ].join("\n")
}

/** What became of the nodes; what no number says. */
const ending = ({ metrics, nodes }: Comparison): string => {
  const count = (wanted: string) => nodes.filter(({ status }) => status === wanted).length
  const kinds = ["same", "same content", "other content", "not reproduced", "unfinished"]
  const counts = kinds.flatMap((kind) => (count(kind) === 0 ? [] : [`${count(kind)} ${kind}`]))
  const has = (wanted: MetricChange["method"]) => metrics.some(({ method }) => method === wanted)
  const notes = [
    ...(has("paired") ? ["Changes are paired by prompt."] : []),
    ...(has("unpaired")
      ? ["Where evaluations keep no values by prompt, intervals are those of independent samples."]
      : [])
  ]
  return [`${Format.count(nodes.length, "node")} in both: ${counts.join(", ") || "none"}`, ...notes].join("\n")
}

const metricRows = (metrics: ReadonlyArray<MetricChange>, style: Style) =>
  metrics
    .filter(({ method }) => method !== "identical")
    .map(({ a, b, change, metric, node }) => [
      node,
      metric,
      estimate(a),
      estimate(b),
      change === null ? "" : estimate(change, Format.signed),
      change === null
        ? ""
        : change.low === change.high
          ? style.dim(change.mean === 0 ? "equal" : "no interval")
          : Evaluations.verdict(metric, change, style)
    ])

const estimate = (of: Pick<Estimate, "mean" | "low" | "high"> | null, text = Format.number): string =>
  of === null
    ? "not there"
    : of.low === of.high
      ? text(of.mean)
      : `${text(of.mean)} [${text(of.low)}, ${text(of.high)}]`

const value = (json: unknown) => Format.oneLine(Format.visible(JSON.stringify(json)), 60)
