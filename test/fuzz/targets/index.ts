import type { Target } from "../Target.ts"
import { archives } from "./archives.ts"
import { artifacts } from "./artifacts.ts"
import { checkpoint, tokenizer } from "./checkpoint.ts"
import { commandLine } from "./commandLine.ts"
import { endpoints } from "./endpoints.ts"
import { chatTemplate, parquet, trl } from "./interchange.ts"
import { json } from "./json.ts"
import { jsonLines, llama2c } from "./loaders.ts"
import { safetensors } from "./safetensors.ts"
import { entries, journals, store } from "./store.ts"

export const targets: ReadonlyArray<Target> = [
  safetensors,
  json,
  artifacts,
  checkpoint,
  tokenizer,
  jsonLines,
  llama2c,
  trl,
  parquet,
  chatTemplate,
  entries,
  journals,
  store,
  archives,
  endpoints,
  commandLine
]
