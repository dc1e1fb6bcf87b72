/** Two runs against each other, and why a node of a run was computed or served: as data. */

export type { CodeChange } from "./code.ts"
export { type Comparison, compare, type NodeComparison, type Side } from "./compare.ts"
export type { Comparable, MetricChange } from "./metrics.ts"
export { type Cause, NodeNotFinished, type Why, why } from "./why.ts"
