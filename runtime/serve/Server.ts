/** The server that shows a store's runs in a browser. It reads, and nothing else. */
import * as Http from "node:http"
import * as Os from "node:os"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Cause, Effect, Layer, Schema } from "effect"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Guard from "./guard.ts"
import { problem } from "./page/frame.ts"
import { route } from "./routes.ts"

/** The address cannot be listened on. */
export class AddressUnusable extends Schema.TaggedError<AddressUnusable>()("AddressUnusable", {
  host: Schema.String,
  port: Schema.Int,
  problem: Schema.String
}) {
  override get message() {
    return `cannot listen on ${this.host}, port ${this.port}: ${this.problem}`
  }
}

export interface Options {
  /** A name or address of this machine. */
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

const LOOPBACK = new Set(["localhost", "127.0.0.1", "::1"])

/** Whether only this machine can reach what listens there. */
export const isLoopback = (host: string): boolean => LOOPBACK.has(host) || /^127(\.\d{1,3}){3}$/.test(host)

/** Listens until the scope ends, which ends open connections too. Returns the address for a browser. */
export const start = Effect.fn("serve.start")(function* (options: Options) {
  const server = Http.createServer({ requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: 16 * 1024 })
  const context = yield* Layer.build(
    NodeHttpServer.layerServer(() => server, {
      host: options.host,
      port: options.port,
      disablePreemptiveShutdown: true
    })
  ).pipe(Effect.mapError(({ cause }) => unusable(options, cause)))
  const host = options.host.toLowerCase()
  const allowed = new Set(isLoopback(host) ? [host] : [host, Os.hostname().toLowerCase()])
  yield* HttpServer.serveEffect(answer(allowed)).pipe(Effect.provide(context))
  // Whoever follows a run would otherwise be waited for.
  yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
  const { port } = server.address() as { readonly port: number }
  const shown = host === "0.0.0.0" || host === "::" ? Os.hostname() : host
  return { url: `http://${shown.includes(":") ? `[${shown}]` : shown}:${port}/`, port }
})

/** Every answer, whatever became of the question, with the headers that all have. */
const answer = (allowed: ReadonlySet<string>) =>
  Effect.gen(function* () {
    const { headers, method, url = "" } = NodeRequest.toIncomingMessage(yield* HttpServerRequest.HttpServerRequest)
    const asked = Guard.read({ method: method ?? "", url, host: headers.host }, allowed)
    const failed = url.startsWith("/api/") ? failedAsData : failedAsPage
    const answered = asked instanceof Guard.Refused ? Effect.fail(asked) : route(asked)
    return yield* answered.pipe(
      Effect.catch((error) => Effect.succeed(failure(failed, error))),
      Effect.catchDefect((defect) =>
        Effect.as(
          Effect.logError("serve: an answer failed", Cause.die(defect)),
          failed(500, "Something went wrong here. The server's terminal says what.")
        )
      )
    )
  }).pipe(Effect.map(HttpServerResponse.setHeaders(HEADERS)))

const HEADERS = {
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

type Failed = (
  status: number,
  text: string,
  headers?: Readonly<Record<string, string>>
) => HttpServerResponse.HttpServerResponse

/** For programs. */
const failedAsData: Failed = (status, error, headers = {}) =>
  HttpServerResponse.text(JSON.stringify({ error }), {
    status,
    contentType: "application/json; charset=utf-8",
    headers
  })

const failedAsPage: Failed = (status, text, headers = {}) => {
  const { policy, text: page } = problem(`${status} ${Http.STATUS_CODES[status] ?? ""}`.trim(), text)
  return HttpServerResponse.text(page, {
    status,
    contentType: "text/html; charset=utf-8",
    headers: { ...headers, "content-security-policy": `${policy}; frame-ancestors 'none'` }
  })
}

const failure = (failed: Failed, error: { readonly _tag: string; readonly message: string }) => {
  if (error instanceof Guard.Refused) return failed(error.status, error.message, error.headers)
  return failed(error._tag === "RunUnknown" ? 404 : 500, error.message)
}

/** What the system says, in words that tell what to do. */
const unusable = ({ host, port }: Options, cause: unknown) => {
  const { code, message } = cause as { readonly code?: string; readonly message?: string }
  const told: Readonly<Record<string, string>> = {
    EADDRINUSE: "the port is taken, perhaps by another `prefline serve`; --port names another one, 0 any free one",
    EACCES: "this user may not have that port; take one above 1023",
    EADDRNOTAVAIL: "this machine does not have that address",
    ENOTFOUND: "there is no such host"
  }
  return new AddressUnusable({ host, port, problem: told[code ?? ""] ?? message ?? String(cause) })
}
