/** The exporters: loaded only where telemetry is asked for. */
import { randomUUID } from "node:crypto"
import { unescape } from "node:querystring"
import { ConfigProvider, Effect, Exit, Layer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import * as Versions from "../Versions.ts"
import type { Environment, Say } from "./Telemetry.ts"

/** Milliseconds that an unfinished export may hold up the end of a process, unless OTEL_EXPORTER_OTLP_TIMEOUT says else. */
const AT_THE_END = "2000"
/** One request: a collector that hangs must not gather requests. */
const REQUEST = "5 seconds"

/** Exporters of traces and metrics, as the standard variables ask for them. */
export const layer = (say: Say, env: Environment) => {
  const settings = defaults(env)
  const resource = {
    serviceVersion: Versions.current.prefline,
    // Each worker process has metrics of its own, which must not be taken for those of another.
    attributes: { "process.pid": process.pid, "service.instance.id": randomUUID() }
  }
  const serialized = (signal: "TRACES" | "METRICS") => {
    const asked = settings[`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`] || settings["OTEL_EXPORTER_OTLP_PROTOCOL"]
    switch (asked || "http/protobuf") {
      case "http/protobuf":
        return OtlpSerialization.layerProtobuf
      case "http/json":
        return OtlpSerialization.layerJson
      default:
        return undefined
    }
  }
  const [traces, metrics] = [serialized("TRACES"), serialized("METRICS")]
  if (traces === undefined || metrics === undefined) {
    return Layer.effectDiscard(say("OTEL_EXPORTER_OTLP_PROTOCOL has to be http/protobuf or http/json"))
  }
  return Layer.mergeAll(
    Layer.provide(OtlpTracer.layerFromConfig({ resource }), traces),
    Layer.provide(OtlpMetrics.layerFromConfig({ resource }), metrics)
  ).pipe(
    Layer.provide(Layer.provide(watched(say), FetchHttpClient.layer)),
    Layer.provide(OtlpExporter.layerFlusher),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(settings)))
  )
}

/** What the standard leaves to the program: the exporters are on, and the service has a name. */
const defaults = (env: Environment): Environment => ({
  OTEL_TRACES_EXPORTER: "otlp",
  OTEL_METRICS_EXPORTER: "otlp",
  OTEL_EXPORTER_OTLP_TIMEOUT: AT_THE_END,
  ...(/(^|,)\s*service\.name=/.test(env["OTEL_RESOURCE_ATTRIBUTES"] ?? "") ? {} : { OTEL_SERVICE_NAME: "prefline" }),
  // By the standard an empty variable is none.
  ...Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ""))
})

/** Errors of the system that trying again in a second does not change. */
const HOPELESS: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH"])

/**
 * The client of the exporters. The first request that fails, or is given up at the end of the process, is told; of the
 * request itself only where it went is, since its headers and its address may hold secrets.
 */
const watched = (say: Say) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) => {
      let told = false
      const tell = (url: string, problem: string) =>
        Effect.suspend(() => {
          if (told) return Effect.void
          told = true
          return say(`${originOf(url)} ${problem}`)
        })
      return HttpClient.transform(HttpClient.mapRequest(client, authorized), (response, { url }) =>
        response.pipe(
          Effect.timeout(REQUEST),
          Effect.tap(({ status }) => (status >= 300 ? tell(url, `answered with status ${status}`) : Effect.void)),
          Effect.onExit((exit) => {
            if (Exit.isSuccess(exit)) return Effect.void
            const code = codeOf(exit.cause)
            return tell(
              url,
              code === undefined ? "did not answer in time, or not as a server does" : `cannot be reached (${code})`
            )
          }),
          // A defect is what the exporter does not try again at once: it drops what it has and rests for a minute.
          Effect.catchIf(
            (error) => HOPELESS.has(codeOf(error) ?? ""),
            (error) => Effect.die(error)
          )
        )
      ) as HttpClient.HttpClient.With<HttpClientError.HttpClientError>
    })
  )

/** Credentials in an address become a header: fetch takes no address that has them. */
const authorized = (request: HttpClientRequest.HttpClientRequest): HttpClientRequest.HttpClientRequest => {
  if (!URL.canParse(request.url)) return request
  const url = new URL(request.url)
  const { password, username } = url
  if (username === "" && password === "") return request
  url.username = ""
  url.password = ""
  return HttpClientRequest.setUrl(request, url.href).pipe(
    HttpClientRequest.basicAuth(unescape(username), unescape(password))
  )
}

const originOf = (url: string) => (URL.canParse(url) ? new URL(url).origin : "the endpoint")

/** The system's name of an error, which fetch, its client and Effect each wrap once. */
const codeOf = (error: unknown): string | undefined => {
  const seen = new Set<unknown>()
  const queue: Array<unknown> = [error]
  for (const at of queue) {
    if (typeof at !== "object" || at === null || seen.has(at)) continue
    seen.add(at)
    const { cause, code, error, errors, reason, reasons } = at as Readonly<Record<string, unknown>>
    if (typeof code === "string" && /^E[A-Z_]+$/.test(code)) return code
    queue.push(
      cause,
      reason,
      error,
      ...(Array.isArray(reasons) ? reasons : []),
      ...(Array.isArray(errors) ? errors : [])
    )
  }
  return undefined
}
