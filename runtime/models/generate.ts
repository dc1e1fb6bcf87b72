import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import type * as Rng from "../../dsl/Rng.ts"
import { cachedAttention, type KeyValueCache } from "../tensor/cachedAttention.ts"
import { gatherRows } from "../tensor/gatherRows.ts"
import * as Batch from "./Batch.ts"
import { drawTokens } from "./drawTokens.ts"
import { headName, hidden, type Pass, projection } from "./forward.ts"
import { type Llama, ModelDiverged } from "./Llama.ts"
import type { Sampling } from "./sampling.ts"

/** One completion to make. */
export interface Request {
  /** Token ids, at least one: a begin-of-sequence token makes an empty prompt. */
  readonly prompt: ReadonlyArray<number>
  /** The request's own generator: token `t` of the completion uses `rng.uniform(t)`. */
  readonly rng: Rng.Rng
  /** Overrides the options' limit for this request. */
  readonly maxTokens?: number
}

export interface Options extends Sampling {
  readonly maxTokens: number
  readonly stopTokens: ReadonlyArray<number>
  /** Most sequences decoded together; 64 by default. Changes the speed only. */
  readonly batchSize?: number
}

export interface Generation {
  /** The completion, without the stop token. */
  readonly tokens: ReadonlyArray<number>
  /**
   * Log-probability in nats of each token under the model itself, at temperature 1 and with nothing cut off; after a stop,
   * the stop token's is the last, one more than there are tokens.
   */
  readonly logProbs: ReadonlyArray<number>
  /** `stop`: a stop token came, `stopToken` says which. `length`: the limit, or the model's last position, was reached. */
  readonly finish: "stop" | "length"
  readonly stopToken?: number
}

/**
 * Completes prompts, results in the order of the requests.
 * **Details** A result depends on its own request only, not on what shares its batch: rows of a matrix product do not mix,
 * attention is per sequence, and draws come from the request's generator. Sequences of different lengths decode together
 * without padding; a finished one leaves at once, and waiting requests take its cache slot when a quarter of them are free.
 * Yields to the event loop between tokens and leaves no tensor behind, interrupted or not.
 */
export const generate = Effect.fn("Llama.generate")(function* (
  model: Llama,
  requests: ReadonlyArray<Request>,
  options: Options
): Effect.fn.Return<ReadonlyArray<Generation>, Batch.TokensInvalid | ModelDiverged> {
  yield* Batch.validate(
    requests.map(({ prompt }) => ({ prompt, completion: [] })),
    model.config
  )
  const results = new Array<Generation>(requests.length)
  const waiting: Array<Sequence> = []
  for (const [index, request] of requests.entries()) {
    const sequence = start(model, request, options, index)
    if (sequence.limit === 0) results[index] = { tokens: [], logProbs: [], finish: "length" }
    else waiting.push(sequence)
  }
  if (waiting.length === 0) return results
  const slotCount = Math.min(options.batchSize ?? 64, waiting.length)
  const capacity = waiting.reduce((most, { limit, prompt }) => Math.max(most, prompt.length + limit), 0)
  yield* Effect.acquireUseRelease(
    Effect.sync(() => open(model, slotCount, capacity)),
    (decoder) => decode(model, decoder, waiting.reverse(), slotCount, options, results),
    (decoder) => Effect.sync(() => close(decoder))
  )
  return results
})

/** A sequence under way. */
interface Sequence {
  readonly index: number
  readonly prompt: ReadonlyArray<number>
  readonly rng: Rng.Rng
  readonly limit: number
  readonly tokens: Array<number>
  readonly logProbs: Array<number>
  slot: number
}

const start = ({ config }: Llama, request: Request, options: Options, index: number): Sequence => ({
  index,
  prompt: request.prompt,
  rng: request.rng,
  limit: Math.min(request.maxTokens ?? options.maxTokens, config.max_position_embeddings - request.prompt.length),
  tokens: [],
  logProbs: [],
  slot: -1
})

