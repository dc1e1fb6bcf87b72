import { Arbitrary, Schema } from "effect"
import * as Law from "../../../dsl/Law.ts"
import { Positive, withDefault } from "../../../dsl/Params.ts"
import * as Rng from "../../../dsl/Rng.ts"
import type { Matrix } from "../../../runtime/exact/bandit.ts"
import { logSoftmax, logSumExp, type Numbers } from "../../../runtime/exact/numbers.ts"
import { normalVector, uniformPreferences } from "../../../runtime/exact/random.ts"
import { plainContext } from "../drafts.ts"
import { payoffsOf } from "../payoffs.ts"
import { Solutions } from "../Solutions.ts"

/** `ln sum_y reference(y) exp(P(y > draft) / beta)`: what the best improver makes of a draft, in units of `beta`. */
export const logImprovement = (preferences: Matrix, logReference: Numbers, draft: number, beta: number): number =>
  logSumExp(Float64Array.from(logReference, (l, y) => l + preferences[y]![draft]! / beta))

/** The generator that leaves least to improve, or the improver of a draft. */
const solved = (preferences: Matrix, logReference: Numbers, draft: number | undefined, beta: number): Float64Array =>
  logSoftmax(
    Float64Array.from(logReference, (l, y) =>
      draft === undefined ? l - logImprovement(preferences, logReference, y, beta) : l + preferences[y]![draft]! / beta
    )
  )

const Game = Arbitrary.all([
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))),
  Arbitrary.schema(Law.Real(0.1, 3))
]).pipe(
  Arbitrary.map(([seed, beta]) => {
    const rng = Rng.make(seed, "game")
    return {
      preferences: uniformPreferences(4, rng.fork("preferences")),
      reference: logSoftmax(normalVector(4, rng.fork("reference"))),
      beta
    }
  })
)
const RESPONSES = [0, 1, 2, 3]
const near = (a: number, b: number) => Math.abs(a - b) < 1e-9

const laws: ReadonlyArray<Law.Law> = [
  Law.make("is the reference where all answers are alike", Game, ({ beta, preferences, reference }) => {
    const even = preferences.map((row) => row.map(() => 0.5))
    return [undefined, 0].every((draft) => solved(even, reference, draft, beta).every((l, y) => near(l, reference[y]!)))
  }),
  Law.make("the improver's log-ratios tell preferences", Game, ({ beta, preferences, reference }) =>
    RESPONSES.every((draft) => {
      const improved = solved(preferences, reference, draft, beta)
      const ratio = (y: number) => improved[y]! - reference[y]!
      return RESPONSES.every((y) => near(preferences[y]![draft]! - 0.5, beta * (ratio(y) - ratio(draft))))
    })
  ),
  Law.make("generator and improver are tied by the answers kept", Game, ({ beta, preferences, reference }) => {
    const generated = solved(preferences, reference, undefined, beta)
    const kept = (y: number) => solved(preferences, reference, y, beta)[y]! - reference[y]!
    return RESPONSES.every((y) =>
      near(generated[y]! - reference[y]! - (generated[0]! - reference[0]!), kept(y) - kept(0))
    )
  })
]

/**
 * The solution of the game between a generator and the improver of its drafts, for the contexts of `exact.drafting`:
 * `improver(y | draft) = reference(y) exp(P(y > draft) / beta) / Z(draft)`, `generator(y)` proportional to
 * `reference(y) / Z(y)`. `contexts` is the number of contexts without a draft.
 * **Source** Choi et al. 2024, arXiv 2406.01660, eqs. 5 and 8.
 */
export const improvedDraft = Solutions.define("improved-draft", {
  module: import.meta.url,
  description: "The generator and the improver that solve the game of drafts",
  params: {
    beta: Positive.pipe(withDefault(0.5)),
    contexts: Schema.Int.check(Schema.isGreaterThan(0)).pipe(withDefault(1))
  },
  make:
    ({ beta, contexts }) =>
    (world, context, logReference) => {
      const { draft } = plainContext(contexts, logReference.length, context)
      return solved(payoffsOf(world, context, "win-rate"), logReference, draft, beta)
    },
  laws
})
