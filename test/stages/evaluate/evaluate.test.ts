import { assert, describe, it, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import type { Evaluation } from "../../../dsl/artifacts.ts"
import type { Checkpoint } from "../../../dsl/Checkpoint.ts"
import { Device } from "../../../runtime/device/Device.ts"
import * as Batch from "../../../runtime/models/Batch.ts"
import { logits } from "../../../runtime/models/forward.ts"
import * as Policy from "../../../runtime/models/Policy.ts"
import { clusteredEstimate, distinct, estimate, winRate } from "../../../stages/evaluate/estimates.ts"
import { evaluate } from "../../../stages/evaluate/evaluate.ts"
import { PreferenceDiverged, preferenceAccuracy } from "../../../stages/evaluate/preferenceAccuracy.ts"
import { simpo } from "../../../stages/optimize/objectives/simpo.ts"
import { length } from "../../../stages/score/length.ts"
import * as Tiny from "../tinyPolicy.ts"

const [policy, reference] = [Tiny.tinyPolicy(1, 10), Tiny.tinyPolicy(2, 10)]
const words = length({ target: 3 })
const letters = length({ target: 5, unit: "characters" })
const long = length({ target: 40, unit: "characters" })

const logSoftmax = (values: ArrayLike<number>): ReadonlyArray<number> => {
  const row = Array.from(values)
  const normalizer = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
  return row.map((x) => x - normalizer)
}

describe("estimates", () => {
  it("mean and normal interval, by hand", () => {
    const { count, high, low, mean } = estimate([1, 2, 3, 4])
    assert.deepStrictEqual([mean, count], [2.5, 4])
    assert.closeTo(high - mean, 1.959964 * Math.sqrt(5 / 3 / 4), 1e-12)
    assert.closeTo(mean - low, high - mean, 1e-12)
  })
  it("ties count half a win", () => assert.strictEqual(winRate([1, 2, 3, 0], [0, 2, 3, 1]), 0.5))
  it("distinct n-grams over all texts", () => {
    assert.strictEqual(distinct(["a b a", "a b"], 1), 2 / 5)
    assert.strictEqual(distinct(["a b a", "a b"], 2), 2 / 3)
    assert.strictEqual(distinct(["a"], 2), 1)
  })
  it("an empty text holds no words", () => {
    assert.strictEqual(distinct(["", " "], 1), 1)
    assert.strictEqual(distinct(["a b", "", ""], 1), 1)
  })
  it("values that belong together count as one: by hand, and as often as they are repeated", () => {
    const values = [1, 0, 0, 1, 1]
    const single = estimate(values)
    const apart = clusteredEstimate(values, ["a", "b", "c", "d", "e"])
    assert.closeTo(apart.high, single.high, 1e-12)
    const twice = clusteredEstimate([...values, ...values], [..."abcde", ..."abcde"])
    assert.deepStrictEqual([twice.mean, twice.count], [single.mean, 10])
    assert.closeTo(twice.high, single.high, 1e-12)
    assert.closeTo(twice.low, single.low, 1e-12)
    const [one] = [clusteredEstimate([0, 1], ["a", "a"])]
    assert.deepStrictEqual([one.low, one.mean, one.high], [0.5, 0.5, 0.5])
  })
})

layer(Device.layer("wasm"))("evaluate", (it) => {
  it.effect("a policy against itself: no KL, no gain, every comparison a tie", () =>
    Effect.gen(function* () {
      const { estimates } = yield* Tiny.call<Evaluation>(evaluate, {
        params: { reward: words, judge: words, maxTokens: 6 },
        input: Tiny.prompts,
        inputs: { policy, reference: policy }
      })
      assert.closeTo(estimates["kl"]!.mean, 0, 1e-4)
      assert.strictEqual(estimates["reward/gain"]!.mean, 0)
      assert.strictEqual(estimates["win_rate"]!.mean, 0.5)
      assert.strictEqual(estimates["judge/win_rate"]!.mean, 0.5)
      assert.deepStrictEqual(estimates["length/policy"], estimates["length/reference"])
    })
  )

  it.effect(
    "each side is measured on its own answers: what is quoted adds up, and turning the sides turns the signs",
    () =>
      Effect.gen(function* () {
        const measure = (policy: Checkpoint, reference: Checkpoint) =>
          Tiny.call<Evaluation>(evaluate, {
            params: { reward: long, judge: letters, perPrompt: 1, maxTokens: 6, examples: Tiny.prompts.length },
            input: Tiny.prompts,
            inputs: { policy, reference }
          })
        const { estimates, examples } = yield* measure(policy, reference)
        const turned = yield* measure(reference, policy)
        const mean = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0) / values.length
        const close = (name: string, expected: number) => assert.closeTo(estimates[name]!.mean, expected, 1e-9, name)
        const ours = examples.map(({ policyReward }) => policyReward)
        const theirs = examples.map(({ referenceReward }) => referenceReward)
        close("reward/policy", mean(ours))
        close("reward/reference", mean(theirs))
        close("reward/gain", mean(ours) - mean(theirs))
        close("win_rate", mean(ours.map((x, i) => (Math.sign(x - theirs[i]!) + 1) / 2)))
        const judged = (texts: ReadonlyArray<string>) =>
          letters.implementation.score(texts.map((completion) => ({ prompt: "", completion })))
        const [judgedOurs, judgedTheirs] = [
          yield* judged(examples.map((example) => example.policy)),
          yield* judged(examples.map((example) => example.reference))
        ]
        assert.notStrictEqual(mean(judgedOurs), mean(judgedTheirs))
        close("judge/gain", mean(judgedOurs) - mean(judgedTheirs))
        assert.deepStrictEqual(
          turned.examples.map((example) => [example.policy, example.reference]),
          examples.map((example) => [example.reference, example.policy])
        )
        assert.notDeepEqual(
          examples.map((example) => example.policy),
          examples.map((example) => example.reference)
        )
        for (const name of ["reward/gain", "judge/gain"]) close(name, -turned.estimates[name]!.mean)
        close("win_rate", 1 - turned.estimates["win_rate"]!.mean)
        assert.notStrictEqual(estimates["win_rate"]!.mean, 0.5)
      })
  )

  it.effect("the KL estimate agrees with exact enumeration of one-token answers", () =>
    Effect.gen(function* () {
      const perPrompt = 3000
      const prompt = Tiny.prompts[0]!
      const { estimates } = yield* Tiny.call<Evaluation>(evaluate, {
        params: { reward: words, maxTokens: 1, perPrompt, examples: 0 },
        input: [prompt],
        inputs: { policy, reference }
      })
      const distribution = (checkpoint: typeof policy) =>
        Effect.gen(function* () {
          const loaded = yield* Policy.load(checkpoint)
          const ids = loaded.encodePrompt(prompt)
          const all = logits(loaded.model, Batch.make([{ prompt: ids, completion: [] }]))
          const last = (yield* Effect.promise(() => all.data())).slice((ids.length - 1) * 270, ids.length * 270)
          tf.dispose(all)
          return logSoftmax(last)
        }).pipe(Effect.scoped)
      const [p, q] = [yield* distribution(policy), yield* distribution(reference)]
      let [kl, second] = [0, 0]
      p.forEach((logP, token) => {
        kl += Math.exp(logP) * (logP - q[token]!)
        second += Math.exp(logP) * (logP - q[token]!) ** 2
      })
      assert.isAbove(kl, 0.05)
      assert.closeTo(estimates["kl"]!.mean, kl, 4 * Math.sqrt((second - kl ** 2) / perPrompt))
    })
  )

  it.effect("says that there is nothing to evaluate on", () =>
    Effect.gen(function* () {
      const context = { params: { reward: words }, input: [], inputs: { policy, reference } }
      const error = yield* Effect.flip(Tiny.call<Evaluation, Error>(evaluate, context))
      assert.include(error.message, "was given no prompts")
    })
  )

  it.effect("refuses a reference that reads the policy's tokens as other text", () =>
    Effect.gen(function* () {
      const other = { ...policy, tokenizer: Tiny.tokenizerOf([...Tiny.TEXTS.map((text) => text.toUpperCase())]) }
      const context = { params: { reward: words }, input: Tiny.prompts, inputs: { policy, reference: other } }
      const error = yield* Effect.flip(Tiny.call<Evaluation, Error>(evaluate, context))
      assert.include(error.message, "another tokenizer")
    })
  )

  it.effect("preference accuracy: pairs of one prompt are no independent evidence", () =>
    Effect.gen(function* () {
      const measure = (pairs: ReadonlyArray<unknown>) =>
        Effect.map(
          Tiny.call<Evaluation>(preferenceAccuracy, {
            params: { objective: simpo() },
            input: pairs,
            inputs: { policy }
          }),
          ({ estimates }) => estimates["rewards/margins"]!
        )
      const once = yield* measure(Tiny.pairs)
      const again = yield* measure([...Tiny.pairs, ...Tiny.pairs.map((pair) => ({ ...pair, id: `${pair.id}-again` }))])
      assert.closeTo(again.high - again.low, once.high - once.low, 1e-5)
    })
  )

  it.effect("preference accuracy is the share of pairs that the implicit reward orders rightly", () =>
    Effect.gen(function* () {
      const measure = (pairs: ReadonlyArray<unknown>) =>
        Tiny.call<Evaluation>(preferenceAccuracy, { params: { objective: simpo() }, input: pairs, inputs: { policy } })
      const forwards = (yield* measure(Tiny.pairs)).estimates
      const swapped = Tiny.pairs.map((pair) => ({ ...pair, chosen: pair.rejected, rejected: pair.chosen }))
      const backwards = (yield* measure(swapped)).estimates
      assert.closeTo(forwards["rewards/accuracies"]!.mean + backwards["rewards/accuracies"]!.mean, 1, 1e-9)
      assert.closeTo(forwards["rewards/margins"]!.mean, -backwards["rewards/margins"]!.mean, 1e-5)
    })
  )

  it.effect("preference accuracy of a policy whose logits overflow fails by name, it does not count as wrong", () =>
    Effect.gen(function* () {
      const head = policy.weights.get("lm_head.weight")!
      const large = { ...head, data: head.data.map((x) => Math.sign(x) * 3e38) }
      const error: unknown = yield* Effect.flip(
        Tiny.call<Evaluation>(preferenceAccuracy, {
          params: { objective: simpo() },
          input: Tiny.pairs,
          inputs: { policy: { ...policy, weights: new Map(policy.weights).set("lm_head.weight", large) } }
        })
      )
      assert.instanceOf(error, PreferenceDiverged)
      assert.match(error.message, /for pair 0$/)
    })
  )
})
