import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Evaluation, EvaluationReport, type PairLogProbs, PairLogProbsSet } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { estimate } from "./estimates.ts"
import { NothingToEvaluate } from "./evaluate.ts"

/** Log-probabilities of other pairs, or of other tokens of theirs, than those that they are to be compared with. */
export class AnnotationsDiffer extends Schema.TaggedError<AnnotationsDiffer>()("AnnotationsDiffer", {
  pair: Schema.String
}) {
  override get message() {
    return `pair ${JSON.stringify(this.pair)}: the log-probabilities before and after are not of the same answers`
  }
}

const sum = (values: ReadonlyArray<number>): number => values.reduce((total, x) => total + x, 0)

const report = (after: ReadonlyArray<PairLogProbs>, before: ReadonlyArray<PairLogProbs>): Evaluation => {
  const sides = (["chosen", "rejected"] as const).flatMap((role) => {
    const [now, then] = [after, before].map((records) => records.map((record) => sum(record[role])))
    return [
      [`logps/${role}/before`, estimate(then!)],
      [`logps/${role}/after`, estimate(now!)],
      [`logps/${role}/change`, estimate(now!.map((x, i) => x - then![i]!))]
    ] as const
  })
  return { estimates: Object.fromEntries(sides), examples: [] }
}

const Row = Arbitrary.array(Arbitrary.schema(Law.Real(-9, 0)), { minLength: 1, maxLength: 4 })
const Annotated = Arbitrary.array(Arbitrary.all([Row, Row]), { minLength: 1, maxLength: 4 }).pipe(
  Arbitrary.map((rows) => rows.map(([chosen, rejected], i): PairLogProbs => ({ pair: `p${i}`, chosen, rejected })))
)
const change = (after: ReadonlyArray<PairLogProbs>, before: ReadonlyArray<PairLogProbs>) =>
  (["chosen", "rejected"] as const).map((role) => report(after, before).estimates[`logps/${role}/change`]!.mean)
const higher = (by: number) => (record: PairLogProbs) => ({ ...record, chosen: record.chosen.map((x) => x + by) })
const swapped = ({ chosen, rejected, ...record }: PairLogProbs) => ({ ...record, chosen: rejected, rejected: chosen })
const near = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => a.every((x, i) => Math.abs(x - b[i]!) < 1e-9)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("a policy compared with itself has not moved", Annotated, (records) =>
    change(records, records).every((x) => x === 0)
  ),
  Law.make("every token of the chosen answers counts, and of those alone", Annotated, (records) => {
    const tokens = sum(records.map(({ chosen }) => chosen.length)) / records.length
    return near(change(records.map(higher(-2)), records), [-2 * tokens, 0])
  }),
  Law.make("there and back cancel", Annotated, (records) => {
    const moved = records.map(higher(0.5))
    return near(
      change(moved, records),
      change(records, moved).map((x) => -x)
    )
  }),
  Law.make("swapping the answers swaps what is said of them", Annotated, (records) => {
    const moved = records.map(higher(0.5))
    return near(change(moved.map(swapped), records.map(swapped)), change(moved, records).toReversed())
  })
]

/**
 * How far the likelihoods of pairs' answers have moved between two policies, in nats an answer, the end-of-sequence token
 * included where it counts: `logps/chosen/before`, `…/after`, `…/change`, and the same of `rejected`; means over pairs.
 * Fails with `AnnotationsDiffer` where the two are not of the same pairs in the same order.
 */
export const likelihoodChange = Stage.make({
  name: "evaluate.likelihood-change",
  description: "How far log-likelihoods of chosen and rejected answers moved",
  module: import.meta.url,
  params: {},
  input: PairLogProbsSet,
  inputs: { before: PairLogProbsSet },
  output: EvaluationReport,
  laws,
  run: ({ input, inputs }) =>
    Effect.gen(function* () {
      const [after, before] = [yield* Stream.runCollect(input.stream), yield* Stream.runCollect(inputs.before.stream)]
      if (after.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
      for (let i = 0; i < Math.max(after.length, before.length); i++) {
        const [a, b] = [after[i], before[i]]
        const same =
          a?.pair === b?.pair && a?.chosen.length === b?.chosen.length && a?.rejected.length === b?.rejected.length
        if (!same) return yield* new AnnotationsDiffer({ pair: (a ?? b)!.pair })
      }
      return report(after, before)
    })
})
