/** From the gap `z` between two implicit rewards to a loss. */
import * as X from "./algebra/Expression.ts"

export type Link = (gap: X.Expression) => X.Expression

/** `-ln sigma(z)`, by softplus(-z), which neither overflows nor loses small values. `ln 2` at 0. */
export const logistic: Link = (gap) => X.softplus(X.neg(gap))

/** `max(0, 1 - z)`; its gradient is 0 from `z = 1` on. */
export const hinge: Link = (gap) => X.relu(X.sub(1, gap))

/** `(z - target)^2`: the gap is drawn to a target, from both sides. */
export const squared =
  (target: number): Link =>
  (gap) =>
    X.square(X.sub(gap, target))

/** `exp(-z)`: a pair costs the more the further it is wrong, without bound. */
export const exponential: Link = (gap) => X.exp(X.neg(gap))

/**
 * `(1 - epsilon) link(z) + epsilon link(-z)`: trusts each label with probability `1 - epsilon` (label smoothing).
 * **Details** `epsilon` in [0, 1]; at 1/2 the loss no longer knows which answer was chosen.
 */
export const smooth =
  (epsilon: number) =>
  (link: Link): Link =>
    epsilon === 0 ? link : (gap) => X.add(X.mul(link(gap), 1 - epsilon), X.mul(link(X.neg(gap)), epsilon))
