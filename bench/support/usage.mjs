// Loaded into a Node process to be measured (NODE_OPTIONS=--import): tells at its end what it used, children apart.
import { appendFileSync } from "node:fs"
import { isMainThread } from "node:worker_threads"

const file = process.env.PREFLINE_BENCH_USAGE
if (isMainThread && file !== undefined) {
  process.on("exit", () => {
    const { maxRSS, systemCPUTime, userCPUTime } = process.resourceUsage()
    appendFileSync(
      file,
      `${JSON.stringify({ peakBytes: maxRSS * 1024, cpuMs: (userCPUTime + systemCPUTime) / 1000 })}\n`
    )
  })
}
