/** The end of a run: what came out of it, for people and for programs. */
import { Effect } from "effect"
import type { RunResult } from "../executor/Executor.ts"
import * as Sweeps from "../report/sweeps.ts"
import * as Format from "./format.ts"
import type { Sink } from "./Output.ts"
import { line } from "./Output.ts"
import * as Preview from "./preview.ts"

/** The result as `--json` prints it. */
export const toJson = ({ nodes, outputs, pipeline, run, status }: RunResult) => ({
  run,
  pipeline,
  status,
  nodes: nodes.map(({ id, key, ms, output, stage, status }) => ({
    id,
    stage,
    key: key ?? null,
    status,
    ms,
    digest: output?.digest ?? null
  })),
  outputs: Object.fromEntries(Object.entries(outputs).map(([name, output]) => [name, output?.digest ?? null]))
})

/** Every output: evaluations as tables, all others as a line. */
export const outputs = Effect.fn("report.outputs")(function* (result: RunResult, sink: Sink) {
  const { style } = sink
  const others: Array<ReadonlyArray<string>> = []
  const evaluated: Array<Sweeps.Evaluated> = []
  for (const [name, ref] of Object.entries(result.outputs)) {
    if (ref === undefined) others.push([name, style.red("was not made")])
    else if (ref.artifact !== "evaluation") {
      const size = ref.files.reduce((total, file) => total + file.bytes, 0)
      others.push([name, ref.artifact, Format.bytes(size), style.dim(Format.short(ref.digest))])
    } else if (Sweeps.isSwept(name)) {
      const { evaluation } = (yield* Preview.read(ref)) as Extract<Preview.Preview, { kind: "evaluation" }>
      evaluated.push({ name, node: name, evaluation })
    } else {
      const preview = yield* Preview.read(ref)
      yield* line(sink, `\n${style.bold(name)}  mean [95 % interval]\n`)
      yield* line(sink, Preview.render(preview, style, sink.columns()))
    }
  }
  for (const sweep of Sweeps.gather(evaluated)) yield* line(sink, `\n${sweepTable(sweep, sink)}`)
  if (others.length > 0) yield* line(sink, `\n${style.bold("outputs")}\n${Format.table(others)}`)
})

/** Columns beside the swept parameters, as far as the line reaches. */
const sweepTable = ({ metrics, output, rows, seeds, swept }: Sweeps.Sweep, { columns, style }: Sink): string => {
  const cell = (result: Sweeps.Result | undefined) =>
    result === undefined
      ? ""
      : result.interval === undefined
        ? Format.number(result.mean)
        : `${Format.number(result.mean)} [${result.interval.map(Format.number).join(", ")}]`
  const table = (shown: ReadonlyArray<string>) =>
    Format.table([
      [...swept, ...shown],
      ...rows.map(({ results, setting }) => [
        ...swept.map((name) => setting[name] ?? ""),
        ...shown.map((metric) => cell(results[metric]))
      ])
    ])
  const widthOf = (shown: ReadonlyArray<string>) =>
    Math.max(
      ...table(shown)
        .split("\n")
        .map(({ length }) => length)
    )
  const tables: Array<Array<string>> = [[]]
  for (const metric of metrics) {
    const last = tables.at(-1)!
    if (last.length > 0 && widthOf([...last, metric]) > columns()) tables.push([metric])
    else last.push(metric)
  }
  const over = seeds > 1 ? `mean over ${Format.count(seeds, "seed")} [95 % interval]` : "mean [95 % interval]"
  return [`${style.bold(output)}  ${over}`, ...tables.map(table)].join("\n\n")
}

/** `run <id>: 3 computed, 9 cached, 12.1 s; …` */
export const lastLine = ({ nodes, run }: RunResult, ms: number): string => {
  const counts = (["computed", "cached", "failed", "skipped"] as const).flatMap((status) => {
    const count = nodes.filter((node) => node.status === status).length
    return count > 0 || status === "computed" || status === "cached" ? [`${count} ${status}`] : []
  })
  return `run ${run}: ${counts.join(", ")}, ${Format.duration(ms)}; \`npm run prefline -- show ${run}\``
}
