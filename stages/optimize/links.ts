/** From the gap `z` between two implicit rewards to a loss. */
import * as X from "./algebra/Expression.ts"

export type Link = (gap: X.Expression) => X.Expression

/** `-ln sigma(z)`, by softplus(-z), which neither overflows nor loses small values. `ln 2` at 0. */
export const logistic: Link = (gap) => X.softplus(X.neg(gap))

/** `max(0, 1 - z)`; its gradient is 0 from `z = 1` on. */
export const hinge: Link = (gap) => X.relu(X.sub(1, gap))

/** `(z - target)^2`: the gap is drawn to a target, from both sides. */
export const squared =
  (target: X.Operand): Link =>
  (gap) =>
    X.square(X.sub(gap, target))

/** `exp(-z)`: a pair costs the more the further it is wrong, without bound. */
export const exponential: Link = (gap) => X.exp(X.neg(gap))

/**
 * `(1 - epsilon) link(z) + epsilon link(-z)`: trusts each label with probability `1 - epsilon` (label smoothing).
 * **Details** `epsilon` in [0, 1], the same for all pairs or of each; at 1/2 the loss no longer knows which answer was
 * chosen.
 */
export const smooth =
  (epsilon: X.Operand) =>
  (link: Link): Link =>
    epsilon === 0 ? link : (gap) => X.add(X.mul(link(gap), X.sub(1, epsilon)), X.mul(link(X.neg(gap)), epsilon))

/** `loss + weight term`; at weight 0 the loss as it is, and nothing of the term is read. */
export const plus = (loss: X.Expression, weight: number, term: X.Expression): X.Expression =>
  weight === 0 ? loss : X.add(loss, X.mul(term, weight))

/**
 * `((1 - epsilon) link(z) - epsilon link(-z)) / (1 - 2 epsilon)`: over labels that are flipped with probability `epsilon`
 * its mean is that of `link(z)` over the true ones.
 * **Details** `epsilon` in [0, 1/2). Not bounded below, even where the link is.
 * **Source** Ray Chowdhury et al. 2024, arXiv 2403.00409.
 */
export const robust =
  (epsilon: number) =>
  (link: Link): Link =>
    epsilon === 0
      ? link
      : (gap) => {
          const trusted = X.mul(link(gap), (1 - epsilon) / (1 - 2 * epsilon))
          return X.sub(trusted, X.mul(link(X.neg(gap)), epsilon / (1 - 2 * epsilon)))
        }

/** `weight link(z)`, where no gradient flows through the weight. */
export const weighted =
  (weight: X.Expression) =>
  (link: Link): Link =>
  (gap) =>
    X.mul(X.stopGradient(weight), link(gap))
