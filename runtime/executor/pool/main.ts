/** What a worker process starts with: as little as it takes to have compiled code at hand for everything else. */
import { enableCompileCache } from "node:module"
import type { Setting } from "./protocol.ts"

// The process that started this one decides what a signal means, and ends it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined)

const { compiled } = JSON.parse(process.argv[2]!) as Setting
if (compiled !== undefined) enableCompileCache(compiled)
await import("./serve.ts")
