import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { annotated, one, pairs, policy } from "../laws/calls.ts"
import { few, intervals, means, sameMeans } from "../laws/laws.ts"
import { dpo } from "../optimize/objectives/dpo.ts"
import { simpo } from "../optimize/objectives/simpo.ts"
import { preferenceAccuracy } from "./preferenceAccuracy.ts"

/** The same call with its pairs changed, and what is known of each of them. */
const changed = (call: any, change: (records: ReadonlyArray<any>) => ReadonlyArray<any>) => {
  const { referenceLogProbs: known, ...others } = call.inputs
  const inputs = known === undefined ? others : { ...others, referenceLogProbs: change(known) }
  return { ...call, input: change(call.input), inputs }
}
const turned = (record: any) => ({ ...record, chosen: record.rejected, rejected: record.chosen })

export const contract = Contract.of(preferenceAccuracy, {
  given: Arbitrary.all([pairs, one(true, false)]).pipe(
    Arbitrary.map(([input, withReference]) =>
      withReference
        ? { params: { objective: dpo() }, input, inputs: { policy, referenceLogProbs: annotated(input) } }
        : { params: { objective: simpo() }, input, inputs: { policy } }
    )
  ),
  laws: few(4, [
    intervals,
    StageLaw.related(
      "of turned pairs the margins are turned",
      (call) => changed(call, (records) => records.map(turned)),
      (made, other) => {
        const [there, back] = [means(made), means(other)]
        if (there["rewards/accuracies"]! + back["rewards/accuracies"]! > 1 + 1e-9) return "both orders are right"
        return StageLaw.near(there["rewards/margins"], 0 - back["rewards/margins"]!, 1e-4)
      }
    ),
    StageLaw.related(
      "does not see the order of the pairs",
      (call) => changed(call, (records) => records.toReversed()),
      (made, other) => sameMeans(made, other, 1e-4)
    ),
    StageLaw.related(
      "pairs given twice count the same",
      (call) =>
        changed(call, (records) => [
          ...records,
          ...records.map((record: any) =>
            "pair" in record ? { ...record, pair: `${record.pair}'` } : { ...record, id: `${record.id}'` }
          )
        ]),
      (made, twice, { input }) => {
        if (twice.estimates["rewards/margins"].count !== 2 * input.length) return "not every pair counts"
        return sameMeans(made, twice, 1e-4)
      }
    )
  ])
})
