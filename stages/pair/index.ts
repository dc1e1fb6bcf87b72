/** The pair stage and its rules. For pipelines: stages import one another's modules directly. */
export { adjacent } from "./adjacent.ts"
export { allAbove } from "./allAbove.ts"
export { bestWorst } from "./bestWorst.ts"
export { pair } from "./pair.ts"
