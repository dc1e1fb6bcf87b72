/** What is answered to which address. */
import { readFileSync } from "node:fs"
import { Effect, Schema, Stream } from "effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { page as report } from "../report/index.ts"
import { RunId } from "../store/RunEvent.ts"
import { Store } from "../store/Store.ts"
import { comparison } from "./compare.ts"
import * as Follow from "./follow.ts"
import { type Asked, Refused } from "./guard.ts"
import { asItIs, type Page } from "./page/frame.ts"
import * as ListPage from "./page/list.ts"
import * as RunPage from "./page/run.ts"
import * as Runs from "./runs.ts"

const missing = new Refused({ status: 404, problem: "There is no such page." })

/** Readers that follow runs at a time. */
const FOLLOWERS = 64
let followers = 0

export const route = Effect.fn("serve.route")(function* ({ path, query }: Asked) {
  const [first, second, third, ...rest] = path
  if (rest.length > 0) return yield* missing
  switch (first) {
    case undefined: {
      const { left, runs } = yield* Runs.list()
      return page(ListPage.list(runs, left, (yield* Store).root))
    }
    case "assets":
      return third === undefined ? yield* asset(second) : yield* missing
    case "compare":
      return second === undefined ? page((yield* comparison(yield* asked(query))).page) : yield* missing
    case "runs":
      if (second === undefined) return yield* missing
      if (third === undefined) return page(yield* RunPage.run(yield* Runs.snapshot(second)))
      yield* Runs.snapshot(second)
      if (third === "report") return page(asItIs(yield* report(second)))
      return third === "events" ? yield* events(second, query) : yield* missing
    case "api":
      return yield* api(second, third, query)
    default:
      return yield* missing
  }
})

const api = Effect.fnUntraced(function* (what: string | undefined, run: string | undefined, query: URLSearchParams) {
  if (what === "compare" && run === undefined) return json((yield* comparison(yield* asked(query))).json)
  if (what !== "runs") return yield* missing
  if (run === undefined) return json((yield* Runs.list()).runs)
  const { events: _, place, started, ...rest } = yield* Runs.snapshot(run)
  const { points } = yield* Follow.since((yield* Store).root, run, place)
  return json({ ...started, ...rest, points })
})

/** The runs of a comparison: `?runs=a,b`, or the name more than once. */
const asked = Effect.fnUntraced(function* (query: URLSearchParams) {
  const runs = [...new Set(query.getAll("runs").flatMap((text) => text.split(",")))].filter((run) => run !== "")
  if (runs.length < 2 || runs.length > MOST_COMPARED) {
    const problem = `A comparison is of 2 to ${MOST_COMPARED} runs: mark them in the list, or give /compare?runs=a,b.`
    return yield* new Refused({ status: 400, problem })
  }
  const wrong = runs.find((run) => !Schema.is(RunId)(run))
  if (wrong !== undefined) return yield* new Refused({ status: 404, problem: "One of these is no run." })
  return runs
})
const MOST_COMPARED = 8

/** News of a run as server-sent events, each with the place that `Last-Event-ID` brings back. */
const events = Effect.fnUntraced(function* (run: string, query: URLSearchParams) {
  const { headers, method } = yield* HttpServerRequest.HttpServerRequest
  const { root } = yield* Store
  if (method === "HEAD") return HttpServerResponse.empty({ headers: { "content-type": "text/event-stream" } })
  if (followers >= FOLLOWERS) return yield* new Refused({ status: 503, problem: "Too many pages follow runs already." })
  const from = Follow.fromText(headers["last-event-id"] ?? query.get("from") ?? undefined)
  const encoded = Follow.follow(root, run, from).pipe(
    Stream.map(({ events, place, points, status }) => {
      const news = { events: events.map((event) => ({ ...event, text: RunPage.describe(event) })), points, status }
      return Sse.encoder.write({ _tag: "Event", event: "news", id: Follow.toText(place), data: JSON.stringify(news) })
    }),
    Stream.encodeText
  )
  const counted = Stream.suspend(() => {
    followers++
    return Stream.ensuring(
      encoded,
      Effect.sync(() => {
        followers--
      })
    )
  })
  return HttpServerResponse.stream(counted, { contentType: "text/event-stream; charset=utf-8" })
})

const page = ({ policy, text }: Page) =>
  HttpServerResponse.text(text, {
    contentType: "text/html; charset=utf-8",
    headers: { "content-security-policy": `${policy}; frame-ancestors 'none'` }
  })

const json = (value: unknown) =>
  HttpServerResponse.text(JSON.stringify(value), { contentType: "application/json; charset=utf-8" })

/** The pages' scripts: named here, so that no path is made of what was asked for. */
const ASSETS: Readonly<Record<string, URL>> = {
  "run.js": new URL("./page/run.js", import.meta.url),
  "list.js": new URL("./page/list.js", import.meta.url)
}

const asset = (name: string | undefined) => {
  const file = name !== undefined && Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined
  return file === undefined
    ? Effect.fail(missing)
    : Effect.sync(() =>
        HttpServerResponse.text(readFileSync(file, "utf8"), { contentType: "text/javascript; charset=utf-8" })
      )
}
