import { assert, describe, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Stream } from "effect"
import type { PairLogProbs } from "../../../dsl/artifacts.ts"
import type { Checkpoint } from "../../../dsl/Checkpoint.ts"
import type * as Partial from "../../../dsl/Partial.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { Device } from "../../../runtime/device/Device.ts"
import * as Policy from "../../../runtime/models/Policy.ts"
import { scoreCompletions } from "../../../runtime/models/score.ts"
import { dpo } from "../../../stages/optimize/objectives/dpo.ts"
import { simpo } from "../../../stages/optimize/objectives/simpo.ts"
import { preference } from "../../../stages/optimize/preference.ts"
import { supervised } from "../../../stages/optimize/supervised.ts"
import { watching } from "../../../stages/optimize/watch.ts"
import { answers } from "../../../stages/sample/answers.ts"
import { length } from "../../../stages/score/length.ts"
import { logProbs } from "../../../stages/score/logProbs.ts"
import * as Tiny from "../tinyPolicy.ts"

const from = Tiny.tinyPolicy(1, 10)
const log = (checkpoint: Checkpoint) => checkpoint.trainerState!["log_history"] as ReadonlyArray<Record<string, number>>
const annotations = (policy = from) =>
  Stream.runCollect(
    logProbs.stage.run({
      params: {},
      input: { stream: Stream.fromIterable(Tiny.pairs) },
      inputs: { policy }
    } as never) as Stream.Stream<PairLogProbs, any, Device>
  )

const training = { steps: 6, batchSize: 4, learningRate: 1e-2, warmupSteps: 2, logEvery: 1 }
const runDpo = (params: object = {}, context: object = {}, inputs: object = {}) =>
  Effect.gen(function* () {
    const referenceLogProbs = yield* annotations()
    return yield* Tiny.call<Checkpoint>(preference, {
      params: { objective: dpo({ beta: 0.5 }), ...training, ...params },
      input: Tiny.pairs,
      inputs: { from, referenceLogProbs, ...inputs },
      ...context
    })
  })
const distance = (a: Checkpoint, b: Checkpoint) =>
  Math.max(
    ...[...a.weights].map(([name, { data }]) =>
      Math.max(...data.map((x, i) => Math.abs(x - b.weights.get(name)!.data[i]!)))
    )
  )

/** Keeps state in memory, and can interrupt the training right after the n-th save. */
const memory = (interruptAfter = Number.POSITIVE_INFINITY) => {
  let state: Uint8Array | undefined
  let saves = 0
  const partial: Partial.Partial = {
    load: Effect.sync(() => Option.fromUndefinedOr(state)),
    save: (bytes) => {
      state = bytes.slice()
      return ++saves === interruptAfter ? Effect.interrupt : Effect.void
    }
  }
  return { partial, saves: () => saves, damage: () => state!.fill(7, 40, 60) }
}

