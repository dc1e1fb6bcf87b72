/** The score stage and its rewards. For pipelines: stages import one another's modules directly. */
export { afinn } from "./afinn.ts"
export { length } from "./length.ts"
export { logProbs } from "./logProbs.ts"
export { repetition } from "./repetition.ts"
export { score } from "./score.ts"
export { vader } from "./vader.ts"
