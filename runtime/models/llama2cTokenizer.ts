/** The tokenizer of llama2.c: SentencePiece's byte-pair encoding, merging by score, with single bytes to fall back on. */
import { Effect } from "effect"
import { Llama2cInvalid } from "./llama2c.ts"

export interface Llama2cTokenizer {
  readonly vocabularySize: number
  readonly bos: number
  readonly eos: number
  /** Token ids of a text; a leading space is added to a text that is not empty, begin-of-sequence only if asked for. */
  readonly encode: (text: string, options?: { readonly bos?: boolean }) => ReadonlyArray<number>
  /**
   * The text of token ids. Special tokens give nothing, the space that `encode` adds after begin-of-sequence goes; bytes
   * that are no UTF-8 become replacement characters.
   */
  readonly decode: (tokens: ReadonlyArray<number>) => string
}

const BOS = 1
const EOS = 2
/** Token 3 is byte 0, token 258 byte 255. */
const FIRST_BYTE = 3
const FIRST_TEXT = FIRST_BYTE + 256

/**
 * Reads `tokenizer.bin`: int32 longest token, then for each token float32 score, int32 length, UTF-8 bytes.
 * **Source** karpathy/llama2.c, run.c `build_tokenizer`, `encode` and `decode`.
 */
export const read = (bytes: Uint8Array, vocabularySize: number): Effect.Effect<Llama2cTokenizer, Llama2cInvalid> => {
  const invalid = (reason: string) => Effect.fail(new Llama2cInvalid({ reason: `tokenizer: ${reason}` }))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const pieces: Array<string> = []
  const scores: Array<number> = []
  let at = 4
  for (let token = 0; token < vocabularySize; token++) {
    if (at + 8 > bytes.byteLength) return invalid(`ends before token ${token} of ${vocabularySize}`)
    const length = view.getInt32(at + 4, true)
    if (length < 0 || at + 8 + length > bytes.byteLength) return invalid(`token ${token} has length ${length}`)
    scores.push(view.getFloat32(at, true))
    pieces.push(new TextDecoder().decode(bytes.subarray(at + 8, at + 8 + length)))
    at += 8 + length
  }
  if (at !== bytes.byteLength) return invalid(`${bytes.byteLength - at} bytes are left after ${vocabularySize} tokens`)
  if (vocabularySize < FIRST_TEXT) return invalid(`${vocabularySize} tokens do not hold the 256 bytes`)
  return Effect.succeed(make(pieces, scores))
}

const make = (pieces: ReadonlyArray<string>, scores: ReadonlyArray<number>): Llama2cTokenizer => {
  const ids = new Map<string, number>()
  for (let token = FIRST_TEXT; token < pieces.length; token++)
    if (!ids.has(pieces[token]!)) ids.set(pieces[token]!, token)

  /** Joins the neighbours whose union has the highest score, leftmost first, until none is a token. */
  const merge = (tokens: Array<number>): Array<number> => {
    for (;;) {
      let best = -1
      let joined = -1
      for (let i = 0; i + 1 < tokens.length; i++) {
        const union = ids.get(text(tokens[i]!) + text(tokens[i + 1]!))
        if (union !== undefined && (best < 0 || scores[union]! > scores[joined]!)) {
          best = i
          joined = union
        }
      }
      if (best < 0) return tokens
      tokens.splice(best, 2, joined)
    }
  }
  /** A single byte is no text, so it never joins a neighbour. */
  const text = (token: number) => (token >= FIRST_TEXT ? pieces[token]! : "\0")
  const bytesOf = (character: string) => Array.from(new TextEncoder().encode(character), (byte) => byte + FIRST_BYTE)

  return {
    vocabularySize: pieces.length,
    bos: BOS,
    eos: EOS,
    encode: (text, options = {}) => {
      const characters = text === "" ? [] : [" ", ...text]
      const tokens = characters.flatMap((character) => ids.get(character) ?? bytesOf(character))
      return [...(options.bos ? [BOS] : []), ...merge(tokens)]
    },
    decode: (tokens) => {
      const bytes: Array<number> = []
      tokens.forEach((token, i) => {
        if (token < FIRST_BYTE) return
        if (token < FIRST_TEXT) {
          bytes.push(token - FIRST_BYTE)
          return
        }
        const piece = pieces[token] ?? ""
        bytes.push(...new TextEncoder().encode(tokens[i - 1] === BOS && piece.startsWith(" ") ? piece.slice(1) : piece))
      })
      return new TextDecoder().decode(Uint8Array.from(bytes))
    }
  }
}
