/** How a Hugging Face tokenizer.json with a BPE model is told to llama.cpp. */
import { Effect, Schema } from "effect"
import type { Checkpoint } from "../../../dsl/Checkpoint.ts"
import * as Tokenizer from "../Tokenizer.ts"
import { bool, float32s, int32s, string, strings, uint32, type Value } from "./format.ts"

/** A checkpoint that llama.cpp would not compute or read as prefline does. Never transient. */
export class GgufUnsupported extends Schema.TaggedError<GgufUnsupported>()("GgufUnsupported", {
  where: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `cannot be written as GGUF, ${this.where}: ${this.problem}`
  }
}

/** llama.cpp's kinds of token. */
const TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const

const Part = Schema.optionalKey(Schema.NullOr(Schema.JsonObject))
/** What `Tokenizer.fromJson` has not already held to a schema is read by it here. */
const Json = Schema.Struct({
  added_tokens: Schema.optionalKey(
    Schema.Array(Schema.Struct({ id: Schema.Int, content: Schema.String, special: Schema.optionalKey(Schema.Boolean) }))
  ),
  normalizer: Part,
  pre_tokenizer: Part,
  model: Schema.Struct({
    unk_token: Schema.optionalKey(Schema.NullOr(Schema.String)),
    byte_fallback: Schema.optionalKey(Schema.Boolean),
    ignore_merges: Schema.optionalKey(Schema.Boolean),
    vocab: Schema.Record(Schema.String, Schema.Int),
    merges: Schema.Array(Schema.Union([Schema.String, Schema.Tuple([Schema.String, Schema.String])]))
  })
})
type Json = typeof Json.Type

/**
 * The metadata of the tokenizer for an embedding of `vocabulary` rows; ids without a token become unused ones.
 * **Details** Byte-level tokenizers become llama.cpp's `gpt2` with their merges, provided they cut words as GPT-2, SmolLM or
 * Llama 3 do; those after SentencePiece (byte fallback, a space put before) become `llama`, each piece with minus the rank
 * of its first merge as its score. Everything else is refused.
 */
export const metadata = Effect.fnUntraced(function* (
  { tokenizer: json, tokenizerConfig }: Pick<Checkpoint, "tokenizer" | "tokenizerConfig">,
  vocabulary: number
): Effect.fn.Return<ReadonlyArray<readonly [string, Value]>, GgufUnsupported | Tokenizer.TokenizerInvalid> {
  const tokenizer = yield* Tokenizer.fromJson(json, tokenizerConfig)
  const parts = yield* Schema.decodeUnknownEffect(Json)(json).pipe(
    Effect.mapError(({ message }) => new GgufUnsupported({ where: "tokenizer.json", problem: message }))
  )
  if (tokenizer.vocabSize > vocabulary) {
    const problem = `it has ${tokenizer.vocabSize} tokens, the model's embedding ${vocabulary}`
    return yield* new GgufUnsupported({ where: "tokenizer.json", problem })
  }
  const { bos, eos, pad } = tokenizer
  const types = tokenTypes(parts, tokenizer, vocabulary)
  const tokens = Array.from({ length: vocabulary }, (_, id) => tokenizer.tokenOf(id) ?? `[unused${id}]`)
  const template = chatTemplate(tokenizerConfig)
  const unknown = parts.model.unk_token ? tokenizer.idOf(parts.model.unk_token) : undefined
  return [
    ...(yield* kind(parts, tokenizer, vocabulary)),
    ["tokenizer.ggml.tokens", strings(tokens)],
    ["tokenizer.ggml.token_type", int32s(types)],
    ...given("tokenizer.ggml.bos_token_id", bos),
    ...given("tokenizer.ggml.eos_token_id", eos),
    ...given("tokenizer.ggml.padding_token_id", pad),
    ...given("tokenizer.ggml.unknown_token_id", unknown),
    ["tokenizer.ggml.add_bos_token", bool(bos !== undefined)],
    ["tokenizer.ggml.add_eos_token", bool(false)],
    ...(template === undefined ? [] : [["tokenizer.chat_template", string(template)] as const])
  ]
})

const given = (name: string, id: number | undefined): ReadonlyArray<readonly [string, Value]> =>
  id === undefined ? [] : [[name, uint32(id)]]

const tokenTypes = (parts: Json, tokenizer: Tokenizer.Tokenizer, vocabulary: number): ReadonlyArray<number> => {
  const added = new Map(parts.added_tokens?.map(({ id, special }) => [id, special === true]))
  const named = new Set([tokenizer.bos, tokenizer.eos, tokenizer.pad])
  const unknown = parts.model.unk_token ? tokenizer.idOf(parts.model.unk_token) : undefined
  return Array.from({ length: vocabulary }, (_, id) => {
    const token = tokenizer.tokenOf(id)
    if (token === undefined) return TYPE.unused
    if (id === unknown) return TYPE.unknown
    if (added.get(id) === true || named.has(id)) return TYPE.control
    if (added.has(id)) return TYPE.userDefined
    return parts.model.byte_fallback === true && BYTE.test(token) ? TYPE.byte : TYPE.normal
  })
}
const BYTE = /^<0x[0-9A-F]{2}>$/

