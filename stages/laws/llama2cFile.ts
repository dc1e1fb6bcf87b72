/** A tiny model and a vocabulary as llama2.c writes them. */
import * as Rng from "../../dsl/Rng.ts"

const PIECES = [" ", "a", "b", "c", " a", "ab", "bc", " ab", "abc", " abc"]
const [DIM, INNER, LAYERS, HEADS, KEYS, POSITIONS] = [4, 8, 1, 2, 1, 16] as const
const VOCABULARY = 259 + PIECES.length

/** Every number of the model times `scale`. */
export const modelOf = (scale: number): Uint8Array => {
  const width = DIM / HEADS
  const layer = 2 * DIM + 2 * DIM * DIM + 2 * DIM * KEYS * width + 3 * DIM * INNER
  const rng = Rng.make(0, "llama2c")
  const length = VOCABULARY * DIM + LAYERS * layer + DIM + POSITIONS * width
  return new Uint8Array([
    ...new Uint8Array(Int32Array.of(DIM, INNER, LAYERS, HEADS, KEYS, VOCABULARY, POSITIONS).buffer),
    ...new Uint8Array(Float32Array.from({ length }, (_, i) => scale * rng.normal(i)).buffer)
  ])
}

const piece = (text: string, score: number) => {
  const bytes = new TextEncoder().encode(text)
  return [
    ...new Uint8Array(Float32Array.of(score).buffer),
    ...new Uint8Array(Int32Array.of(bytes.length).buffer),
    ...bytes
  ]
}

/** Later pieces have lower scores, as SentencePiece trains them: by `step` each. */
export const tokenizerOf = (step: number): Uint8Array =>
  new Uint8Array([
    ...new Uint8Array(Int32Array.of(4).buffer),
    ...["<unk>", "\n<s>\n", "\n</s>\n"].flatMap((text) => piece(text, 0)),
    ...Array.from({ length: 256 }, (_, byte) => piece(`<0x${byte.toString(16)}>`, 0)).flat(),
    ...PIECES.flatMap((text, i) => piece(text, -i * step))
  ])

export const model = modelOf(1)
export const tokenizer = tokenizerOf(1)
