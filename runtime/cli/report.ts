/** The end of a run: what came out of it, for people and for programs. */
import { Effect } from "effect"
import type { RunResult } from "../executor/Executor.ts"
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
  for (const [name, ref] of Object.entries(result.outputs)) {
    if (ref === undefined) others.push([name, style.red("was not made")])
    else if (ref.artifact !== "evaluation") {
      const size = ref.files.reduce((total, file) => total + file.bytes, 0)
      others.push([name, ref.artifact, Format.bytes(size), style.dim(Format.short(ref.digest))])
    } else {
      const preview = yield* Preview.read(ref)
      yield* line(sink, `\n${style.bold(name)}  mean [95 % interval]\n`)
      yield* line(sink, Preview.render(preview, style, sink.columns()))
    }
  }
  if (others.length > 0) yield* line(sink, `\n${style.bold("outputs")}\n${Format.table(others)}`)
})

/** `run <id>: 3 computed, 9 cached, 12.1 s; …` */
export const lastLine = ({ nodes, run }: RunResult, ms: number): string => {
  const counts = (["computed", "cached", "failed", "skipped"] as const).flatMap((status) => {
    const count = nodes.filter((node) => node.status === status).length
    return count > 0 || status === "computed" || status === "cached" ? [`${count} ${status}`] : []
  })
  return `run ${run}: ${counts.join(", ")}, ${Format.duration(ms)}; \`npm run prefline -- show ${run}\``
}