const kind = (
  parts: Json,
  tokenizer: Tokenizer.Tokenizer,
  vocabulary: number
): Effect.Effect<ReadonlyArray<readonly [string, Value]>, GgufUnsupported> => {
  const merges = parts.model.merges.map((merge) => (typeof merge === "string" ? merge.split(" ") : merge))
  const splits = wordPattern(parts)
  if (splits !== undefined)
    return Effect.succeed([
      ["tokenizer.ggml.model", string("gpt2")],
      ["tokenizer.ggml.pre", string(splits)],
      ["tokenizer.ggml.merges", strings(merges.map((merge) => merge.join(" ")))]
    ])
  if (parts.model.byte_fallback !== true || !prependsSpace(parts.normalizer))
    return Effect.fail(
      new GgufUnsupported({
        where: "tokenizer.json",
        problem:
          "it cuts texts in a way that llama.cpp is not told of here; known are GPT-2's byte-level words, those of SmolLM and of Llama 3, and SentencePiece with byte fallback"
      })
    )
  return Effect.map(scores(merges, tokenizer, vocabulary), (values) => [
    ["tokenizer.ggml.model", string("llama")],
    ["tokenizer.ggml.pre", string("default")],
    ["tokenizer.ggml.add_space_prefix", bool(true)],
    ["tokenizer.ggml.scores", float32s(values)]
  ])
}

/** llama.cpp's name of the pattern that cuts words, or `undefined` for a tokenizer that is not byte-level. */
const wordPattern = ({ model, normalizer, pre_tokenizer }: Json): string | undefined => {
  if ((normalizer ?? null) !== null) return undefined
  const found = JSON.stringify(steps(pre_tokenizer))
  const same = (known: ReadonlyArray<unknown>) => JSON.stringify(known) === found
  if (same([BYTES])) return "gpt-2"
  if (same([{ digits: true }, BYTES])) return "smollm"
  return model.ignore_merges === true && same([{ split: LLAMA3 }, { ...BYTES, words: false }]) ? "llama-bpe" : undefined
}
const BYTES = { bytes: true, words: true, space: false }
const LLAMA3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/** The steps of a pre-tokenizer as far as they change where words are cut. */
const steps = (part: Schema.Json | undefined): ReadonlyArray<unknown> => {
  if (typeof part !== "object" || part === null || Array.isArray(part)) return []
  const { add_prefix_space, behavior, individual_digits, pattern, pretokenizers, type, use_regex } =
    part as Schema.JsonObject
  switch (type) {
    case "Sequence":
      return Array.isArray(pretokenizers) ? pretokenizers.flatMap(steps) : []
    case "ByteLevel":
      return [{ bytes: true, words: use_regex !== false, space: add_prefix_space === true }]
    case "Digits":
      return [{ digits: individual_digits === true }]
    case "Split":
      return [
        { split: (pattern as Schema.JsonObject | undefined)?.["Regex"], ...(behavior !== "Isolated" && { behavior }) }
      ]
    default:
      return [{ other: type }]
  }
}

/** Whether a text gets a space before it and every space is written as SentencePiece's mark, and nothing else happens. */
const prependsSpace = (normalizer: Schema.JsonObject | null | undefined): boolean => {
  const inner = normalizer?.["normalizers"]
  if (normalizer?.["type"] !== "Sequence" || !Array.isArray(inner) || inner.length !== 2) return false
  const [prepend, replace] = inner as ReadonlyArray<Schema.JsonObject>
  const pattern = replace!["pattern"] as Schema.JsonObject | undefined
  return (
    prepend!["type"] === "Prepend" &&
    prepend!["prepend"] === SPACE &&
    replace!["type"] === "Replace" &&
    pattern?.["String"] === " " &&
    replace!["content"] === SPACE
  )
}
const SPACE = "\u2581"

/**
 * Scores under which joining the best-scored neighbours makes the merges in their order: minus the rank of a piece's first
 * merge. That is so where the merges of a piece stand together and are all that spell it, as SentencePiece has it.
 */
const scores = (
  merges: ReadonlyArray<ReadonlyArray<string>>,
  tokenizer: Tokenizer.Tokenizer,
  vocabulary: number
): Effect.Effect<ReadonlyArray<number>, GgufUnsupported> => {
  const first = new Map<string, number>()
  let last = ""
  for (const [rank, [left, right]] of merges.entries()) {
    const joined = left! + right!
    if (joined !== last && first.has(joined))
      return Effect.fail(
        new GgufUnsupported({
          where: `tokenizer.json, model.merges[${rank}]`,
          problem: `merges into ${JSON.stringify(joined)} do not stand together, so no score of that piece says when it is made`
        })
      )
    if (joined !== last) first.set(joined, rank)
    last = joined
  }
  return Effect.succeed(
    Array.from({ length: vocabulary }, (_, id) => -(first.get(tokenizer.tokenOf(id) ?? "") ?? merges.length))
  )
}

/** The template of conversations, of several the one named `default`. */
const chatTemplate = (config: Schema.JsonObject | undefined): string | undefined => {
  const template = config?.["chat_template"]
  if (typeof template === "string") return template
  if (!Array.isArray(template)) return undefined
  const named = template as ReadonlyArray<Schema.JsonObject>
  const found = named.find((entry) => entry["name"] === "default")?.["template"]
  return typeof found === "string" ? found : undefined
}
