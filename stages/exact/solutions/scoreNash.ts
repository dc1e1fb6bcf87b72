import { Arbitrary, Schema } from "effect"
import * as Law from "../../../dsl/Law.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { nashOfScores, scoreExploitability } from "../../../runtime/exact/games.ts"
import { skewScores } from "../../../runtime/exact/random.ts"
import { payoffsOf } from "../payoffs.ts"
import { Solutions } from "../Solutions.ts"

const Scores = Arbitrary.all([
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))),
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 })))
]).pipe(Arbitrary.map(([seed, responses]) => skewScores(responses, Rng.make(seed, "scores"))))

const laws: ReadonlyArray<Law.Law> = [
  Law.make(
    "no answer scores against it",
    Scores,
    (scores) => scoreExploitability(scores, nashOfScores(scores)) <= 1e-9
  ),
  Law.make("does not depend on the unit of the scores", Scores, (scores) => {
    const [once, thrice] = [scores, scores.map((row) => row.map((s) => 3 * s))].map(nashOfScores)
    return once!.every((p, y) => Math.abs(p - thrice![y]!) < 1e-9)
  })
]

/** The Nash policy of the game whose payoff is the log-odds to be preferred: another one than that of win rates, as a rule. */
export const scoreNash = Solutions.define("score-nash", {
  module: import.meta.url,
  description: "The Nash policy of the game of log-odds",
  params: {},
  make: () => (world, context) =>
    nashOfScores(payoffsOf(world, context, "log-odds")).map((p) => (p > 0 ? Math.log(p) : -700)),
  laws
})
