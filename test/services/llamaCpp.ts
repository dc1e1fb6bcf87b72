/** What the tests use of node-llama-cpp, which is installed apart (`npm run -s llama-cpp` prints where). */
import { join } from "node:path"
import { pathToFileURL } from "node:url"

export type Token = number & { readonly __token: never }

export interface Sequence {
  readonly contextTokens: ReadonlyArray<Token>
  clearHistory(): Promise<void>
  controlledEvaluate(
    input: ReadonlyArray<Token | readonly [Token, { generateNext: { probabilities: boolean } }]>
  ): Promise<ReadonlyArray<{ readonly next: { readonly probabilities?: ReadonlyMap<Token, number> } } | undefined>>
}

export interface Model {
  readonly trainContextSize: number
  readonly tokens: { readonly bos: Token | null; readonly eos: Token | null; readonly shouldPrependBosToken: boolean }
  readonly fileInfo: { readonly metadata: { readonly tokenizer: { readonly chat_template?: string } } }
  tokenize(text: string, specialTokens: boolean, options?: "trimLeadingSpace"): Array<Token>
  detokenize(tokens: ReadonlyArray<Token>, specialTokens: boolean, lastTokens?: ReadonlyArray<Token>): string
  isEogToken(token: Token): boolean
  createContext(options: object): Promise<{ getSequence(): Sequence; dispose(): Promise<void> }>
  dispose(): Promise<void>
}

interface Library {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<Model>; dispose(): Promise<void> }>
}

/** The folder that PREFLINE_LLAMA_CPP names, if any. */
export const folder = process.env["PREFLINE_LLAMA_CPP"] || undefined

/** One thread: more than there are idle cores make it a hundred times slower. */
export const load = async (modelPath: string) => {
  const module = pathToFileURL(join(folder!, "node_modules/node-llama-cpp/dist/index.js")).href
  const { getLlama } = (await import(module)) as Library
  const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: 1 })
  return { llama, model: await llama.loadModel({ modelPath }) }
}

/** Full precision: with the defaults log-probabilities are off by 1e-2. */
export const contextOptions = (model: Model, sequences: number) => ({
  sequences,
  contextSize: model.trainContextSize,
  threads: 1,
  flashAttention: false,
  experimentalKvCacheKeyType: "F32",
  experimentalKvCacheValueType: "F32"
})

/** The distribution after each of `tokens`, nothing being in the context before; token to probability. */
export const distributions = async (sequence: Sequence, tokens: ReadonlyArray<Token>) => {
  await sequence.clearHistory()
  const asked = tokens.map((token) => [token, { generateNext: { probabilities: true } }] as const)
  return (await sequence.controlledEvaluate(asked)).map((result) => result!.next.probabilities!)
}
