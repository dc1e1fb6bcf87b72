/** What a worker process starts with: as little as it takes to have compiled code at hand for everything else. */
import { enableCompileCache } from "node:module"
import type { Setting } from "./protocol.ts"

const { compiled } = JSON.parse(process.argv[2]!) as Setting
if (compiled !== undefined) enableCompileCache(compiled)
await import("./serve.ts")
