/** The pipelines that the command line knows by name. A new method is one more line here. */
import type * as Pipeline from "../dsl/Pipeline.ts"
import dpo from "./direct/dpo.ts"
import simpo from "./direct/simpo.ts"

const at = (path: string) => new URL(path, import.meta.url).href

export const catalog: ReadonlyArray<{ readonly module: string; readonly pipeline: Pipeline.Pipeline }> = [
  { pipeline: dpo, module: at("./direct/dpo.ts") },
  { pipeline: simpo, module: at("./direct/simpo.ts") }
]
