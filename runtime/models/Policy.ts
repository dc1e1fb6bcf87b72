/** A checkpoint ready to be used: the model on the device, its tokenizer, and how prompts and answers become tokens. */
import { Effect, Schema, type Scope } from "effect"
import type { Completion, Prompt } from "../../dsl/artifacts.ts"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import type { Device } from "../device/Device.ts"
import type { Row } from "./Batch.ts"
import * as Llama from "./Llama.ts"
import * as Tokenizer from "./Tokenizer.ts"

export interface Policy {
  readonly model: Llama.Llama
  readonly tokenizer: Tokenizer.Tokenizer
  readonly bos: number
  readonly eos: number
  /** The begin-of-sequence token, once, and the prompt's own tokens. */
  readonly encodePrompt: (prompt: Prompt) => ReadonlyArray<number>
  /**
   * The answer's tokens, with the end-of-sequence token if it ended by itself. The ids that a policy sampled are used as
   * they are, provided this tokenizer reads them as the same text; else the text is encoded, as what follows a prompt.
   */
  readonly encodeCompletion: (completion: Completion) => ReadonlyArray<number>
  /** What an answer's tokens add to the text of a prompt, the space that they begin with included. */
  readonly decodeCompletion: (tokens: ReadonlyArray<number>) => string
}

/** The checkpoint's tokenizer cannot be used with its model. */
export class PolicyInvalid extends Schema.TaggedError<PolicyInvalid>()("PolicyInvalid", { problem: Schema.String }) {
  override get message() {
    return `checkpoint, tokenizer: ${this.problem}`
  }
}

export type LoadError = PolicyInvalid | Llama.ConfigInvalid | Llama.ModelInvalid | Tokenizer.TokenizerInvalid

/** Puts the model on the device for the life of the scope. */
export const load = Effect.fn("Policy.load")(function* (
  checkpoint: Checkpoint
): Effect.fn.Return<Policy, LoadError, Device | Scope.Scope> {
  const config = yield* Llama.decode(checkpoint.config)
  const tokenizer = yield* Tokenizer.fromJson(checkpoint.tokenizer, checkpoint.tokenizerConfig)
  const { bos, eos } = tokenizer
  if (bos === undefined || eos === undefined) {
    const missing = bos === undefined ? "begin-of-sequence" : "end-of-sequence"
    return yield* new PolicyInvalid({ problem: `it names no ${missing} token` })
  }
  if (tokenizer.vocabSize > config.vocab_size) {
    const problem = `it has ${tokenizer.vocabSize} tokens, the model's embedding ${config.vocab_size}`
    return yield* new PolicyInvalid({ problem })
  }
  const model = yield* Llama.fromWeights(config, checkpoint.weights)
  return { model, ...encoders(tokenizer, bos, eos) }
})

/**
 * Tokenizers after Llama 2 put a space before a text and take one off when they decode, so an answer is read and written
 * behind a line feed, which stands for the prompt. To byte-level tokenizers that makes no difference.
 */
const BEFORE = "\n"

const encoders = (tokenizer: Tokenizer.Tokenizer, bos: number, eos: number): Omit<Policy, "model"> => {
  const before = tokenizer.encode(BEFORE)
  const decodeCompletion = (tokens: ReadonlyArray<number>) =>
    tokenizer.decode([...before, ...tokens]).slice(tokenizer.decode(before).length)
  const readsAs = (tokens: ReadonlyArray<number>, text: string) =>
    tokens.every((id) => tokenizer.tokenOf(id) !== undefined) && decodeCompletion(tokens) === text
  const encodeText = (text: string) => {
    const alone = tokenizer.encode(text)
    if (decodeCompletion(alone) === text) return alone
    const behind = tokenizer.encode(BEFORE + text)
    const follows = before.every((id, i) => behind[i] === id) && readsAs(behind.slice(before.length), text)
    return follows ? behind.slice(before.length) : alone
  }
  return {
    tokenizer,
    bos,
    eos,
    encodePrompt: ({ text }) => [bos, ...tokenizer.encode(text)],
    encodeCompletion: ({ finish, text, tokens }) => {
      const ids = tokens !== undefined && readsAs(tokens, text) ? tokens : encodeText(text)
      return finish === "stop" ? [...ids, eos] : ids
    },
    decodeCompletion
  }
}

/** A prompt with its answer, as the model is fed. */
export const rowOf = (policy: Policy, prompt: Prompt, completion: Completion): Row => ({
  prompt: policy.encodePrompt(prompt),
  completion: policy.encodeCompletion(completion)
})
