/** The client against servers that behave and that do not; all of them real, on this machine. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Fiber, Logger, References, Schema, Stream, Tracer } from "effect"
import { TestClock } from "effect/testing"
import * as Endpoint from "../../../runtime/services/Endpoint.ts"
import { EndpointConfig } from "../../../runtime/services/EndpointConfig.ts"
import { BudgetExceeded, EndpointFailed } from "../../../runtime/services/errors.ts"
import * as ResponseCache from "../../../runtime/services/ResponseCache.ts"
import { type Behaviour, chatEvents, chatReply, eventText, json, peer } from "../../services/peer.ts"

const SECRET = "sk-Very-Secret-0123456789"
const withKey = Effect.provideService(
  ConfigProvider.ConfigProvider,
  ConfigProvider.fromEnv({ env: { TEST_KEY: SECRET, EMPTY_KEY: "" } })
)
const config = (url: string, rest: object = {}) =>
  EndpointConfig.make({ url, model: "m", apiKey: "TEST_KEY", retries: 0, ...rest } as never)
const request = (prompt = "Hello", rest: object = {}): Endpoint.Request => ({
  prompt,
  maxTokens: 8,
  temperature: 1,
  ...rest
})

/** Opens an endpoint at a server that behaves so. */
const at = Effect.fnUntraced(function* (behaviour: Behaviour, rest: object = {}) {
  const server = yield* peer(behaviour)
  return { ...server, endpoint: yield* Endpoint.open(config(server.url, rest)) }
})
const failure = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, EndpointFailed)
    assert.notInclude(JSON.stringify(error) + error.message, SECRET)
    return error as unknown as EndpointFailed
  })
const test = <E>(name: string, body: () => Generator<Effect.Effect<any, E, any>, void, any>) =>
  it.live(name, () => Effect.gen(body).pipe(withKey, Effect.scoped) as Effect.Effect<void, E>)

