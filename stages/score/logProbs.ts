import { Effect, Stream } from "effect"
import { type PairLogProbs, PairLogProbsSet, Pairs } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Progress from "../../dsl/Progress.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { scoreCompletions } from "../../runtime/models/score.ts"

/** Pairs scored together: bounds memory, changes no result. */
const PAIRS_AT_ONCE = 128

/** Annotates pairs with a policy's log-probability of every token of both answers, in nats, in the order of the pairs. */
export const logProbs = Stage.make({
  name: "score.log-probs",
  description: "A policy's log-probabilities of the answers in pairs",
  module: import.meta.url,
  params: {},
  input: Pairs,
  inputs: { policy: CheckpointFolder },
  output: PairLogProbsSet,
  numerics: true,
  run: ({ input, inputs }) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const policy = yield* Policy.load(inputs.policy)
        let done = 0
        return input.stream.pipe(
          Stream.grouped(PAIRS_AT_ONCE),
          Stream.mapEffect((pairs) =>
            Effect.gen(function* () {
              const rows = pairs.flatMap(({ chosen, prompt, rejected }) => [
                Policy.rowOf(policy, prompt, chosen),
                Policy.rowOf(policy, prompt, rejected)
              ])
              const scores = yield* scoreCompletions(policy.model, rows)
              done += pairs.length
              yield* Progress.report({ done, unit: "pairs" })
              return pairs.map(
                ({ id }, i): PairLogProbs => ({
                  pair: id,
                  chosen: [...scores[2 * i]!],
                  rejected: [...scores[2 * i + 1]!]
                })
              )
            })
          ),
          Stream.flattenIterable
        )
      })
    )
})
