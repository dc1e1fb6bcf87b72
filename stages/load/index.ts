/** Where data enters a pipeline. For pipelines: stages import one another's modules directly. */
export { brown } from "./brown.ts"
export { mix } from "./mix.ts"
export { pairs } from "./pairs.ts"
export { prefixes } from "./prefixes.ts"
export { prompts } from "./prompts.ts"
export { sentences } from "./sentences.ts"
export { texts } from "./texts.ts"
