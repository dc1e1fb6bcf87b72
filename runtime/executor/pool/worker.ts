/** What a worker thread starts with: as little as it takes to have compiled code at hand for everything else. */
import { enableCompileCache } from "node:module"
import { workerData } from "node:worker_threads"
import type { Setting } from "./protocol.ts"

const { compiled } = workerData as Setting
if (compiled !== undefined) enableCompileCache(compiled)
await import("./serve.ts")
