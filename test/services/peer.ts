/** A local HTTP server that answers as a test says, and remembers what it was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"

export interface Asked {
  readonly path: string
  readonly headers: Readonly<Record<string, string | Array<string> | undefined>>
  readonly body: Readonly<Record<string, any>>
}

/** Answers the request that is the `n`-th, from 0. */
export type Behaviour = (asked: Asked, response: ServerResponse, n: number) => void

const read = async (request: IncomingMessage) => {
  const chunks: Array<Uint8Array> = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return JSON.parse(Buffer.concat(chunks).toString("utf8")) as Asked["body"]
}

/** The server for the life of the scope: its base address, and the requests so far. */
export const peer = (behaviour: Behaviour) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly asked: Array<Asked>; readonly close: () => void }>((resume) => {
      const asked: Array<Asked> = []
      const server = createServer((request, response) => {
        read(request).then(
          (body) => {
            const one = { path: request.url ?? "", headers: request.headers, body }
            behaviour(one, response, asked.push(one) - 1)
          },
          () => response.destroy()
        )
      })
      const close = () => {
        server.closeAllConnections()
        server.close()
      }
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}/v1`, asked, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

export const json = (response: ServerResponse, value: unknown, status = 200, headers: Record<string, string> = {}) => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(JSON.stringify(value))
}

/** What a chat says, in the API's words. */
export const chatReply = (...texts: ReadonlyArray<string>) => ({
  object: "chat.completion",
  choices: texts.map((content, index) => ({ index, finish_reason: "stop", message: { role: "assistant", content } })),
  usage: { prompt_tokens: 10, completion_tokens: 5 * texts.length }
})

/** Server-sent events of a streamed chat. */
export const chatEvents = (texts: ReadonlyArray<string>, finish: string | null = "stop") => [
  ...texts.map((content) => ({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })),
  { choices: [{ index: 0, delta: {}, finish_reason: finish }] },
  { choices: [], usage: { prompt_tokens: 10, completion_tokens: texts.length } }
]
export const eventText = (event: unknown) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`
