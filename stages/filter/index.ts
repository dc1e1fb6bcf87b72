/** The filter stage and its rules. For pipelines: stages import one another's modules directly. */
export { distinct } from "./distinct.ts"
export { filter } from "./filter.ts"
export { lengthBounds } from "./lengthBounds.ts"
export { minCompletions } from "./minCompletions.ts"
export { nonEmpty } from "./nonEmpty.ts"
export { scoreBounds } from "./scoreBounds.ts"
export { spread } from "./spread.ts"
export { statisticalRejection } from "./statisticalRejection.ts"