describe("asking", () => {
  test("sends what was asked, with the key, and reads answers, log-probabilities and usage", function* () {
    const { asked, endpoint } = yield* at(
      (_, response) =>
        json(response, {
          choices: [
            { index: 1, text: " b", finish_reason: "length", logprobs: { tokens: [" b"], token_logprobs: [-0.5] } },
            { index: 0, text: " a", finish_reason: "stop", logprobs: null }
          ],
          usage: { prompt_tokens: 3, completion_tokens: 2 }
        }),
      { api: "completions", tokensField: "max_completion_tokens" }
    )
    const response = yield* endpoint.ask(request("Hello", { n: 2, seed: 7, topP: 0.9, stop: ["\n"], logProbs: true }))
    assert.deepStrictEqual(response.answers, [
      { text: " a", finish: "stop" },
      { text: " b", finish: "length", logProbs: [{ token: " b", logProb: -0.5 }] }
    ])
    assert.strictEqual(asked[0]!.path, "/v1/completions")
    assert.strictEqual(asked[0]!.headers["authorization"], `Bearer ${SECRET}`)
    assert.deepStrictEqual(asked[0]!.body, {
      model: "m",
      prompt: "Hello",
      max_completion_tokens: 8,
      temperature: 1,
      n: 2,
      top_p: 0.9,
      seed: 7,
      stop: ["\n"],
      logprobs: 0
    })
    assert.deepStrictEqual(yield* endpoint.spent, { requests: 1, promptTokens: 3, completionTokens: 2, cost: 0 })
  })

  test("no key is needed for nothing, and a missing one is named", function* () {
    const server = yield* peer((_, response) => json(response, chatReply("hi")))
    const open = (apiKey: string) => Endpoint.open(config(server.url, { apiKey }))
    const error = yield* Effect.flip((yield* open("EMPTY_KEY")).ask(request()))
    assert.match(error.message, /set the environment variable EMPTY_KEY/)
    assert.strictEqual((yield* Effect.flip((yield* open("NO_KEY")).ask(request())))._tag, "KeyMissing")
    assert.strictEqual(server.asked.length, 0)
  })

  it("a key in place of its name, and an address with one, are refused unseen", () => {
    for (const wrong of [
      { apiKey: SECRET },
      { url: `https://user:${SECRET}@host/v1` },
      { url: `https://host/v1?key=${SECRET}` }
    ]) {
      const exit = Effect.runSyncExit(
        Schema.decodeUnknownEffect(EndpointConfig)({ url: "https://host/v1", model: "m", ...wrong })
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.notInclude(String(exit), SECRET)
      assert.throws(() => EndpointConfig.make({ url: "https://host/v1", model: "m", ...wrong }))
      try {
        EndpointConfig.make({ url: "https://host/v1", model: "m", ...wrong })
      } catch (cause) {
        assert.notInclude(String(cause), SECRET)
      }
    }
  })
})

test("traces and logs of a request hold no key, whether it succeeds or fails", function* () {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const logged: Array<string> = []
  const logger = Logger.make(({ cause, message }) => void logged.push(`${JSON.stringify(message)} ${cause}`))
  const { endpoint } = yield* at(
    (asked, response, n) =>
      n === 0
        ? json(response, { error: { message: `busy, ${asked.headers["authorization"]}` } }, 500)
        : json(response, chatReply("ok")),
    { retries: 1 }
  )
  const failing = yield* at((_, response) => response.destroy())
  yield* Effect.all([endpoint.ask(request()), Effect.exit(failing.endpoint.ask(request()))]).pipe(
    Effect.withTracer(tracer),
    Effect.provide(Logger.layer([logger])),
    Effect.provideService(References.MinimumLogLevel, "All")
  )
  const shown = spans.map(({ attributes, events, name, status }) =>
    JSON.stringify([
      name,
      [...attributes],
      events.map((event) => event.map(String)),
      String((status as { exit?: unknown }).exit)
    ])
  )
  assert.isTrue(shown.some((text) => text.startsWith('["Endpoint.ask"')))
  assert.isTrue(shown.some((text) => text.includes("/v1/chat/completions")))
  assert.isTrue(
    logged.some((text) => text.includes("busy, Bearer <redacted>")),
    logged.join("\n")
  )
  for (const text of [...shown, ...logged]) assert.notInclude(text, SECRET)
})

describe("servers that misbehave", () => {
  const kinds: ReadonlyArray<readonly [string, Behaviour, Partial<EndpointFailed>, RegExp]> = [
    [
      "malformed JSON",
      (_, response) => response.end('{"choices": ['),
      { kind: "malformed", retryable: false },
      /not JSON/
    ],
    ["another schema", (_, response) => json(response, { answer: 42 }), { kind: "malformed" }, /choices/],
    [
      "a choice without text",
      (_, response) => json(response, { choices: [{ index: 0, message: {}, finish_reason: "stop" }] }),
      { kind: "malformed" },
      /no text/
    ],
    [
      "two answers for one",
      (_, response) => json(response, chatReply("a", "b")),
      { kind: "malformed" },
      /indices 0, 1 where 1/
    ],
    [
      "invalid UTF-8",
      (_, response) => response.end(Buffer.from([0x7b, 0xff, 0x7d])),
      { kind: "malformed" },
      /not UTF-8/
    ],
    [
      "a refusal",
      (_, response) =>
        json(response, { choices: [{ message: { content: null, refusal: "No." }, finish_reason: "stop" }] }),
      { kind: "withheld" },
      /refused to answer: No/
    ],
    [
      "a filter",
      (_, response) => json(response, { choices: [{ message: { content: null }, finish_reason: "content_filter" }] }),
      { kind: "withheld" },
      /content_filter/
    ],
    [
      "a wrong request",
      (_, response) => json(response, { error: { message: `bad key ${SECRET}`, code: "invalid" } }, 401),
      { kind: "status", status: 401, retryable: false },
      /401: bad key <redacted> \(invalid\)/
    ],
    [
      "an empty purse",
      (_, response) => json(response, { error: { message: "pay", code: "insufficient_quota" } }, 429),
      { kind: "status", status: 429, retryable: false },
      /insufficient_quota/
    ],
    [
      "a dropped answer",
      (_, response) => {
        response.writeHead(200, { "content-length": "100" })
        response.write('{"choi')
        setTimeout(() => response.destroy(), 5)
      },
      { kind: "dropped", retryable: true },
      /closed the connection/
    ],
    [
      "a dropped connection",
      (_, response) => response.destroy(),
      { kind: "unreachable", retryable: true },
      /cannot be reached/
    ]
  ]
  for (const [name, behaviour, expected, message] of kinds)
    test(name, function* () {
      const { asked, endpoint } = yield* at(behaviour, { retries: expected.retryable === true ? 0 : 3 })
      const error = yield* failure(endpoint.ask(request()))
      for (const [field, value] of Object.entries(expected))
        assert.strictEqual(error[field as never], value as never, field)
      assert.match(error.message, message)
      assert.strictEqual(asked.length, 1)
    })

  test("nobody there", function* () {
    const server = yield* peer(() => {})
    server.close()
    const error = yield* failure((yield* Endpoint.open(config(server.url))).ask(request()))
    assert.strictEqual(error.kind, "unreachable")
    assert.isTrue(error.retryable)
  })

  test("redirects are not followed, and the key stays here", function* () {
    const elsewhere = yield* peer((_, response) => json(response, chatReply("gotcha")))
    for (const status of [301, 302, 307, 308]) {
      const { endpoint } = yield* at(
        (_, response) => {
          response.writeHead(status, { location: `${elsewhere.url}/chat/completions?key=x` })
          response.end()
        },
        { retries: 3 }
      )
      const error = yield* failure(endpoint.ask(request()))
      assert.strictEqual(error.kind, "redirected")
      assert.include(error.message, elsewhere.url.replace("/v1", ""))
    }
    assert.strictEqual(elsewhere.asked.length, 0)
  })

  test("never answers, and answers too slowly", function* () {
    for (const behaviour of [
      () => {},
      (_: unknown, response: { write: (text: string) => void }) => response.write("{")
    ]) {
      const { endpoint } = yield* at(behaviour as Behaviour, { timeout: 0.05 })
      assert.strictEqual((yield* failure(endpoint.ask(request()))).kind, "timeout")
    }
  })

  test("an answer without end", function* () {
    const block = Buffer.alloc(1024 * 1024, 0x20)
    const { endpoint } = yield* at((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(block));
        if (!response.destroyed) response.once("drain", more)
      }
      more()
    })
    assert.strictEqual((yield* failure(endpoint.ask(request()))).kind, "too-large")
  })

  test("an echo of the key comes to nobody", function* () {
    const { endpoint } = yield* at((asked, response) =>
      json(response, chatReply(String(asked.headers["authorization"])))
    )
    const { answers } = yield* endpoint.ask(request())
    assert.strictEqual(answers[0]!.text, "Bearer <redacted>")
  })
})