layer(Device.layer("wasm"))("training", (it) => {
  it.effect("supervised: the first loss is the mean negative log-probability per token", () =>
    Effect.gen(function* () {
      const trained = yield* Tiny.call<Checkpoint>(supervised, {
        params: { ...training, steps: 1, batchSize: Tiny.texts.length },
        input: Tiny.texts,
        inputs: { from }
      })
      const policy = yield* Policy.load(from)
      const rows = Tiny.TEXTS.map((text) => ({
        prompt: [policy.bos],
        completion: [...policy.tokenizer.encode(text), policy.eos]
      }))
      const scores = yield* scoreCompletions(policy.model, rows)
      const all = scores.flatMap((row) => [...row])
      assert.closeTo(log(trained)[0]!["loss"]!, -all.reduce((a, b) => a + b, 0) / all.length, 1e-5)
    }).pipe(Effect.scoped)
  )

  it.effect("supervised: a text longer than the context is cut, and not taught to end there", () =>
    Effect.gen(function* () {
      const text = "the food was good ".repeat(12)
      const trained = yield* Tiny.call<Checkpoint>(supervised, {
        params: { ...training, steps: 1, batchSize: 1 },
        input: [{ id: "long", text }],
        inputs: { from }
      })
      const policy = yield* Policy.load(from)
      const completion = policy.tokenizer.encode(text).slice(0, 31)
      assert.strictEqual(completion.length, 31)
      const [scores] = yield* scoreCompletions(policy.model, [{ prompt: [policy.bos], completion }])
      assert.closeTo(log(trained)[0]!["loss"]!, -scores!.reduce((a, b) => a + b, 0) / 31, 1e-5)
    }).pipe(Effect.scoped)
  )

  it.effect("supervised: learns its texts, to a loss far below the start's", () =>
    Effect.gen(function* () {
      const trained = yield* Tiny.call<Checkpoint>(supervised, {
        params: { ...training, steps: 60 },
        input: Tiny.texts,
        inputs: { from }
      })
      const [first, last] = [log(trained)[0]!["loss"]!, log(trained).at(-1)!["loss"]!]
      assert.isBelow(last, first / 2)
    })
  )

  it.effect("dpo: starts at ln 2 with zero margins, and lowers the loss", () =>
    Effect.gen(function* () {
      const history = log(yield* runDpo({ steps: 20 }))
      assert.closeTo(history[0]!["loss"]!, Math.LN2, 1e-5)
      assert.closeTo(history[0]!["rewards/margins"]!, 0, 1e-4)
      assert.isBelow(history.at(-1)!["loss"]!, 0.5)
      assert.isAbove(history.at(-1)!["rewards/accuracies"]!, 0.9)
    })
  )

  it.effect("a checkpoint loaded in half precision no longer says so after a training in float32", () =>
    Effect.gen(function* () {
      const half = { ...from, config: { ...from.config, torch_dtype: "bfloat16", dtype: "bfloat16" } }
      const context = { params: { ...training, steps: 1 }, input: Tiny.texts }
      const { config } = yield* Tiny.call<Checkpoint>(supervised, { ...context, inputs: { from: half } })
      assert.deepStrictEqual(config, { ...from.config, torch_dtype: "float32", dtype: "float32" })
      const plain = yield* Tiny.call<Checkpoint>(supervised, { ...context, inputs: { from } })
      assert.deepStrictEqual(plain.config, from.config)
    })
  )

  it.effect("micro-batches and their size change nothing but rounding", () =>
    Effect.gen(function* () {
      const whole = yield* runDpo()
      for (const microBatchSize of [1, 3]) {
        const cut = yield* runDpo({ microBatchSize })
        assert.isBelow(distance(whole, cut), 2e-4)
        for (const [i, entry] of log(cut).entries()) assert.closeTo(entry["loss"]!, log(whole)[i]!["loss"]!, 1e-4)
      }
    })
  )

  it.effect("the same seed gives the same bits; another seed another order", () =>
    Effect.gen(function* () {
      const [a, b, c] = [yield* runDpo(), yield* runDpo(), yield* runDpo({}, { seed: 1 })]
      assert.strictEqual(distance(a, b), 0)
      assert.deepStrictEqual(a.trainerState, b.trainerState)
      assert.isAbove(distance(a, c), 0)
    })
  )

  for (const after of [1, 2]) {
    it.effect(`interrupted after save ${after} and resumed, it ends with the bits of an undisturbed training`, () =>
      Effect.gen(function* () {
        const params = { saveEvery: 2, logEvery: 3 }
        const undisturbed = yield* runDpo(params)
        const kept = memory(after)
        const exit = yield* Effect.flatMap(Effect.forkChild(runDpo(params, { partial: kept.partial })), Fiber.await)
        assert.isTrue(Exit.hasInterrupts(exit))
        const resumed = yield* runDpo(params, { partial: kept.partial })
        assert.strictEqual(distance(resumed, undisturbed), 0)
        assert.deepStrictEqual(resumed.trainerState, undisturbed.trainerState)
      })
    )
  }

  const watched = { watch: Tiny.prompts.slice(0, 3) }

  it.effect("answers to watched prompts are told of, where they were asked for", () =>
    Effect.gen(function* () {
      const params = { steps: 5, logEvery: 5, watchEvery: 2, watchReward: length({ target: 3 }), watchTokens: 4 }
      const trained = yield* runDpo(params, {}, watched)
      const looks = log(trained).filter((entry) => "eval_kl" in entry)
      assert.deepStrictEqual(
        looks.map(({ step }) => step),
        [0, 2, 4, 5]
      )
      assert.closeTo(looks[0]!["eval_kl"]!, 0, 1e-5)
      assert.isAbove(Math.abs(looks.at(-1)!["eval_kl"]!), 1e-3)
      for (const { eval_length, eval_reward } of looks) {
        assert.isTrue(eval_length! >= 0 && eval_length! <= 4)
        assert.isTrue(eval_reward! <= 0)
      }
      assert.strictEqual(distance(trained, yield* runDpo({ ...params, watchEvery: 100 })), 0)
    })
  )

  it.effect("what a look tells is what the answers are, scored anew by both policies", () =>
    Effect.gen(function* () {
      const [rng, prompts] = [Rng.make(3, "look"), watched.watch]
      const policy = yield* Policy.load(Tiny.tinyPolicy(2, 10))
      const { measure } = yield* watching(policy, from, prompts, { watchEvery: 1, watchTokens: 5 }, rng)
      const told = yield* measure
      const sampling = { perPrompt: 1, maxTokens: 5, temperature: 1 }
      const drawn = (yield* answers(policy, prompts, sampling, rng.fork("watch"))).flat()
      const rows = drawn.map(({ finish, tokens }, p) => ({
        prompt: policy.encodePrompt(prompts[p]!),
        completion: finish === "stop" ? [...tokens, policy.eos] : [...tokens]
      }))
      const start = yield* Policy.load(from)
      const total = (scores: ReadonlyArray<Iterable<number>>) =>
        scores.flatMap((row) => [...row]).reduce((a, b) => a + b, 0)
      const [ours, theirs] = [yield* scoreCompletions(policy.model, rows), yield* scoreCompletions(start.model, rows)]
      assert.closeTo(told["eval_kl"]!, (total(ours) - total(theirs)) / prompts.length, 1e-4)
      assert.closeTo(told["eval_length"]!, drawn.flatMap(({ tokens }) => [...tokens]).length / prompts.length, 1e-12)
      assert.notProperty(told, "eval_reward")
    }).pipe(Effect.scoped)
  )

  it.effect("interrupted between two looks and resumed, it has looked as often as an undisturbed training", () =>
    Effect.gen(function* () {
      const params = { saveEvery: 3, logEvery: 2, watchEvery: 2, watchTokens: 4 }
      const undisturbed = yield* runDpo(params, {}, watched)
      const kept = memory(1)
      const exit = yield* Effect.flatMap(
        Effect.forkChild(runDpo(params, { partial: kept.partial }, watched)),
        Fiber.await
      )
      assert.isTrue(Exit.hasInterrupts(exit))
      const resumed = yield* runDpo(params, { partial: kept.partial }, watched)
      assert.deepStrictEqual(resumed.trainerState, undisturbed.trainerState)
      assert.strictEqual(distance(resumed, undisturbed), 0)
    })
  )

  it.effect("damaged partial state counts as none", () =>
    Effect.gen(function* () {
      const kept = memory(1)
      yield* Effect.flatMap(Effect.forkChild(runDpo({ saveEvery: 2 }, { partial: kept.partial })), Fiber.await)
      kept.damage()
      assert.strictEqual(
        distance(
          yield* runDpo({ saveEvery: 2 }, { partial: { ...kept.partial, save: () => Effect.void } }),
          yield* runDpo()
        ),
        0
      )
    })
  )

  it.effect("simpo trains without any reference, and says so if it is given one", () =>
    Effect.gen(function* () {
      const params = { objective: simpo(), ...training }
      const trained = yield* Tiny.call<Checkpoint>(preference, { params, input: Tiny.pairs, inputs: { from } })
      assert.isBelow(log(trained).at(-1)!["loss"]!, log(trained)[0]!["loss"]!)
      const given = { from, referenceLogProbs: yield* annotations() }
      const error = yield* Effect.flip(
        Tiny.call<Checkpoint, Error>(preference, { params, input: Tiny.pairs, inputs: given })
      )
      assert.include(error.message, "does not read the reference")
    })
  )

  it.effect("refuses a missing reference, one of other pairs, one of other tokens, and no pairs at all", () =>
    Effect.gen(function* () {
      const params = { objective: dpo(), ...training }
      const failing = (input: ReadonlyArray<unknown>, referenceLogProbs?: ReadonlyArray<PairLogProbs>) =>
        Effect.map(
          Effect.flip(Tiny.call<Checkpoint, Error>(preference, { params, input, inputs: { from, referenceLogProbs } })),
          ({ message }) => message
        )
      const right = yield* annotations()
      assert.include(yield* failing(Tiny.pairs), "reads the reference: give referenceLogProbs")
      assert.include(yield* failing(Tiny.pairs, right.slice(1)), "5 pairs, but reference log-probabilities of 4")
      assert.include(
        yield* failing(Tiny.pairs, [...right].reverse()),
        'pair "pair0": its reference log-probabilities are of other tokens'
      )
      assert.include(yield* failing([], []), "was given no pairs")
      const empty = [{ ...Tiny.pairs[0]!, chosen: { text: "", finish: "length" } }]
      assert.include(yield* failing(empty, right.slice(0, 1)), "an answer has no tokens")
    })
  )
})

layer(Device.layer("wasm"))("reference log-probabilities", (it) => {
  describe("score.log-probs", () => {
    it.effect("are those of the policy's own tokens, the end of the sequence included where the answer ended", () =>
      Effect.gen(function* () {
        const scored = yield* annotations()
        const policy = yield* Policy.load(from)
        for (const [i, pair] of Tiny.pairs.entries()) {
          const rejected = policy.encodeCompletion(pair.rejected)
          assert.strictEqual(scored[i]!.rejected.length, rejected.length)
          assert.strictEqual(rejected.at(-1) === policy.eos, pair.rejected.finish === "stop")
          const [alone] = yield* scoreCompletions(policy.model, [
            { prompt: policy.encodePrompt(pair.prompt), completion: rejected }
          ])
          for (const [t, x] of scored[i]!.rejected.entries()) assert.closeTo(x, alone![t]!, 1e-5)
        }
      }).pipe(Effect.scoped)
    )
  })
})
