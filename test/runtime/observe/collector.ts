/** Collectors as an exporter may meet them, on ports of their own. */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

export interface Received {
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
}

/** Takes what it is sent, and answers with a status, or never. */
export const collector = async (answer: number | "never" = 200) => {
  const received: Array<Received> = []
  const server = Http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      received.push({ path: request.url!, headers: request.headers, body: Buffer.concat(chunks) })
      if (answer !== "never") response.writeHead(answer).end("{}")
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const close = () => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  }
  return { url, received, close, [Symbol.asyncDispose]: close }
}

export interface Span {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: Readonly<Record<string, unknown>> }>
  readonly pid: number
}

interface Attributed {
  readonly resource: { readonly attributes: Span["attributes"] }
}

const attribute = (attributes: Span["attributes"], key: string) =>
  Object.values(attributes.find((found) => found.key === key)?.value ?? {})[0]

/** All spans that came as JSON, each with the process it is from. */
export const spansOf = (received: ReadonlyArray<Received>): ReadonlyArray<Span> =>
  received
    .filter(({ path }) => path === "/v1/traces")
    .flatMap(
      ({ body }): ReadonlyArray<Attributed & { scopeSpans: Array<{ spans: Array<Span> }> }> =>
        JSON.parse(body.toString()).resourceSpans
    )
    .flatMap(({ resource, scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) =>
        spans.map((span) => ({ ...span, pid: Number(attribute(resource.attributes, "process.pid")) }))
      )
    )

export const resourceOf = ({ body }: Received): Readonly<Record<string, unknown>> => {
  const { resourceMetrics, resourceSpans } = JSON.parse(body.toString())
  const { attributes } = (resourceSpans ?? resourceMetrics)[0].resource as Attributed["resource"]
  return Object.fromEntries(attributes.map(({ key }) => [key, attribute(attributes, key)]))
}

export const attributeOf = ({ attributes }: Span, key: string): unknown => attribute(attributes, key)

/** Name -> data points of the last metrics that came as JSON. */
export const metricsOf = (received: ReadonlyArray<Received>) => {
  const last = received.findLast(({ path }) => path === "/v1/metrics")
  const metrics = last === undefined ? [] : JSON.parse(last.body.toString()).resourceMetrics[0].scopeMetrics[0].metrics
  return new Map<string, ReadonlyArray<{ asDouble?: number; count?: number; attributes: Span["attributes"] }>>(
    metrics.map((metric: any) => [metric.name, (metric.sum ?? metric.gauge ?? metric.histogram).dataPoints])
  )
}
