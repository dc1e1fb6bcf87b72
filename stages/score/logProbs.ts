import { Effect, Record, Stream } from "effect"
import { type Pair, type PairLogProbs, PairLogProbsSet, Pairs } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Progress from "../../dsl/Progress.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { scoreCompletions } from "../../runtime/models/score.ts"

/** Pairs scored together: bounds memory, changes no result. */
const PAIRS_AT_ONCE = 128

/** Annotates pairs with a policy's log-probability of every token of all their answers, in nats, in the order of the pairs. */
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
              const answers = pairs.map(answersOf)
              const rows = answers.flatMap((all) => all.map((a) => Policy.rowOf(policy, a.prompt, a.completion)))
              const scores = yield* scoreCompletions(policy.model, rows)
              let next = 0
              done += pairs.length
              yield* Progress.report({ done, unit: "pairs" })
              return pairs.map(({ id, others }): PairLogProbs => {
                const take = () => [...scores[next++]!]
                const [chosen, rejected] = [take(), take()]
                if (others === undefined) return { pair: id, chosen, rejected }
                return { pair: id, chosen, rejected, others: Record.map(others, take) }
              })
            })
          ),
          Stream.flattenIterable
        )
      })
    )
})

/** The chosen answer, the rejected one, and the others in their order. */
const answersOf = ({ chosen, others = {}, prompt, rejected }: Pair) => [
  { prompt, completion: chosen },
  { prompt, completion: rejected },
  ...Object.values(others).map((other) => ({ prompt: other.prompt ?? prompt, completion: other.completion }))
]
