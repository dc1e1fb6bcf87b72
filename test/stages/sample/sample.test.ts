import { assert, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { CompletionGroup, Prompt } from "../../../dsl/artifacts.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { Device } from "../../../runtime/device/Device.ts"
import * as Policy from "../../../runtime/models/Policy.ts"
import { sample } from "../../../stages/sample/sample.ts"
import * as Tiny from "../tinyPolicy.ts"

const policy = Tiny.tinyPolicy(1, 10)
const run = (params: object, prompts: ReadonlyArray<Prompt> = Tiny.prompts, seed = 0) =>
  Stream.runCollect(
    sample.stage.run({
      params: sample.stage.params.make(params as never),
      input: { stream: Stream.fromIterable(prompts) },
      inputs: { policy },
      rng: Rng.make(seed, "sample")
    } as never) as Stream.Stream<CompletionGroup, any, Device>
  )

layer(Device.layer("wasm"))("sample", (it) => {
  it.effect("answers every prompt as often as asked, in order, within the limit", () =>
    Effect.gen(function* () {
      const groups = yield* run({ perPrompt: 3, maxTokens: 5 })
      assert.deepStrictEqual(
        groups.map(({ prompt }) => prompt),
        [...Tiny.prompts]
      )
      for (const { completions } of groups) {
        assert.strictEqual(completions.length, 3)
        for (const { finish, tokens } of completions) {
          assert.isAtMost(tokens!.length, 5)
          if (finish === "length") assert.strictEqual(tokens!.length, 5)
        }
      }
    })
  )

  it.effect("the tokens are those of the text, and the end-of-sequence token is never among them", () =>
    Effect.gen(function* () {
      const { eos, tokenizer } = yield* Policy.load(policy)
      for (const { completions } of yield* run({ perPrompt: 8 })) {
        for (const { text, tokens } of completions) {
          assert.strictEqual(tokenizer.decode(tokens!), text)
          assert.notInclude(tokens!, eos)
        }
      }
    }).pipe(Effect.scoped)
  )

  it.effect("an answer depends on its prompt, its number and the seed, and on nothing beside it", () =>
    Effect.gen(function* () {
      const [all, fewer, alone, other] = [
        yield* run({ perPrompt: 4 }),
        yield* run({ perPrompt: 2 }),
        yield* run({ perPrompt: 4 }, [Tiny.prompts[1]!]),
        yield* run({ perPrompt: 4 }, Tiny.prompts, 1)
      ]
      assert.deepStrictEqual(
        fewer,
        all.map((group) => ({ ...group, completions: group.completions.slice(0, 2) }))
      )
      assert.deepStrictEqual(alone[0], all[1])
      assert.notDeepEqual(other, all)
      const texts = all.flatMap(({ completions }) => completions.map(({ text }) => text))
      assert.isAbove(new Set(texts).size, 12)
    })
  )

  it.effect("prompts of one text draw answers of their own", () =>
    Effect.gen(function* () {
      const same = ["a", "b", "c"].map((id) => ({ id, text: "the food" }))
      const texts = (yield* run({ perPrompt: 1 }, same)).map(({ completions }) => completions[0]!.text)
      assert.strictEqual(new Set(texts).size, 3)
    })
  )

  it.effect("topK and a small topP reach the sampler: with one token left, sampling is greedy", () =>
    Effect.gen(function* () {
      const greedy = yield* run({ temperature: 0 })
      assert.deepStrictEqual(yield* run({ topK: 1 }), greedy)
      assert.deepStrictEqual(yield* run({ topP: 1e-9 }), greedy)
    })
  )

  it.effect("at temperature 0 all answers to a prompt are the same", () =>
    Effect.gen(function* () {
      for (const { completions } of yield* run({ perPrompt: 3, temperature: 0 })) {
        assert.strictEqual(new Set(completions.map(({ text }) => text)).size, 1)
      }
    })
  )

  it.effect("streams: the first answers come before the last prompt is read", () =>
    Effect.gen(function* () {
      let read = 0
      const many = Stream.fromIterable(Array.from({ length: 500 }, (_, i) => ({ id: `p${i}`, text: "the" }))).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sync(() => void read++))
      )
      const stream = sample.stage.run({
        params: sample.stage.params.make({ maxTokens: 1 } as never),
        input: { stream: many },
        inputs: { policy },
        rng: Rng.make(0, "sample")
      } as never) as Stream.Stream<CompletionGroup, any, Device>
      yield* Stream.runCollect(Stream.take(stream, 1))
      assert.isAtMost(read, 128)
    })
  )
})
