import { Effect, Schema } from "effect"

/** A prompt and what follows it, as token ids. The completion holds its end-of-sequence token, if it reached one. */
export interface Row {
  readonly prompt: ReadonlyArray<number>
  readonly completion: ReadonlyArray<number>
}

/**
 * Rows padded on the right to one width, on the host: row-major grids of `rows x columns`.
 * **Details** `mask` is 1 on completion tokens, end-of-sequence included, and 0 on prompts and padding; `lengths` counts a
 * row's tokens without padding. Padding holds token 0 and is never looked at.
 */
export interface Batch {
  readonly rows: number
  readonly columns: number
  readonly tokens: Int32Array
  readonly mask: Uint8Array
  readonly lengths: Int32Array
}

/** A row cannot be given to the model. */
export class TokensInvalid extends Schema.TaggedError<TokensInvalid>()("TokensInvalid", {
  row: Schema.Int,
  reason: Schema.String
}) {
  override get message() {
    return `row ${this.row} ${this.reason}`
  }
}

/** What a model takes: its vocabulary and the most tokens in a sequence. */
export interface Limits {
  readonly vocab_size: number
  readonly max_position_embeddings: number
}

/**
 * Pads rows into a batch. The width is the longest row's, rounded up to a multiple of `multiple` (8 by default), so that
 * few shapes occur.
 */
export const make = (rows: ReadonlyArray<Row>, options: { readonly multiple?: number } = {}): Batch => {
  const multiple = options.multiple ?? 8
  const lengths = Int32Array.from(rows, ({ completion, prompt }) => prompt.length + completion.length)
  const columns = Math.ceil(Math.max(1, ...lengths) / multiple) * multiple
  const tokens = new Int32Array(rows.length * columns)
  const mask = new Uint8Array(rows.length * columns)
  rows.forEach(({ completion, prompt }, row) => {
    tokens.set(prompt, row * columns)
    tokens.set(completion, row * columns + prompt.length)
    mask.fill(1, row * columns + prompt.length, row * columns + prompt.length + completion.length)
  })
  return { rows: rows.length, columns, tokens, mask, lengths }
}

/** Fails on the first row that the model cannot take: no prompt token to start from, too long, or an unknown token. */
export const validate = (rows: ReadonlyArray<Row>, limits: Limits): Effect.Effect<void, TokensInvalid> => {
  for (const [row, { completion, prompt }] of rows.entries()) {
    const length = prompt.length + completion.length
    if (prompt.length === 0)
      return Effect.fail(
        new TokensInvalid({ row, reason: "has an empty prompt; begin it with the begin-of-sequence token" })
      )
    if (length > limits.max_position_embeddings)
      return Effect.fail(
        new TokensInvalid({ row, reason: `has ${length} tokens; the model takes ${limits.max_position_embeddings}` })
      )
    const unknown = [...prompt, ...completion].find((id) => !Number.isInteger(id) || id < 0 || id >= limits.vocab_size)
    if (unknown !== undefined)
      return Effect.fail(
        new TokensInvalid({ row, reason: `has token ${unknown}; the vocabulary ends at ${limits.vocab_size - 1}` })
      )
  }
  return Effect.void
}
