/** What pairs turn into before a loss sees them: mistakes here train on something else, and nothing fails. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { recordsOf } from "../../../dsl/Artifact.ts"
import type { Evaluation, Pair, PairLogProbs } from "../../../dsl/artifacts.ts"
import type { Checkpoint } from "../../../dsl/Checkpoint.ts"
import { Device } from "../../../runtime/device/Device.ts"
import * as Policy from "../../../runtime/models/Policy.ts"
import { preferenceAccuracy } from "../../../stages/evaluate/preferenceAccuracy.ts"
import { itemsOf } from "../../../stages/optimize/items.ts"
import { dpo } from "../../../stages/optimize/objectives/dpo.ts"
import { simpo } from "../../../stages/optimize/objectives/simpo.ts"
import { withSft } from "../../../stages/optimize/objectives/withSft.ts"
import { preference } from "../../../stages/optimize/preference.ts"
import { logProbs } from "../../../stages/score/logProbs.ts"
import * as Tiny from "../tinyPolicy.ts"

const from = Tiny.tinyPolicy(1, 10)
const [first, second] = Tiny.pairs as [Pair, Pair]
const annotations = (pairs: ReadonlyArray<Pair>) =>
  Stream.runCollect(
    logProbs.stage.run({ params: {}, input: recordsOf(pairs), inputs: { policy: from } } as never) as Stream.Stream<
      PairLogProbs,
      unknown,
      Device
    >
  )
const oneStep = (objective: unknown, input: ReadonlyArray<Pair>, inputs: object = {}) =>
  Effect.map(
    Tiny.call<Checkpoint, Error>(preference, {
      params: { objective, steps: 1, batchSize: input.length, logEvery: 1 },
      input,
      inputs: { from, ...inputs }
    }),
    ({ trainerState }) => (trainerState!["log_history"] as ReadonlyArray<Record<string, number>>)[0]!
  )

layer(Device.layer("wasm"))("pairs as they are trained on", (it) => {
  it.effect("one of weight 3 counts as three of them", () =>
    Effect.gen(function* () {
      const weighted = yield* oneStep(simpo(), [{ ...first, numbers: { weight: 3 } }, second])
      const repeated = yield* oneStep(simpo(), [first, first, first, second])
      const plain = yield* oneStep(simpo(), [first, second])
      for (const name of ["loss", "grad_norm", "rewards/margins"])
        assert.closeTo(weighted[name]!, repeated[name]!, 1e-5, name)
      assert.isAbove(Math.abs(weighted["loss"]! - plain["loss"]!), 1e-3)
    })
  )

  it.effect("log-probabilities of another pair are refused, even of as many tokens", () =>
    Effect.gen(function* () {
      const referenceLogProbs = yield* annotations([{ ...first, id: "another" }])
      const error = yield* Effect.flip(oneStep(dpo(), [first], { referenceLogProbs }))
      assert.include(error.message, 'pair "pair0": its reference log-probabilities are of other tokens')
    })
  )

  it.effect("a further answer is read behind its own prompt, where it has one", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.load(from)
      const { reads } = withSft({ objective: simpo(), role: "gold" }).implementation
      const golden = (prompt: object) => ({ ...first, others: { gold: { completion: second.chosen, ...prompt } } })
      const pairs = recordsOf<Pair>([golden({ prompt: second.prompt }), golden({})])
      const [own, shared] = yield* itemsOf(policy, pairs, {}, reads)
      assert.deepStrictEqual(own!.rows["gold"], Policy.rowOf(policy, second.prompt, second.chosen))
      assert.deepStrictEqual(shared!.rows["gold"], Policy.rowOf(policy, first.prompt, second.chosen))
    }).pipe(Effect.scoped)
  )

  describe("a tie of implicit rewards", () => {
    const tied = [first, second].map((pair): Pair => ({ ...pair, rejected: pair.chosen }))
    it.effect("is no right order in training", () =>
      Effect.gen(function* () {
        const { "rewards/accuracies": accuracy, loss } = yield* oneStep(dpo(), tied, {
          referenceLogProbs: yield* annotations(tied)
        })
        assert.closeTo(loss!, Math.LN2, 1e-6)
        assert.strictEqual(accuracy, 0)
      })
    )
    it.effect("is none in evaluation", () =>
      Effect.gen(function* () {
        const { estimates } = yield* Tiny.call<Evaluation>(preferenceAccuracy, {
          params: { objective: simpo() },
          input: tied,
          inputs: { policy: from }
        })
        assert.strictEqual(estimates["rewards/accuracies"]!.mean, 0)
      })
    )
  })
})