/** Runs under the test's clock, which jumps whenever all is waiting, and tells the milliseconds that went by. */
const jumping = <A, E, R>(effect: Effect.Effect<A, E, R>, step = 250) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    let passed = 0
    while (fiber.pollUnsafe() === undefined) {
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      if (fiber.pollUnsafe() !== undefined) break
      yield* TestClock.adjust(step)
      passed += step
    }
    return { exit: yield* Fiber.await(fiber), passed }
  })
const clocked = <E>(name: string, body: () => Generator<Effect.Effect<any, E, any>, void, any>) =>
  it.effect(name, () => Effect.gen(body).pipe(withKey, Effect.scoped) as Effect.Effect<void, E>)

describe("asking again", () => {
  const failing =
    (times: number, status: number, headers: Record<string, string> = {}): Behaviour =>
    (_, response, n) =>
      n < times ? json(response, { error: { message: "busy" } }, status, headers) : json(response, chatReply("at last"))

  clocked("waits longer after each failure, with jitter, and stops when told", function* () {
    const { asked, endpoint } = yield* at(failing(3, 503), { retries: 3, timeout: 1e6 })
    const { exit, passed } = yield* jumping(endpoint.ask(request()), 50)
    assert.isTrue(Exit.isSuccess(exit))
    assert.strictEqual(asked.length, 4)
    assert.isAtLeast(passed, (500 + 1000 + 2000) / 2)
    const never = yield* at(failing(99, 500), { retries: 2, timeout: 1e6 })
    const gone = yield* jumping(never.endpoint.ask(request()))
    assert.match(String(gone.exit), /tried 3 times/)
    assert.strictEqual(never.asked.length, 3)
  })

  clocked("heeds Retry-After, up to the longest wait", function* () {
    const asking = Effect.fnUntraced(function* (header: string, longestWait: number) {
      const { endpoint } = yield* at(failing(1, 429, { "retry-after": header }), {
        retries: 1,
        longestWait,
        timeout: 1e6
      })
      const { exit, passed } = yield* jumping(endpoint.ask(request()), 1000)
      assert.isTrue(Exit.isSuccess(exit))
      return passed
    })
    const now = () => Effect.clockWith((clock) => clock.currentTimeMillis)
    assert.isAtLeast(yield* asking("7", 60), 7000)
    assert.isAtMost(yield* asking("3600", 5), 12_000)
    const date = new Date((yield* now()) + 20_000).toUTCString()
    assert.isAtLeast(yield* asking(date, 60), 19_000)
    assert.isBelow(yield* asking("soon", 60), 19_000)
  })

  clocked("keeps to requests a minute", function* () {
    const times: Array<number> = []
    const clock = yield* Effect.clockWith(Effect.succeed)
    const { endpoint } = yield* at(
      (_, response) => {
        times.push(Math.floor(clock.currentTimeMillisUnsafe() / 60_000))
        json(response, chatReply("ok"))
      },
      { requestsPerMinute: 2, timeout: 1e6 }
    )
    const many = Array.from({ length: 5 }, (_, i) => request(`${i}`))
    yield* jumping(endpoint.askAll(many), 5000)
    assert.strictEqual(times.length, 5)
    for (const minute of new Set(times)) assert.isAtMost(times.filter((each) => each === minute).length, 2)
  })

  clocked("keeps to tokens a minute", function* () {
    const { asked, endpoint } = yield* at((_, response) => json(response, chatReply("ok")), {
      tokensPerMinute: 20,
      timeout: 1e6
    })
    const { passed } = yield* jumping(
      endpoint.askAll([request("12345678"), request("87654321"), request("11223344")]),
      5000
    )
    assert.strictEqual(asked.length, 3)
    assert.isAtLeast(passed, 55_000)
  })
})

