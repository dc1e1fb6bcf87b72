import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Evaluation, EvaluationReport, type Pair, Pairs } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import type * as Batch from "../../runtime/models/Batch.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { scoreCompletions } from "../../runtime/models/score.ts"
import { answerOf, PairsInvalid } from "../optimize/items.ts"
import { average, clusteredEstimate } from "./estimates.ts"
import { NothingToEvaluate } from "./evaluate.ts"

/** An answer's log-probabilities by token, and the prompt that it answers. */
interface Scored {
  readonly prompt: string
  readonly logProbs: ReadonlyArray<number>
}

/** The mean over tokens is a ratio of means over answers: its interval is that of the ratio to first order. */
const estimatesOf = (answers: ReadonlyArray<Scored>): Evaluation["estimates"] => {
  const sums = answers.map(({ logProbs }) => -logProbs.reduce((total, x) => total + x, 0))
  const lengths = answers.map(({ logProbs }) => logProbs.length)
  const [nats, tokens] = [average(sums), average(lengths)]
  const perToken = nats / tokens
  const prompts = answers.map(({ prompt }) => prompt)
  return {
    "nll/sequence": clusteredEstimate(sums, prompts),
    "nll/token": clusteredEstimate(
      sums.map((sum, i) => perToken + (sum - perToken * lengths[i]!) / tokens),
      prompts
    )
  }
}

const LogProbs = Arbitrary.array(Arbitrary.schema(Law.Real(-5, 0)), { minLength: 1, maxLength: 4 })
const Answers = Arbitrary.array(Arbitrary.all([LogProbs, Arbitrary.schema(Schema.Literals(["a", "b"]))]), {
  minLength: 1,
  maxLength: 5
}).pipe(Arbitrary.map((all) => all.map(([logProbs, prompt]): Scored => ({ logProbs, prompt }))))
const near = (a: number, b: number) => Math.abs(a - b) < 1e-9
const means = (answers: ReadonlyArray<Scored>) => {
  const { "nll/sequence": sequence, "nll/token": token } = estimatesOf(answers)
  return { sequence: sequence!.mean, token: token!.mean }
}

const laws: ReadonlyArray<Law.Law> = [
  Law.make("counts every token the same", Answers, (answers) => {
    const all = answers.flatMap(({ logProbs }) => logProbs)
    return near(means(answers).token, -average(all))
  }),
  Law.make("is the same by token and by sequence for answers of one token", Answers, (answers) => {
    const { sequence, token } = means(answers.map(({ logProbs, prompt }) => ({ prompt, logProbs: [logProbs[0]!] })))
    return near(sequence, token)
  }),
  Law.make("of every token twice doubles by sequence and stays by token", Answers, (answers) => {
    const once = means(answers)
    const twice = means(answers.map(({ logProbs, prompt }) => ({ prompt, logProbs: [...logProbs, ...logProbs] })))
    return near(twice.sequence, 2 * once.sequence) && near(twice.token, once.token)
  })
]

const rowOf = (policy: Policy.Policy, pair: Pair, role: string): Effect.Effect<Batch.Row, PairsInvalid> => {
  const answer = answerOf(pair, role)
  if (answer === undefined)
    return Effect.fail(new PairsInvalid({ pair: pair.id, problem: `it has no answer ${role} to evaluate` }))
  const row = Policy.rowOf(policy, answer.prompt, answer.completion)
  return row.completion.length > 0
    ? Effect.succeed(row)
    : Effect.fail(new PairsInvalid({ pair: pair.id, problem: `its answer ${role} has no tokens` }))
}

/**
 * How likely a policy finds given answers, those that `role` names in each pair: `nll/sequence`, the mean over answers of
 * `-ln policy(y)` in nats, and `nll/token`, the mean over all their tokens, the end-of-sequence token included where it counts.
 * Intervals respect that the answers to one prompt belong together. Fails with `PairsInvalid` for a pair without that answer.
 */
export const likelihood = Stage.make({
  name: "evaluate.likelihood",
  description: "Negative log-likelihood of given answers under a policy",
  module: import.meta.url,
  params: { role: Schema.NonEmptyString },
  input: Pairs,
  inputs: { policy: CheckpointFolder },
  output: EvaluationReport,
  numerics: true,
  laws,
  run: ({ input, inputs, params }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const policy = yield* Policy.load(inputs.policy)
        const pairs = yield* Stream.runCollect(input.stream)
        if (pairs.length === 0) return yield* new NothingToEvaluate({ what: "pairs" })
        const rows = yield* Effect.forEach(pairs, (pair) => rowOf(policy, pair, params.role))
        const scores = yield* scoreCompletions(policy.model, rows)
        const answers = pairs.map(({ prompt }, i): Scored => ({ prompt: prompt.id, logProbs: [...scores[i]!] }))
        const report: Evaluation = { estimates: estimatesOf(answers), examples: [] }
        return report
      })
    )
})
