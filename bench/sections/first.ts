/** The main job, `prefline run dpo`, in a fresh process with an empty store: its first result, its end, its memory. */
import * as Path from "node:path"
import { Effect } from "effect"
import * as Process from "../support/process.ts"
import type { Report, Settings } from "../support/Report.ts"
import { mebibytes, number } from "../support/table.ts"

/** `quick` stops at the first result. */
export const first = Effect.fnUntraced(function* ({ quick, say }: Settings) {
  say("the main job")
  const store = Path.join(yield* Process.temporary, "store")
  const moments = new Map<string, number>()
  const finished: Array<{ readonly node: string; readonly ms: number }> = []
  const ended = yield* Process.prefline(["run", "dpo", "--store", store], {
    onLine: (line, ms) => {
      if (!moments.has("first line")) moments.set("first line", ms)
      const node = /^✓ (\S+)/.exec(line)?.[1]
      if (node === undefined) return undefined
      finished.push({ node, ms })
      return quick ? "stop" : undefined
    }
  })
  const [begin] = finished
  const rows: Array<ReadonlyArray<string>> = [
    ["", "", "s"],
    ["first line on the screen", "", number(moments.get("first line")! / 1000)],
    ["first node finished", begin?.node ?? "none", number((begin?.ms ?? Number.NaN) / 1000)]
  ]
  if (!quick)
    rows.push(
      ["whole run, wall", `${finished.length} nodes`, number(ended.wall / 1000)],
      ["whole run, CPU", "", number(ended.cpuMs / 1000)],
      ["peak memory", mebibytes(ended.peakBytes), ""]
    )
  return {
    title: "The main job: `prefline run dpo`, fresh process, empty store",
    rows,
    notes: [],
    failures: begin === undefined ? ["no node finished"] : [],
    json: {
      firstLine: moments.get("first line"),
      finished,
      ...(quick ? {} : { wall: ended.wall, cpuMs: ended.cpuMs, peakBytes: ended.peakBytes })
    }
  } satisfies Report
}, Effect.scoped)
