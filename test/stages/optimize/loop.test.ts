import { assert, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import * as Partial from "../../../dsl/Partial.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { Device } from "../../../runtime/device/Device.ts"
import * as Batch from "../../../runtime/models/Batch.ts"
import { tokenLogProbs } from "../../../runtime/models/forward.ts"
import { toWeights } from "../../../runtime/models/Llama.ts"
import * as Policy from "../../../runtime/models/Policy.ts"
import { separable, type TrainingParams, train } from "../../../stages/optimize/loop.ts"
import * as Tiny from "../tinyPolicy.ts"

const defaults: TrainingParams = {
  steps: 1,
  batchSize: 4,
  learningRate: 1e-2,
  finalLearningRate: 0.1,
  warmupSteps: 0,
  weightDecay: 0,
  maxGradientNorm: 1e9,
  logEvery: 1,
  saveEvery: 1000
}

/** Trains the tiny policy on its texts, the loss times `scale`; what was seen, and what became of the weights. */
const run = (params: Partial<TrainingParams>, scale = 1) =>
  Effect.gen(function* () {
    const { bos, eos, model, tokenizer } = yield* Policy.load(Tiny.tinyPolicy(1, 10))
    const before = yield* toWeights(model)
    const seen: Array<number> = []
    const log = yield* train({
      model,
      items: Tiny.TEXTS.map((_, i) => i),
      params: { ...defaults, ...params },
      rng: Rng.make(3, "loop"),
      partial: Partial.none,
      losses: separable((items: ReadonlyArray<number>) => {
        seen.push(...items)
        const rows = items.map((i) => ({ prompt: [bos], completion: [...tokenizer.encode(Tiny.TEXTS[i]!), eos] }))
        return { loss: tf.mul(tf.sum(tokenLogProbs(model, Batch.make(rows))), -scale), weight: items.length }
      })
    })
    return { before, after: yield* toWeights(model), log, seen }
  }).pipe(Effect.scoped)

type Ran = Effect.Success<ReturnType<typeof run>>
const largestChange = ({ after, before }: Ran) =>
  Math.max(
    ...[...before].flatMap(([name, { data }]) => [...data.map((x, i) => Math.abs(after.get(name)!.data[i]! - x))])
  )

layer(Device.layer("wasm"))("the training loop", (it) => {
  it.effect("sees every item once a pass, each pass in another order, across steps that span two passes", () =>
    Effect.gen(function* () {
      const { seen } = yield* run({ steps: 6, batchSize: 4, microBatchSize: 3 })
      const passes = [0, 1, 2, 3].map((pass) => seen.slice(6 * pass, 6 * pass + 6))
      for (const pass of passes) assert.deepStrictEqual(pass.toSorted(), [0, 1, 2, 3, 4, 5])
      assert.isAbove(new Set(passes.map(String)).size, 2)
    })
  )

  it.effect("the rate rises to its peak and falls to a share of it over all steps", () =>
    Effect.gen(function* () {
      const { log } = yield* run({ steps: 6, warmupSteps: 2 })
      const falling = [0, 1, 2, 3].map((s) => 1e-3 + (9e-3 * (1 + Math.cos((Math.PI * s) / 4))) / 2)
      for (const [i, rate] of [5e-3, 1e-2, ...falling].entries())
        assert.closeTo(log[i]!["learning_rate"]!, rate, 1e-12, `step ${i}`)
    })
  )

  it.effect("weights decay, where the loss is flat: matrices do, norms and embeddings do not", () =>
    Effect.gen(function* () {
      const { after, before } = yield* run({ weightDecay: 0.5 }, 0)
      for (const [name, { data, shape }] of before) {
        const factor = shape.length === 2 && !name.includes("embed_tokens") ? 1 - 1e-2 * 0.5 : 1
        for (const [i, x] of after.get(name)!.data.entries()) assert.closeTo(x, factor * data[i]!, 1e-6, name)
      }
    })
  )

  it.effect("clips the gradient: one far shorter than Adam's epsilon hardly moves a weight", () =>
    Effect.gen(function* () {
      assert.closeTo(largestChange(yield* run({})), 1e-2, 1e-4)
      assert.isBelow(largestChange(yield* run({ maxGradientNorm: 1e-9 })), 2e-3)
    })
  )

  it.effect("parameters that the last update throws out of the finite numbers are no result", () =>
    Effect.gen(function* () {
      for (const learningRate of [1e25, 1e39]) {
        const error = yield* Effect.flip(run({ learningRate }))
        assert.match(error.message, /diverged at step 1: loss [0-9.]+, .*, parameter norm (Infinity|NaN)$/)
      }
    })
  )

  it.effect("weights far too large show in the loss, not as the uniform distribution with a gradient of zero", () =>
    Effect.gen(function* () {
      const { log } = yield* run({ learningRate: 1e4, finalLearningRate: 1, steps: 3 })
      assert.isAbove(log.at(-1)!["loss"]!, 1e3)
      assert.isAbove(log.at(-1)!["grad_norm"]!, 0)
    })
  )
})
