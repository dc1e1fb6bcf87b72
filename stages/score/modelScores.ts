import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type CompletionGroup, Completions, Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Law from "../../dsl/Law.ts"
import { Index, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Batch from "../../runtime/models/Batch.ts"
import { answers } from "../../runtime/models/forward.ts"
import { HEAD } from "../../runtime/models/LlamaConfig.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { computed } from "../../runtime/tensor/read.ts"
import { meanScores, preferenceScore, unit } from "./preferenceScores.ts"

/** Rows that go through the model together: bounds memory, changes no result. */
const ROWS_AT_ONCE = 32

/** A checkpoint cannot score as it was asked to: it has no head, or one of other outputs, or they are not finite. */
export class ScorerInvalid extends Schema.TaggedError<ScorerInvalid>()("ScorerInvalid", { problem: Schema.String }) {
  override get message() {
    return `score.model: ${this.problem}`
  }
}

const Vectors = Arbitrary.array(Arbitrary.array(Arbitrary.schema(Law.Real(-2, 2)), { minLength: 4, maxLength: 4 }), {
  minLength: 1,
  maxLength: 5
})
const near = (a: number, b: number) => Math.abs(a - b) < 1e-9

const laws: ReadonlyArray<Law.Law> = [
  Law.make("mean preference scores of a prompt's answers cancel", Vectors, (vectors) =>
    [true, false].every((normalized) =>
      near(
        0,
        meanScores(vectors, normalized).reduce((sum, s) => sum + s, 0)
      )
    )
  ),
  Law.make("equal answers score alike, whatever their order", Vectors, (vectors) => {
    const scores = meanScores([...vectors, ...vectors.toReversed()], true)
    return scores.every((score, i) => near(score, scores[scores.length - 1 - i]!))
  }),
  Law.make("the form is skew-symmetric and sees directions alone where it is normalized", Vectors, (vectors) =>
    vectors.every((v) =>
      vectors.every((w) => {
        const longer = v.map((x) => 3 * x)
        const short = v.every((x) => Math.abs(x) < 1e-3)
        return (
          near(preferenceScore(v, w), -preferenceScore(w, v)) &&
          (short || near(preferenceScore(unit(longer), unit(w)), preferenceScore(unit(v), unit(w))))
        )
      })
    )
  )
]

/**
 * Scores answers by a reward model: the outputs of a checkpoint's head at the last token of prompt and answer.
 * **Details** `form: "reward"`: the score is output number `output`, in the units that it was trained in. `"preference"`: the
 * outputs are an embedding, divided by its length unless `normalized: false`, and an answer's score is the mean of its
 * skew-symmetric scores against all answers to its prompt, itself included with 0: `K` passes for `K` answers. It is not
 * divided by the `tau` of training. Prompts and answers keep their order. Fails with `ScorerInvalid`.
 * **Source** Ouyang et al. 2022, arXiv 2203.02155; Zhang et al. 2024, arXiv 2410.02197 (preference).
 */
export const modelScores = Stage.make({
  name: "score.model",
  description: "Answers with the scores of a reward model",
  module: import.meta.url,
  params: {
    form: Schema.Literals(["reward", "preference"]).pipe(withDefault("reward")),
    output: Index.pipe(withDefault(0)),
    normalized: Schema.Boolean.pipe(withDefault(true))
  },
  input: Completions,
  inputs: { model: CheckpointFolder },
  output: Scored,
  numerics: true,
  laws,
  run: ({ input, inputs, params: { form, normalized, output } }) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const outputs = inputs.model.weights.get(HEAD)?.shape[0] ?? 0
        if (outputs === 0) return yield* new ScorerInvalid({ problem: "the checkpoint has no head" })
        if (form === "reward" && output >= outputs)
          return yield* new ScorerInvalid({ problem: `the head has ${outputs} outputs, none of number ${output}` })
        if (form === "preference" && outputs % 2 === 1)
          return yield* new ScorerInvalid({ problem: `an embedding has an even number of outputs, not ${outputs}` })
        const policy = yield* Policy.load(inputs.model)
        const scoresOf = (vectors: ReadonlyArray<ReadonlyArray<number>>) =>
          form === "reward" ? vectors.map((vector) => vector[output]!) : meanScores(vectors, normalized)
        return Stream.mapEffect(input.stream, (group) =>
          Effect.map(headOutputs(policy, group, outputs), (vectors): ScoredGroup => {
            const scores = scoresOf(vectors)
            const { completions, prompt } = group
            return { prompt, completions: completions.map((answer, i) => ({ ...answer, score: scores[i]! })) }
          })
        )
      })
    )
})

/** The head's outputs for each answer of a group. */
const headOutputs = Effect.fnUntraced(function* (
  policy: Policy.Policy,
  { completions, prompt }: CompletionGroup,
  outputs: number
) {
  const rows = completions.map((completion) => Policy.rowOf(policy, prompt, completion))
  yield* Batch.validate(rows, policy.model.config)
  const found: Array<ReadonlyArray<number>> = []
  for (let start = 0; start < rows.length; start += ROWS_AT_ONCE) {
    yield* Effect.yieldNow
    const batch = Batch.make(rows.slice(start, start + ROWS_AT_ONCE))
    const values = yield* computed(() => answers(policy.model, batch, { heads: true }).heads!)
    for (let row = 0; row < batch.rows; row++) found.push([...values.subarray(row * outputs, (row + 1) * outputs)])
  }
  const wrong = found.findIndex((vector) => !vector.every(Number.isFinite))
  if (wrong >= 0)
    return yield* new ScorerInvalid({
      problem: `answer ${wrong} of prompt ${JSON.stringify(prompt.id)} has outputs ${found[wrong]!.join(", ")}`
    })
  return found
})
