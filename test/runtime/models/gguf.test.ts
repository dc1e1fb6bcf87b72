/** GGUF by an independent reader, and by llama.cpp itself. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it, layer } from "@effect/vitest"
import { gguf } from "@huggingface/gguf"
import { Effect } from "effect"
import type { Checkpoint } from "../../../dsl/Checkpoint.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { Device } from "../../../runtime/device/Device.ts"
import { halfBits } from "../../../runtime/models/gguf/format.ts"
import { toGguf } from "../../../runtime/models/gguf.ts"
import { withHead } from "../../../runtime/models/head.ts"
import * as Policy from "../../../runtime/models/Policy.ts"
import { scoreCompletions } from "../../../runtime/models/score.ts"
import { byteLevel, hasStories, stories, writeGguf } from "../../services/checkpoints.ts"
import * as LlamaCpp from "../../services/llamaCpp.ts"
import { tinyPolicy } from "../../stages/tinyPolicy.ts"

const folder = mkdtempSync(join(tmpdir(), "prefline-gguf-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))

const TEXTS = ["the food was good", "not  so\n\ngood!", "naïve 不 🙂 café's", " a ", "I'll pay 1234.5 $"]

describe("toGguf", () => {
  it.effect("is read by an independent reader", () =>
    Effect.gen(function* () {
      const checkpoint = byteLevel()
      const file = yield* writeGguf(checkpoint, join(folder, "read.gguf"))
      const { metadata, tensorDataOffset, tensorInfos } = yield* Effect.promise(() =>
        gguf(file, { allowLocalFile: true })
      )
      const fields = metadata as unknown as Readonly<Record<string, unknown>>
      assert.strictEqual(fields["version"], 3)
      assert.strictEqual(fields["general.architecture"], "llama")
      assert.strictEqual(fields["llama.attention.head_count_kv"], 2)
      assert.strictEqual(fields["tokenizer.ggml.bos_token_id"], 0)
      assert.strictEqual((fields["tokenizer.ggml.tokens"] as ReadonlyArray<string>).length, 272)
      assert.strictEqual((fields["tokenizer.ggml.token_type"] as ReadonlyArray<number>)[271], 5)
      assert.strictEqual(tensorInfos.length, checkpoint.weights.size)
      const bytes = Buffer.concat([...(yield* toGguf(checkpoint))])
      const at = (name: string) => {
        const { dtype, offset, shape } = tensorInfos.find((info) => info.name === name)!
        assert.strictEqual(dtype, 0)
        const count = Number(shape.reduce((product, length) => product * length, 1n))
        const begin = bytes.byteOffset + Number(tensorDataOffset) + Number(offset)
        return { shape: shape.map(Number), data: new Float32Array(bytes.buffer.slice(begin, begin + 4 * count)) }
      }
      const weight = (name: string) => checkpoint.weights.get(name)!.data
      assert.deepStrictEqual(at("token_embd.weight"), {
        shape: [32, 272],
        data: weight("model.embed_tokens.weight") as never
      })
      assert.deepStrictEqual(at("blk.1.ffn_down.weight").data, weight("model.layers.1.mlp.down_proj.weight") as never)
      // heads of width 8: rows 0, 1, 2 are rows 0, 4, 1
      const [ours, theirs] = [weight("model.layers.0.self_attn.k_proj.weight"), at("blk.0.attn_k.weight").data]
      for (const [row, source] of [0, 4, 1, 5, 2, 6, 3, 7, 8, 12].entries())
        assert.deepStrictEqual(
          theirs.slice(32 * row, 32 * row + 32),
          ours.slice(32 * source, 32 * source + 32) as never
        )
    })
  )

  it.effect("stores halves as the platform rounds them", () =>
    Effect.gen(function* () {
      const float16 = (x: number) => {
        const view = new DataView(new ArrayBuffer(2))
        ;(view as unknown as { setFloat16(at: number, x: number): void }).setFloat16(0, x)
        return view.getUint16(0)
      }
      const rng = Rng.make(0, "halves")
      const odd = [
        0,
        -0,
        1,
        65504,
        65519.99,
        65520,
        1e9,
        -1e-9,
        2 ** -24,
        2 ** -25,
        1.5 * 2 ** -25,
        2 ** -14,
        1 + 2 ** -11
      ]
      const drawn = Array.from({ length: 20_000 }, (_, i) => rng.normal(i) * 2 ** rng.int(i + 1e6, 40) * 2 ** -26)
      for (const x of [...odd, ...drawn].map(Math.fround)) assert.strictEqual(halfBits(x), float16(x), String(x))
      const size = (chunks: Iterable<Uint8Array>) => Buffer.concat([...chunks]).length
      const half = size(yield* toGguf(byteLevel(), { precision: "F16" }))
      assert.isBelow(half, 0.65 * size(yield* toGguf(byteLevel())))
    })
  )

  it.effect("refuses what llama.cpp would compute or read otherwise", () =>
    Effect.gen(function* () {
      const refused = (checkpoint: Checkpoint, problem: RegExp, options = {}) =>
        Effect.map(Effect.flip(toGguf(checkpoint, options)), (error) => {
          assert.strictEqual(error._tag, "GgufUnsupported")
          assert.match(error.message, problem)
        })
      const tiny = tinyPolicy(1)
      const tokenizer = tiny.tokenizer as Readonly<Record<string, never>>
      yield* refused({ ...tiny, tokenizer: { ...tokenizer, normalizer: { type: "Lowercase" } } }, /cuts texts in a way/)
      const prefixed = { ...(tokenizer["pre_tokenizer"] as unknown as object), add_prefix_space: true }
      yield* refused({ ...tiny, tokenizer: { ...tokenizer, pre_tokenizer: prefixed } as never }, /cuts texts in a way/)
      yield* refused({ ...tiny, weights: withHead(tiny, 1, 0, Rng.make(0, "head")).weights }, /reward model/)
      const large = new Map(tiny.weights)
      const embedding = large.get("model.embed_tokens.weight")!
      large.set("model.embed_tokens.weight", { ...embedding, data: embedding.data.map(() => 1e5) })
      yield* refused({ ...tiny, weights: large }, /beyond 65504/, { precision: "F16" })
    })
  )
})

if (LlamaCpp.folder === undefined)
  console.warn("SKIPPED: llama.cpp. Set PREFLINE_LLAMA_CPP to what `npm run -s llama-cpp` prints.")
else
  layer(Device.layer("wasm"))("llama.cpp", (it) => {
    const agrees = Effect.fnUntraced(function* (
      checkpoint: Checkpoint,
      texts: ReadonlyArray<string>,
      tolerance: number
    ) {
      const policy = yield* Policy.load(checkpoint)
      const file = yield* writeGguf(checkpoint, join(folder, "agrees.gguf"))
      const { model } = yield* Effect.acquireRelease(
        Effect.promise(() => LlamaCpp.load(file)),
        ({ llama }) => Effect.promise(() => llama.dispose())
      )
      const context = yield* Effect.promise(() => model.createContext(LlamaCpp.contextOptions(model, 1)))
      const sequence = context.getSequence()
      assert.deepStrictEqual([model.tokens.bos, model.tokens.eos] as unknown, [policy.bos, policy.eos])
      for (const text of texts) {
        const completion = policy.tokenizer.encode(text)
        assert.deepStrictEqual(model.tokenize(text, false) as ReadonlyArray<number>, completion, JSON.stringify(text))
        const [expected] = yield* scoreCompletions(policy.model, [{ prompt: [policy.bos], completion }])
        const read = [policy.bos, ...completion.slice(0, -1)] as Array<LlamaCpp.Token>
        const found = yield* Effect.promise(() => LlamaCpp.distributions(sequence, read))
        for (const [t, token] of completion.entries())
          assert.closeTo(
            Math.log(found[t]!.get(token as LlamaCpp.Token)!),
            expected![t]!,
            tolerance,
            `${text}, token ${t}`
          )
      }
    }, Effect.scoped)

    it.effect("tokenizes and computes as we do: byte-level, own head, grouped heads", () =>
      agrees(byteLevel(), TEXTS, 1e-4)
    )
    it.effect("tied head, one key head, wide heads", () =>
      agrees(byteLevel({ tie_word_embeddings: true, num_key_value_heads: 1, head_dim: 12 }), TEXTS, 1e-4)
    )
    if (hasStories)
      it.effect("a real model with a SentencePiece tokenizer", () =>
        Effect.flatMap(stories(), (checkpoint) =>
          agrees(
            checkpoint,
            [...TEXTS, "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."],
            1e-4
          )
        )
      )
    it.effect("a head in the wrong order would show", () =>
      Effect.gen(function* () {
        const checkpoint = byteLevel()
        const weights = new Map(checkpoint.weights)
        const name = "model.layers.0.self_attn.q_proj.weight"
        const { data, shape } = weights.get(name)!
        const rows = Array.from({ length: shape[0]! }, (_, row) => data.subarray(32 * row, 32 * row + 32))
        weights.set(name, { shape, data: Float32Array.from(rows.toReversed().flatMap((row) => [...row])) })
        const file = join(folder, "wrong.gguf")
        writeFileSync(file, Buffer.concat([...(yield* toGguf({ ...checkpoint, weights }))]))
        const { llama, model } = yield* Effect.promise(() => LlamaCpp.load(file))
        const context = yield* Effect.promise(() => model.createContext(LlamaCpp.contextOptions(model, 1)))
        const policy = yield* Policy.load(checkpoint)
        const completion = policy.tokenizer.encode("the food was good")
        const [expected] = yield* scoreCompletions(policy.model, [{ prompt: [policy.bos], completion }])
        const found = yield* Effect.promise(() =>
          LlamaCpp.distributions(context.getSequence(), [
            policy.bos,
            ...completion.slice(0, -1)
          ] as Array<LlamaCpp.Token>)
        )
        const gaps = completion.map((token, t) =>
          Math.abs(Math.log(found[t]!.get(token as LlamaCpp.Token)!) - expected![t]!)
        )
        assert.isAbove(Math.max(...gaps), 1e-2)
        yield* Effect.promise(() => llama.dispose())
      }).pipe(Effect.scoped)
    )
  })
