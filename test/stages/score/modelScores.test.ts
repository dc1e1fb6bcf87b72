/** A reward model's scores against what the same network says of next tokens. */
import { assert, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { CompletionGroup, ScoredGroup } from "../../../dsl/artifacts.ts"
import type { Checkpoint } from "../../../dsl/Checkpoint.ts"
import { Device } from "../../../runtime/device/Device.ts"
import * as Policy from "../../../runtime/models/Policy.ts"
import { scoreCompletions } from "../../../runtime/models/score.ts"
import { extrapolated } from "../../../stages/optimize/extrapolate.ts"
import { modelScores } from "../../../stages/score/modelScores.ts"
import { preferenceScore, unit } from "../../../stages/score/preferenceScores.ts"
import { prompts, tinyPolicy } from "../tinyPolicy.ts"

const TOKENS = [5, 40, 97, 200]

/** A policy whose head puts out the logits of four tokens. */
const withLogits = (checkpoint: Checkpoint): Checkpoint => {
  const { data, shape } = checkpoint.weights.get("lm_head.weight")!
  const hidden = shape[1]!
  const rows = TOKENS.flatMap((token) => [...data.subarray(token * hidden, (token + 1) * hidden)])
  const head = { shape: [TOKENS.length, hidden], data: Float32Array.from(rows) }
  return { ...checkpoint, weights: new Map(checkpoint.weights).set("score.weight", head) }
}
const model = withLogits(tinyPolicy(3, 10))

const groups = prompts.slice(0, 2).map(
  (prompt): CompletionGroup => ({
    prompt,
    completions: [" was good", " was bad", " so so"].map((text) => ({ text, finish: "length" }))
  })
)
const scored = (params: object) =>
  Effect.gen(function* () {
    const stream = modelScores.stage.run({
      params: modelScores.stage.params.make(params as never),
      input: { stream: Stream.fromIterable(groups) },
      inputs: { model }
    } as never) as Stream.Stream<ScoredGroup, unknown, Device>
    const found = yield* Stream.runCollect(stream)
    return found.map(({ completions }) => completions.map(({ score }) => score))
  })

/** Log-probabilities of the four tokens behind each answer. */
const nextTokens = Effect.gen(function* () {
  const policy = yield* Policy.load(model)
  const rows = groups.flatMap(({ completions, prompt }) =>
    completions.flatMap((answer) => {
      const row = Policy.rowOf(policy, prompt, answer)
      return TOKENS.map((token) => ({ prompt: [...row.prompt, ...row.completion], completion: [token] }))
    })
  )
  const logProbs = (yield* scoreCompletions(policy.model, rows)).map(([logProb]) => logProb!)
  return groups.map(({ completions }, g) =>
    completions.map((_, i) => {
      const at = (g * completions.length + i) * TOKENS.length
      return logProbs.slice(at, at + TOKENS.length)
    })
  )
}).pipe(Effect.scoped)

layer(Device.layer("cpu"))("score.model", (it) => {
  it.effect("scores with the head's outputs at the last token", () =>
    Effect.gen(function* () {
      const [first, third] = [yield* scored({}), yield* scored({ output: 2 })]
      const expected = yield* nextTokens
      expected.forEach((group, g) => {
        group.forEach((logProbs, i) => {
          assert.closeTo(third[g]![i]! - first[g]![i]!, logProbs[2]! - logProbs[0]!, 1e-4)
        })
      })
      assert.isAbove(Math.abs(first[0]![0]! - first[0]![1]!), 1e-3)
    })
  )
  it.effect("by preference, an answer scores what it wins on average against all", () =>
    Effect.gen(function* () {
      const outputs: Array<ReadonlyArray<ReadonlyArray<number>>> = []
      for (const output of [0, 1, 2, 3]) outputs.push(yield* scored({ output }))
      const found = yield* scored({ form: "preference" })
      found.forEach((group, g) => {
        const vectors = group.map((_, i) => unit(outputs.map((of) => of[g]![i]!)))
        group.forEach((score, i) => {
          const mean = vectors.reduce((sum, w) => sum + preferenceScore(vectors[i]!, w), 0) / vectors.length
          assert.closeTo(score, mean, 1e-6)
        })
      })
    })
  )
  it("the published scores", () => {
    assert.closeTo(preferenceScore([0.6, 0.8], [1, 0]), -0.8, 1e-12)
    assert.closeTo(preferenceScore([0.5, 0.5, -0.5, 0.5], [0.1, 0.7, 0.7, -0.1]), 0, 1e-12)
    const third = (turn: number) => [Math.cos((2 * Math.PI * turn) / 3), Math.sin((2 * Math.PI * turn) / 3)]
    for (const turn of [0, 1, 2])
      assert.closeTo(preferenceScore(third(turn), third(turn + 1)), Math.sin((2 * Math.PI) / 3), 1e-12)
  })
  it.effect("refuses a checkpoint without a head, and outputs that it does not have", () =>
    Effect.gen(function* () {
      assert.include(String(yield* Effect.flip(scored({ output: 4 }))), "4 outputs")
    })
  )
  it.effect("an extrapolated checkpoint is another policy, and extrapolating by -1 goes back", () =>
    Effect.gen(function* () {
      const [next, previous] = [tinyPolicy(1).weights, tinyPolicy(2).weights]
      const back = yield* extrapolated(next, previous, -1)
      for (const [name, { data }] of back)
        data.forEach((x, i) => {
          assert.closeTo(x, previous.get(name)!.data[i]!, 1e-6, name)
        })
      const on = yield* extrapolated(next, previous, 0.3)
      assert.isTrue(
        [...on].some(([name, { data }]) => data.some((x, i) => Math.abs(x - next.get(name)!.data[i]!) > 1e-3))
      )
    })
  )
})