/** What decoding keeps on the device: a cache for each layer. */
type Decoder = ReadonlyArray<KeyValueCache>

const open = ({ config, heads }: Llama, slots: number, capacity: number): Decoder => {
  const empty = () => tf.variable(tf.zeros<tf.Rank.R3>([slots, capacity, heads.keyValueHeads * heads.headDim]), false)
  return tf.tidy(() => Array.from({ length: config.num_hidden_layers }, () => ({ keys: empty(), values: empty() })))
}

const close = (decoder: Decoder): void => {
  for (const { keys, values } of decoder) tf.dispose([keys, values])
}

/** Decodes until nothing waits and nothing is under way; `waiting` is taken from its end. */
const decode = Effect.fnUntraced(function* (
  model: Llama,
  decoder: Decoder,
  waiting: Array<Sequence>,
  slotCount: number,
  options: Options,
  results: Array<Generation>
) {
  const free = Array.from({ length: slotCount }, (_, slot) => slot)
  let active: Array<Sequence> = []
  while (active.length > 0 || waiting.length > 0) {
    yield* Effect.yieldNow
    const admitted: Array<Sequence> = []
    if (active.length === 0 || free.length >= slotCount / 4)
      while (free.length > 0 && waiting.length > 0) {
        const sequence = waiting.pop()!
        sequence.slot = free.pop()!
        admitted.push(sequence)
      }
    const running = [...active, ...admitted]
    const uniforms = Float64Array.from(running, ({ rng, tokens }) => rng.uniform(tokens.length))
    const drawn = yield* drawTokens(() => nextLogits(model, decoder, running), options, uniforms)
    active = []
    for (const [row, sequence] of running.entries()) {
      const result = extend(sequence, drawn.tokens[row]!, drawn.logProbs[row]!, options)
      if (!Number.isFinite(sequence.logProbs.at(-1)))
        return yield* new ModelDiverged({ row: sequence.index, token: sequence.logProbs.length - 1 })
      if (result) {
        results[sequence.index] = result
        free.push(sequence.slot)
      } else active.push(sequence)
    }
  }
})

/** Logits `[sequences, vocabulary]` after each sequence's last token; a new sequence's prompt is read here. */
const nextLogits = (model: Llama, decoder: Decoder, running: ReadonlyArray<Sequence>): tf.Tensor2D => {
  const tokens: Array<number> = []
  const slots: Array<number> = []
  const positions: Array<number> = []
  const last: Array<number> = []
  for (const sequence of running) {
    const fresh = sequence.tokens.length === 0
    const unread = fresh ? sequence.prompt : sequence.tokens.slice(-1)
    const offset = fresh ? 0 : sequence.prompt.length + sequence.tokens.length - 1
    unread.forEach((token, i) => {
      tokens.push(token)
      slots.push(sequence.slot)
      positions.push(offset + i)
    })
    last.push(tokens.length - 1)
  }
  const rows = { slots: Int32Array.from(slots), positions: Int32Array.from(positions) }
  const attend: Pass["attend"] = (layer, q, k, v) => cachedAttention(q, k, v, decoder[layer]!, rows, model.heads)
  const states = hidden(model, Int32Array.from(tokens), { project: projection(model), attend })
  const ends = last.length === tokens.length ? states : gatherRows(states, Int32Array.from(last))
  return projection(model)(ends, headName(model))
}

/** Adds the sequence's next token; returns the result if that ends it. */
const extend = (sequence: Sequence, token: number, logProb: number, options: Options): Generation | undefined => {
  const { logProbs, tokens } = sequence
  logProbs.push(logProb)
  if (options.stopTokens.includes(token)) return { tokens, logProbs, finish: "stop", stopToken: token }
  tokens.push(token)
  return tokens.length >= sequence.limit ? { tokens, logProbs, finish: "length" } : undefined
}
