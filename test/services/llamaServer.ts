/** The OpenAI API in front of llama.cpp: completions and chats, streams, log-probabilities, seeds, stops. */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { contextOptions, load, type Model, type Sequence, type Token } from "./llamaCpp.ts"

interface Body {
  readonly prompt?: string
  readonly messages?: ReadonlyArray<{ readonly role: string; readonly content: string }>
  readonly max_tokens?: number
  readonly temperature?: number
  readonly top_p?: number
  readonly n?: number
  readonly seed?: number
  readonly stop?: ReadonlyArray<string>
  readonly logprobs?: boolean | number
  readonly stream?: boolean
}

interface Generated {
  readonly token: Token
  readonly text: string
  readonly logProb: number
}

/** Serves a GGUF file on a port of its own. */
export const serve = async (modelPath: string) => {
  const { llama, model } = await load(modelPath)
  const context = await model.createContext(contextOptions(model, 1))
  const sequence = context.getSequence()
  let last: Promise<unknown> = Promise.resolve()
  const server = createServer(async (request, response) => {
    const chunks: Array<Uint8Array> = []
    for await (const chunk of request) chunks.push(chunk as Uint8Array)
    const chat = request.url === "/v1/chat/completions"
    try {
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Body
      const done = last.then(() => answer(model, sequence, body, chat, response)) // one after the other: one sequence
      last = done.catch(() => undefined)
      await done
    } catch (cause) {
      response.writeHead(400, { "content-type": "application/json" })
      response.end(JSON.stringify({ error: { message: String(cause) } }))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await llama.dispose()
    }
  }
}

const answer = async (model: Model, sequence: Sequence, body: Body, chat: boolean, response: ServerResponse) => {
  // the plainest template, for models that were never trained to chat
  const text = chat ? body.messages!.map(({ content }) => content).join("\n") : body.prompt!
  const prompt = [...(model.tokens.shouldPrependBosToken ? [model.tokens.bos!] : []), ...model.tokenize(text, false)]
  const send = (value: unknown) =>
    response.write(`data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`)
  const choiceOf = (
    index: number,
    part: { text: string; generated: ReadonlyArray<Generated> },
    finish: string | null
  ) => ({
    index,
    finish_reason: finish,
    ...(chat
      ? { [body.stream ? "delta" : "message"]: { role: "assistant", content: part.text } }
      : { text: part.text }),
    ...(body.logprobs === undefined || body.logprobs === false
      ? {}
      : {
          logprobs: chat
            ? { content: part.generated.map(({ logProb, text }) => ({ token: text, logprob: logProb })) }
            : {
                tokens: part.generated.map(({ text }) => text),
                token_logprobs: part.generated.map(({ logProb }) => logProb)
              }
        })
  })
  if (body.stream) response.writeHead(200, { "content-type": "text/event-stream" })
  const choices: Array<unknown> = []
  let completionTokens = 0
  for (let index = 0; index < (body.n ?? 1); index++) {
    const generated: Array<Generated> = []
    let finish = "length"
    let sent = ""
    for await (const next of generate(model, sequence, prompt, body, (body.seed ?? 0) + index)) {
      if (next === "stop") finish = "stop"
      else generated.push(next)
      const all = generated.map(({ text }) => text).join("")
      if (body.stream && next !== "stop") {
        send({ choices: [choiceOf(index, { text: all.slice(sent.length), generated: [next] }, null)] })
        sent = all
      }
    }
    const whole = model.detokenize(
      generated.map(({ token }) => token),
      false,
      prompt
    )
    completionTokens += generated.length
    if (body.stream) send({ choices: [choiceOf(index, { text: whole.slice(sent.length), generated: [] }, finish)] })
    else {
      const cut = (body.stop ?? []).map((stop) => whole.indexOf(stop)).filter((at) => at >= 0)
      choices.push(
        choiceOf(index, { text: cut.length > 0 ? whole.slice(0, Math.min(...cut)) : whole, generated }, finish)
      )
    }
  }
  const usage = { prompt_tokens: prompt.length, completion_tokens: completionTokens }
  if (body.stream) {
    send({ choices: [], usage })
    send("[DONE]")
    return response.end()
  }
  response.writeHead(200, { "content-type": "application/json" })
  return response.end(JSON.stringify({ object: chat ? "chat.completion" : "text_completion", choices, usage }))
}

/** Tokens one by one; log-probabilities are the model's own, at temperature 1. */
async function* generate(model: Model, sequence: Sequence, prompt: ReadonlyArray<Token>, body: Body, seed: number) {
  await sequence.clearHistory()
  const random = mulberry32(seed)
  const tokens: Array<Token> = []
  let read: ReadonlyArray<Token> = prompt
  const limit = Math.min(body.max_tokens ?? 16, model.trainContextSize - prompt.length)
  while (tokens.length < limit) {
    const asked = read.map((token, i) =>
      i === read.length - 1 ? ([token, { generateNext: { probabilities: true } }] as const) : token
    )
    const probabilities = (await sequence.controlledEvaluate(asked)).at(-1)!.next.probabilities!
    const token = draw(probabilities, body.temperature ?? 1, body.top_p ?? 1, random())
    if (model.isEogToken(token)) {
      yield "stop" as const
      return
    }
    const before = model.detokenize(tokens, false, prompt)
    tokens.push(token)
    const text = model.detokenize(tokens, false, prompt)
    yield { token, text: text.slice(before.length), logProb: Math.log(probabilities.get(token)!) }
    if (body.stop?.some((stop) => text.includes(stop))) {
      yield "stop" as const
      return
    }
    read = [token]
  }
}

const draw = (probabilities: ReadonlyMap<Token, number>, temperature: number, topP: number, uniform: number): Token => {
  const sorted = [...probabilities].sort((a, b) => b[1] - a[1] || a[0] - b[0])
  if (temperature === 0) return sorted[0]![0]
  const weights = sorted.map(([token, p]) => [token, p ** (1 / temperature)] as const)
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0)
  let kept = 0
  const inside = weights.filter(([, weight]) => {
    const before = kept
    kept += weight / total
    return before < topP
  })
  let goal = uniform * inside.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [token, weight] of inside) {
    goal -= weight
    if (goal < 0) return token
  }
  return inside.at(-1)![0]
}

const mulberry32 = (seed: number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
