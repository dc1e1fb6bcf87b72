/** Ends a process whose case does not end, and names the case: a thread of its own, for the main one is busy. */
import { Worker } from "node:worker_threads"

/** So long may a case take, in milliseconds; the campaign itself tells of those that take more than it allows and end. */
const PATIENCE = 30_000

const watch = `
const { parentPort, workerData } = require("node:worker_threads")
const { patience, pid } = workerData
let last = Date.now(), text = "nothing yet"
parentPort.on("message", (message) => { last = Date.now(); text = message })
setInterval(() => {
  if (Date.now() - last < patience) return
  require("node:fs").writeSync(2, "a case does not end; again: " + text + "\\n")
  process.kill(pid, "SIGKILL")
}, 500)
`

export const start = (again: (target: string, index: number) => string) => {
  const worker = new Worker(watch, { eval: true, workerData: { patience: PATIENCE, pid: process.pid } })
  return {
    begins: (target: string, index: number) => worker.postMessage(again(target, index)),
    stop: () => worker.terminate()
  }
}