test("no more requests than allowed are under way", function* () {
  let [under, most] = [0, 0]
  const { endpoint } = yield* at(
    (_, response) => {
      most = Math.max(most, ++under)
      setTimeout(() => {
        under--
        json(response, chatReply("ok"))
      }, 2)
    },
    { concurrency: 3 }
  )
  const again = yield* Endpoint.open(endpoint.config)
  const many = Array.from({ length: 20 }, (_, i) => request(`${i}`))
  yield* Effect.all([endpoint.askAll(many), again.askAll(many)], { concurrency: 2 })
  assert.strictEqual(most, 3)
})

let written = 0
const kept = (path: string) => ResponseCache.inFolder(path, () => join(path, `${written++}.tmp`))

describe("budget and cache", () => {
  const folder = () =>
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "prefline-responses-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
  const cached = (path: string) => Effect.provideService(ResponseCache.ResponseCache, kept(path))
  const entries = (path: string) =>
    readdirSync(path, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".json"))
      .map((name) => join(path, name))

  test("what is asked twice at once is sent once, and its failure is nobody else's", function* () {
    const path = yield* folder()
    const { asked, url } = yield* at((_, response, n) => {
      if (n === 0) json(response, { error: { message: "no" } }, 400)
      else setTimeout(() => json(response, chatReply("ok")), 20)
    })
    const endpoint = yield* Effect.provideService(
      Endpoint.open(config(url, { concurrency: 4 })),
      ResponseCache.ResponseCache,
      kept(path)
    )
    const exits = yield* Effect.all(
      Array.from({ length: 4 }, () => Effect.exit(endpoint.ask(request()))),
      {
        concurrency: "unbounded"
      }
    )
    assert.deepStrictEqual(exits.map(Exit.isSuccess), [false, true, true, true])
    assert.strictEqual(asked.length, 2)
    assert.deepStrictEqual(
      readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) => /tmp/.test(name)),
      []
    )
  })

  test("the budget stops asking, says what was spent, and loses nothing", function* () {
    const path = yield* folder()
    const { asked, url } = yield* at((_, response) => json(response, chatReply("ok")))
    const many = Array.from({ length: 6 }, (_, i) => request(`${i}`))
    const run = (budget: object | undefined) =>
      Effect.gen(function* () {
        const endpoint = yield* Endpoint.open(config(url, { concurrency: 1, ...(budget ? { budget } : {}) }))
        return { exit: yield* Effect.exit(endpoint.askAll(many)), spent: yield* endpoint.spent }
      }).pipe(cached(path))
    const first = yield* run({ tokens: 40 })
    assert.match(
      String(first.exit),
      /budget of 40 tokens .* at most 9 tokens\): so far 3 requests took 30 prompt and 15 completion|BudgetExceeded/
    )
    const error = yield* Effect.flip(first.exit)
    assert.instanceOf(error, BudgetExceeded)
    assert.deepStrictEqual((error as BudgetExceeded).spent, first.spent)
    assert.strictEqual(asked.length, 3)
    const second = yield* run(undefined)
    assert.isTrue(Exit.isSuccess(second.exit))
    assert.strictEqual(asked.length, 6)
    assert.strictEqual(second.spent.requests, 3)
    const third = yield* run({ cost: 1e-9, promptPrice: 1, completionPrice: 2 })
    assert.isTrue(Exit.isSuccess(third.exit))
    assert.strictEqual(asked.length, 6)
    assert.deepStrictEqual(third.exit, second.exit)
  })

  test("money counts by the prices", function* () {
    const { endpoint } = yield* at((_, response) => json(response, chatReply("ok")), {
      concurrency: 1,
      budget: { cost: 5e-5, promptPrice: 1, completionPrice: 2 }
    })
    const error = yield* Effect.flip(endpoint.askAll([request("a"), request("b"), request("c")]))
    assert.strictEqual(error._tag, "BudgetExceeded")
    assert.closeTo((yield* endpoint.spent).cost, 40e-6, 1e-12)
  })

  test("what fails loses no answer that was under way", function* () {
    const path = yield* folder()
    const { asked, endpoint } = yield* at(
      (request, response) =>
        request.body["messages"][0].content === "bad"
          ? json(response, { error: { message: "no" } }, 400)
          : void setTimeout(() => json(response, chatReply("ok")), 30),
      { concurrency: 4 }
    ).pipe(cached(path))
    yield* failure(endpoint.askAll(["a", "b", "bad", "c", "d", "e", "f"].map((text) => request(text))))
    assert.strictEqual(entries(path).length, asked.length - 1)
    assert.isBelow(asked.length, 7)
  })

  test("equal requests are paid for once, whoever asks and however; others are not mixed up", function* () {
    const path = yield* folder()
    const { asked, url } = yield* at((_, response, n) => json(response, chatReply(`answer ${n}`)))
    const ask = (more: object, rest: object = {}) =>
      Effect.gen(function* () {
        const endpoint = yield* Endpoint.open(config(url, rest))
        return (yield* endpoint.ask(request("Hello", more))).answers[0]!.text
      }).pipe(cached(path))
    assert.strictEqual(yield* ask({}), "answer 0")
    assert.strictEqual(
      yield* ask({}, { retries: 4, concurrency: 2, timeout: 9, apiKey: "NOT_SET", budget: { tokens: 1 } }),
      "answer 0"
    )
    assert.strictEqual(yield* ask({ seed: 1 }), "answer 1")
    assert.strictEqual(yield* ask({ draw: 1 }), "answer 2")
    assert.strictEqual(yield* ask({}, { model: "other" }), "answer 3")
    assert.strictEqual(yield* ask({}, { identity: "elsewhere" }), "answer 4")
    assert.strictEqual(asked.length, 5)
    for (const entry of entries(path)) assert.notInclude(readFileSync(entry, "utf8"), SECRET)
  })

  test("a damaged response is asked for again", function* () {
    const path = yield* folder()
    const { asked, endpoint } = yield* at((_, response) => json(response, chatReply("good"))).pipe(cached(path))
    yield* endpoint.ask(request())
    const [entry] = entries(path)
    const whole = readFileSync(entry!, "utf8")
    for (const damaged of [whole.replace("good", "evil"), whole.slice(0, 50), ""]) {
      writeFileSync(entry!, damaged)
      assert.strictEqual((yield* endpoint.ask(request())).answers[0]!.text, "good")
    }
    assert.strictEqual(asked.length, 4)
  })
})

