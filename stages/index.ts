/**
 * The vocabulary of experiments. For pipelines only: a stage or component that imported this would have all of it in its
 * code hash.
 */
export { evaluate } from "./evaluate/evaluate.ts"
export { preferenceAccuracy } from "./evaluate/preferenceAccuracy.ts"
export { distinct, filter, lengthBounds, minCompletions, nonEmpty, scoreBounds, spread } from "./filter/index.ts"
export * as load from "./load/index.ts"
export { Objective, type PairObjective } from "./optimize/Objective.ts"
export { dpo } from "./optimize/objectives/dpo.ts"
export { hinge } from "./optimize/objectives/hinge.ts"
export { ipo } from "./optimize/objectives/ipo.ts"
export { labelSmoothingField } from "./optimize/objectives/labelSmoothing.ts"
export { simpo } from "./optimize/objectives/simpo.ts"
export { optimize } from "./optimize/optimize.ts"
export { adjacent, allAbove, bestWorst, pair } from "./pair/index.ts"
export { rank } from "./rank/rank.ts"
export { sample } from "./sample/sample.ts"
export { afinn, length, logProbs, repetition, score, vader } from "./score/index.ts"
export * as Reward from "./score/Reward.ts"
