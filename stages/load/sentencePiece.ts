/** The tokenizer.json of a vocabulary that SentencePiece trained by byte-pair encoding. */
import { Arbitrary, Effect, Schema } from "effect"
import { concatenate } from "../../dsl/internal/bytes.ts"
import * as Law from "../../dsl/Law.ts"

/** The bytes are not the vocabulary that llama2.c writes. */
export class VocabularyInvalid extends Schema.TaggedError<VocabularyInvalid>()("VocabularyInvalid", {
  problem: Schema.String
}) {
  override get message() {
    return `not a llama2.c tokenizer: ${this.problem}`
  }
}

export interface Piece {
  readonly text: string
  /** The higher, the sooner it is merged. */
  readonly score: number
}

const HEADER = 4
const FIRST_BYTE = 3
const FIRST_TEXT = FIRST_BYTE + 256
const SPECIAL = ["<unk>", "<s>", "</s>"]
/** SentencePiece writes a space as this character. */
const SPACE = "\u2581"

/**
 * The pieces of llama2.c's `tokenizer.bin`: an int32, then for each float32 score, int32 length, UTF-8 bytes;
 * little-endian.
 * **Source** karpathy/llama2.c, tokenizer.py `export`.
 */
export const pieces = (bytes: Uint8Array, count: number): Effect.Effect<ReadonlyArray<Piece>, VocabularyInvalid> => {
  const invalid = (problem: string) => Effect.fail(new VocabularyInvalid({ problem }))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found: Array<Piece> = []
  let at = HEADER
  for (let token = 0; token < count; token++) {
    const length = at + 8 <= bytes.byteLength ? view.getInt32(at + 4, true) : -1
    if (length < 0 || at + 8 + length > bytes.byteLength) return invalid(`ends at token ${token} of ${count}`)
    const score = view.getFloat32(at, true)
    found.push({ text: new TextDecoder().decode(bytes.subarray(at + 8, at + 8 + length)), score })
    at += 8 + length
  }
  if (at !== bytes.byteLength) return invalid(`${bytes.byteLength - at} bytes are left after ${count} tokens`)
  if (count < FIRST_TEXT) return invalid(`${count} tokens do not hold the 256 bytes`)
  return Effect.succeed(found)
}

/**
 * The same vocabulary in Hugging Face's form, which encodes every text to the same ids and decodes them back.
 * **Details** Tokens 0 to 2 are unknown, begin and end of sequence; 3 to 258 the bytes; the rest text. A piece is
 * merged from every two pieces that spell it, a higher score first. A space is put before a text and taken off again.
 */
export const tokenizerJson = (vocabulary: ReadonlyArray<Piece>): Schema.JsonObject => {
  const spelt = vocabulary.map(({ text }, id) => {
    if (id < FIRST_BYTE) return SPECIAL[id]!
    if (id < FIRST_TEXT) return `<0x${(id - FIRST_BYTE).toString(16).toUpperCase().padStart(2, "0")}>`
    return text.replaceAll(" ", SPACE)
  })
  const ids = new Map<string, number>()
  for (const [id, token] of spelt.entries()) if (!ids.has(token)) ids.set(token, id)
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true
    })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: SPACE },
        { type: "Replace", pattern: { String: " " }, content: SPACE }
      ]
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: SPACE }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 }
      ]
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: "<unk>",
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(ids),
      merges: merges(spelt, vocabulary, ids)
    }
  }
}

const merges = (
  spelt: ReadonlyArray<string>,
  vocabulary: ReadonlyArray<Piece>,
  ids: ReadonlyMap<string, number>
): ReadonlyArray<readonly [string, string]> => {
  const isText = (token: string) => (ids.get(token) ?? 0) >= FIRST_TEXT
  return spelt
    .map((token, id) => ({ token, id, score: vocabulary[id]!.score }))
    .filter(({ id, token }) => id >= FIRST_TEXT && ids.get(token) === id)
    .sort((a, b) => b.score - a.score)
    .flatMap(({ token }) => {
      const characters = [...token]
      return characters
        .slice(1)
        .map((_, i) => [characters.slice(0, i + 1).join(""), characters.slice(i + 1).join("")] as const)
        .filter(([left, right]) => isText(left) && isText(right))
    })
}

const Pieces = Arbitrary.array(
  Arbitrary.all([
    Arbitrary.array(Arbitrary.schema(Schema.Literals([" ", "a", "b", "é", "🙂"])), { minLength: 1, maxLength: 4 }),
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -40, maximum: 0 })))
  ]),
  { maxLength: 12 }
).pipe(Arbitrary.map((made) => made.map(([characters, score]): Piece => ({ text: characters.join(""), score }))))
const BASE = Array.from({ length: FIRST_TEXT }, (_, id): Piece => ({ text: `<${id}>`, score: 0 }))

/** As llama2.c writes it. */
const written = (vocabulary: ReadonlyArray<Piece>): Uint8Array => {
  const parts = vocabulary.map(({ score, text }) => {
    const bytes = new TextEncoder().encode(text)
    const head = new DataView(new ArrayBuffer(8))
    head.setFloat32(0, score, true)
    head.setInt32(4, bytes.length, true)
    return [new Uint8Array(head.buffer), bytes]
  })
  return concatenate([new Uint8Array(HEADER), ...parts.flat()])
}
const modelOf = (vocabulary: ReadonlyArray<Piece>) =>
  (
    tokenizerJson(vocabulary) as {
      readonly model: { vocab: Record<string, number>; merges: ReadonlyArray<[string, string]> }
    }
  ).model

export const laws: ReadonlyArray<Law.Law> = [
  Law.make("reads the pieces that llama2.c writes, and no file cut short", Pieces, (own) =>
    Effect.gen(function* () {
      const vocabulary = [...BASE, ...own]
      const bytes = written(vocabulary)
      const again = yield* pieces(bytes, vocabulary.length)
      const cut = yield* Effect.flip(pieces(bytes.subarray(0, bytes.length - 1), vocabulary.length))
      return JSON.stringify(again) === JSON.stringify(vocabulary) && cut instanceof VocabularyInvalid
    })
  ),
  Law.make("merges two pieces of text into a third, each two once, higher scores first", Pieces, (own) => {
    const vocabulary = [...BASE, ...own]
    const { merges, vocab } = modelOf(vocabulary)
    const scores = merges.map(([left, right]) => vocabulary[vocab[left + right]!]!.score)
    return (
      new Set(merges.map(String)).size === merges.length &&
      merges.every((merge) => merge.every((part) => vocab[part]! >= FIRST_TEXT)) &&
      scores.every((score, i) => i === 0 || score <= scores[i - 1]!)
    )
  }),
  Law.make("keeps the first id of every piece", Pieces, (own) => {
    const { vocab } = modelOf([...BASE, ...own])
    const first = ({ text }: Piece) => FIRST_TEXT + own.findIndex((piece) => piece.text === text)
    return own.every((piece) => vocab[piece.text.replaceAll(" ", SPACE)] === first(piece))
  })
]