describe("streams", () => {
  const collect = <E>(stream: Stream.Stream<Endpoint.Delta, E>) => Stream.runCollect(stream)
  const sending =
    (events: ReadonlyArray<unknown>, drop = false): Behaviour =>
    (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      const text = events.map(eventText).join("")
      // in pieces that split events and characters
      const bytes = Buffer.from(text)
      const send = (start: number) => {
        if (start < bytes.length) {
          response.write(bytes.subarray(start, start + 7))
          setImmediate(() => send(start + 7))
        } else if (drop) setTimeout(() => response.destroy(), 5)
        else response.end()
      }
      send(0)
    }

  test("come piece by piece and are kept whole", function* () {
    const path = mkdtempSync(join(tmpdir(), "prefline-stream-"))
    const { asked, endpoint } = yield* at(sending([...chatEvents(["Hé", "llo 🙂", "!"]), "[DONE]"])).pipe(
      Effect.provideService(ResponseCache.ResponseCache, kept(path))
    )
    const deltas = yield* collect(endpoint.stream(request()))
    assert.deepStrictEqual(deltas, [{ text: "Hé" }, { text: "llo 🙂" }, { text: "!" }, { text: "", finish: "stop" }])
    assert.deepStrictEqual((yield* endpoint.ask(request())).answers, [{ text: "Héllo 🙂!", finish: "stop" }])
    assert.deepStrictEqual(yield* collect(endpoint.stream(request())), [{ text: "Héllo 🙂!", finish: "stop" }])
    assert.strictEqual(asked.length, 1)
    assert.isTrue(asked[0]!.body["stream"])
    assert.deepStrictEqual(yield* endpoint.spent, { requests: 1, promptTokens: 10, completionTokens: 3, cost: 0 })
    rmSync(path, { recursive: true })
  })

  const broken: ReadonlyArray<readonly [string, Behaviour, string, RegExp]> = [
    ["dropped", sending(chatEvents(["Once", " upon"]).slice(0, 2), true), "dropped", /closed the connection/],
    ["truncated", sending(chatEvents(["Once", " upon"]).slice(0, 2)), "dropped", /without \[DONE\]/],
    [
      "without a finish",
      sending([...chatEvents(["Once", " upon"]).slice(0, 2), "[DONE]"]),
      "dropped",
      /how the answer finished/
    ],
    ["garbled", sending([...chatEvents(["Once", " upon"]).slice(0, 2), "{", "[DONE]"]), "malformed", /not JSON/],
    [
      "an error on the way",
      sending([...chatEvents(["Once", " upon"]).slice(0, 2), { error: { message: "overloaded" } }]),
      "status",
      /overloaded/
    ]
  ]
  for (const [name, behaviour, kind, message] of broken)
    test(`${name}: fails with what had come`, function* () {
      const { asked, endpoint } = yield* at(behaviour, { retries: 3 })
      const seen: Array<string> = []
      const error = yield* failure(
        Stream.runForEach(endpoint.stream(request()), ({ text }) => Effect.sync(() => seen.push(text)))
      )
      assert.strictEqual(seen.join(""), "Once upon")
      assert.strictEqual(error.partial, "Once upon")
      assert.strictEqual(error.kind, kind)
      assert.match(error.message, message)
      assert.strictEqual(asked.length, 1)
    })

  clocked("a failure before the first piece is tried again", function* () {
    const good = sending([...chatEvents(["Hi"]), "[DONE]"])
    const { asked, endpoint } = yield* at(
      (ask, response, n) => (n === 0 ? json(response, {}, 500) : good(ask, response, n)),
      {
        retries: 1,
        timeout: 1e6
      }
    )
    const { exit } = yield* jumping(collect(endpoint.stream(request())))
    assert.isTrue(Exit.isSuccess(exit), String(exit))
    assert.strictEqual(asked.length, 2)
  })
})
