import { Schema } from "effect"
import { Count, Positive, withDefault } from "../../../dsl/Params.ts"
import * as X from "../algebra/Expression.ts"
import { logistic } from "../links.ts"
import { defineReferenceFree } from "../Objective.ts"
import { perRole } from "../statistics.ts"

/**
 * General Preference Modeling: answers are vectors, and one beats another by a skew-symmetric form of the two, which can
 * express cycles.
 * **Details** The head has `2 blocks` outputs `v`, divided by their length unless `normalized: false`.
 * `s(a, b) = sum_k v_2k(a) v_2k+1(b) - v_2k+1(a) v_2k(b)`, `P(a beats b) = sigma(s / tau)`,
 * `loss = -ln sigma((s(chosen, rejected) - margin) / tau)`. No answer has a reward of its own: here it is half of `s / tau`
 * against the pair's other answer (against the chosen one, for further answers), so the gap of both is the log-odds.
 * **Gotchas** A head of zeros has no gradient: start it with a deviation. The gate by the prompt's hidden state is left out.
 * **Source** Zhang et al. 2024, arXiv 2410.02197; `tau` of general-preference/general-preference-model.
 */
export const gpm = defineReferenceFree("gpm", {
  module: import.meta.url,
  description: "General Preference Modeling: a reward model of preference embeddings",
  params: {
    blocks: Count.pipe(withDefault(1)),
    tau: Positive.pipe(withDefault(0.1)),
    normalized: Schema.Boolean.pipe(withDefault(true)),
    margin: Schema.Finite.pipe(withDefault(0))
  },
  make: ({ blocks, margin, normalized, tau }) => {
    const outputs = perVector((role) => Array.from({ length: 2 * blocks }, (_, i) => X.head(role, i)))
    const embedding = normalized ? perVector((role) => unit(outputs(role))) : outputs
    const score = (a: X.Role, b: X.Role) => {
      const [v, w] = [embedding(a), embedding(b)]
      const block = (i: number) => X.sub(X.mul(v[i]!, w[i + 1]!), X.mul(v[i + 1]!, w[i]!))
      return X.sum(Array.from({ length: blocks }, (_, k) => block(2 * k)))
    }
    const against = (role: X.Role) => (role === "chosen" ? "rejected" : "chosen")
    return {
      reward: perRole((role) => X.div(score(role, against(role)), 2 * tau)),
      loss: logistic(X.div(X.sub(score("chosen", "rejected"), margin), tau))
    }
  }
})

type Vector = ReadonlyArray<X.Expression>

const perVector = (make: (role: X.Role) => Vector): ((role: X.Role) => Vector) => {
  const made = new Map<X.Role, Vector>()
  return (role) => {
    const known = made.get(role) ?? make(role)
    made.set(role, known)
    return known
  }
}

/** A vector of no length stays so: its length counts as 1e-6 at least. */
const unit = (vector: Vector): Vector => {
  const norm = X.sqrt(X.maximum(X.sum(vector.map(X.square)), 1e-12))
  return vector.map((x) => X.div(x, norm))
}
