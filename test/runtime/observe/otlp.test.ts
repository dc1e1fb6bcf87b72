import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { isAsked } from "../../../runtime/observe/Telemetry.ts"
import { begin, end, fixture, prefline, temporaryFolder, WITH_TINY, written } from "../../cli/prefline.ts"
import { EXPERIMENT, PROJECT } from "../../system/support.ts"
import { attributeOf, collector, metricsOf, resourceOf, type Span, spansOf } from "./collector.ts"

const SECRET = "s3cr3t-t0ken"
const json = (url: string) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
  OTEL_EXPORTER_OTLP_HEADERS: `api-key=${SECRET}`
})
const scratch = () => join(temporaryFolder(), "store")

const named = (spans: ReadonlyArray<Span>, name: string) => spans.filter((span) => span.name === name)
const parentOf = (spans: ReadonlyArray<Span>, span: Span) => spans.find(({ spanId }) => spanId === span.parentSpanId)

/** All text below a folder. */
const everything = (folder: string): string =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("\n")

describe.concurrent("with a collector", () => {
  it("a run is a trace of run, nodes and attempts, and its nodes are counted", async () => {
    await using there = await collector()
    const store = scratch()
    const env = { ...json(there.url), OTEL_SERVICE_NAME: "mine", OTEL_RESOURCE_ATTRIBUTES: "team=a%20b" }
    const first = await prefline(["run", "tiny"], { entry: WITH_TINY, store, env })
    assert.strictEqual(first.code, 0, first.stderr)
    assert.strictEqual(first.stderr, "")
    const spans = spansOf(there.received)
    const [run] = named(spans, "prefline.run")
    assert.strictEqual(attributeOf(run!, "prefline.run"), readdirSync(join(store, "runs"))[0])
    const nodes = named(spans, "prefline.node")
    assert.sameMembers(
      nodes.map((node) => attributeOf(node, "prefline.node") as string),
      ["words", "decorate", "model", "judge"]
    )
    for (const node of nodes) {
      assert.strictEqual(parentOf(spans, node), run)
      assert.strictEqual(attributeOf(node, "prefline.status"), "computed")
    }
    const attempts = named(spans, "prefline.attempt")
    assert.strictEqual(attempts.length, 4)
    for (const attempt of attempts) assert.strictEqual(parentOf(spans, attempt)?.name, "prefline.node")
    assert.strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 1)

    const metrics = metricsOf(there.received)
    assert.deepStrictEqual(
      metrics.get("prefline_nodes")!.map(({ asDouble }) => asDouble),
      [1, 1, 1, 1]
    )
    assert.strictEqual(metrics.get("prefline_stage_time")!.length, 4)
    assert.strictEqual(metrics.get("prefline_cache")![0]!.asDouble, 4)
    for (const received of there.received) {
      assert.strictEqual(received.headers["api-key"], SECRET)
      const resource = resourceOf(received)
      assert.strictEqual(resource["service.name"], "mine")
      assert.strictEqual(resource["team"], "a b")
      assert.notInclude(received.body.toString(), SECRET)
    }
    assert.notInclude(first.stdout + first.stderr + everything(store), SECRET)

    const before = there.received.length
    await prefline(["run", "tiny"], { entry: WITH_TINY, store, env })
    const [hits] = metricsOf(there.received.slice(before)).get("prefline_cache")!
    assert.strictEqual(attributeOf({ ...run!, attributes: hits!.attributes }, "result"), "hit")
    assert.strictEqual(hits!.asDouble, 4)
  })

  it("a node that fails is a span that says why, and other commands have spans too", async () => {
    await using there = await collector()
    const store = scratch()
    const failed = await prefline(["run", `${fixture("tiny.ts")}#failing`], { store, env: json(there.url) })
    assert.strictEqual(failed.code, 1)
    const node = named(spansOf(there.received), "prefline.node").find(
      (span) => attributeOf(span, "prefline.node") === "refuse"
    ) as unknown as { readonly status: unknown }
    assert.deepStrictEqual(node.status, { code: 2, message: "refuses everything" })
    const before = there.received.length
    await prefline(["runs"], { store, env: json(there.url) })
    assert.strictEqual(named(spansOf(there.received.slice(before)), "cli.runs").length, 1)
  })

  it("what a worker process does is below the attempt it was given, and its tensors are measured", async () => {
    await using there = await collector()
    const args = ["run", `${PROJECT}/${EXPERIMENT}`, "--workers", "2"]
    const { code, stderr } = await prefline(args, { store: scratch(), env: json(there.url) })
    assert.strictEqual(code, 0, stderr)
    const spans = spansOf(there.received)
    const [run] = named(spans, "prefline.run")
    const theirs = named(spans, "executeTask")
    assert.isAbove(theirs.length, 0)
    for (const span of theirs) {
      assert.notStrictEqual(span.pid, run!.pid)
      assert.strictEqual(span.traceId, run!.traceId)
      const attempt = parentOf(spans, span)
      assert.strictEqual(attempt?.name, "prefline.attempt")
      assert.strictEqual(attempt?.pid, run!.pid)
    }
    const bytes = there.received.filter(
      ({ body, path }) => path === "/v1/metrics" && body.toString().includes("prefline_tensor_memory")
    )
    assert.isAbove(bytes.length, 0)
  })

  it("protobuf is spoken unless told otherwise, and the service has a name", async () => {
    await using there = await collector()
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: there.url }
    await prefline(["list"], { entry: WITH_TINY, env })
    const traces = there.received.find(({ path }) => path === "/v1/traces")!
    assert.strictEqual(traces.headers["content-type"], "application/x-protobuf")
    // A message of one field, number 1 of wire type 2, whose length is the rest; in it the names, as UTF-8.
    assert.strictEqual(traces.body[0], 0x0a)
    for (const text of ["service.name", "prefline", "cli.list"]) assert.isTrue(traces.body.includes(text), text)
  })

  it("credentials in its address are a header", async () => {
    await using there = await collector()
    const env = json(there.url.replace("//", `//me:${SECRET}%40@`))
    const { code, stderr } = await prefline(["list"], { entry: WITH_TINY, env })
    assert.deepStrictEqual([code, stderr], [0, ""])
    const basic = `Basic ${Buffer.from(`me:${SECRET}@`).toString("base64")}`
    assert.deepStrictEqual([...new Set(there.received.map(({ headers }) => headers["authorization"]))], [basic])
  })

  it("nothing is sent where the SDK is disabled, or the exporter is none", async () => {
    await using there = await collector()
    for (const off of [
      { OTEL_SDK_DISABLED: "true" },
      { OTEL_TRACES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none" }
    ]) {
      const { code } = await prefline(["list"], { entry: WITH_TINY, env: { ...json(there.url), ...off } })
      assert.strictEqual(code, 0)
    }
    assert.deepStrictEqual(there.received, [])
  })
})

describe.concurrent("without a collector that answers", () => {
  const run = (env: Readonly<Record<string, string>>) =>
    prefline(["run", "tiny", "--json"], { entry: WITH_TINY, store: scratch(), env })
  const lost = (problem: string) => `prefline: telemetry is lost: ${problem}; nothing else is`
  const told = (stderr: string) => stderr.split("\n").filter((text) => text.startsWith("prefline: telemetry"))

  it("a dead one is told once, without the secret in its address, and the run succeeds", async () => {
    const there = await collector()
    await there.close()
    const { code, stderr, stdout } = await run(json(there.url.replace("//", `//me:${SECRET}@`)))
    assert.strictEqual(code, 0)
    assert.strictEqual(JSON.parse(stdout).status, "succeeded")
    assert.deepStrictEqual(told(stderr), [lost(`${there.url} cannot be reached (ECONNREFUSED)`)])
    assert.notInclude(stderr, SECRET)
  })

  it("one that hangs is left behind", async () => {
    await using there = await collector("never")
    const { code, stderr } = await run({ ...json(there.url), OTEL_EXPORTER_OTLP_TIMEOUT: "300" })
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(told(stderr), [lost(`${there.url} did not answer in time, or not as a server does`)])
  })

  it("one that refuses says its status, not what it was sent", async () => {
    await using there = await collector(401)
    const { code, stderr } = await run(json(there.url))
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(told(stderr), [lost(`${there.url} answered with status 401`)])
    assert.notInclude(stderr, SECRET)
  })

  it.each([
    [
      "a protocol that is not spoken",
      { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
      /has to be http\/protobuf or http\/json/
    ],
    ["a setting that cannot be read", { OTEL_BSP_SCHEDULE_DELAY: `x${SECRET}` }, /a variable OTEL_… cannot be read/],
    ["an endpoint that is none", { OTEL_EXPORTER_OTLP_ENDPOINT: `::${SECRET}` }, /a variable OTEL_… cannot be read/]
  ])("%s is told once, and the run succeeds", async (_, settings, problem) => {
    const { code, stderr } = await run({ ...json("http://127.0.0.1:1"), ...settings })
    assert.strictEqual(code, 0)
    assert.strictEqual(told(stderr).length, 1, stderr)
    assert.match(told(stderr)[0]!, problem)
    assert.notInclude(stderr, SECRET)
  })

  it("an interrupt ends a run whose collector hangs", async () => {
    await using there = await collector("never")
    const env = { ...json(there.url), OTEL_EXPORTER_OTLP_TIMEOUT: "300" }
    const child = begin(["run", `${fixture("tiny.ts")}#slow`], { store: scratch(), env })
    const ended = end(child)
    await written(child, "> wait\n")
    child.kill("SIGINT")
    assert.strictEqual((await ended).code, 130)
  })
})

it("telemetry is asked for by an endpoint alone, and refused by the switch", () => {
  const OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
  assert.isFalse(isAsked({}))
  assert.isFalse(isAsked({ OTEL_EXPORTER_OTLP_ENDPOINT: "" }))
  assert.isFalse(isAsked({ OTEL_TRACES_EXPORTER: "otlp" }))
  assert.isTrue(isAsked({ OTEL_EXPORTER_OTLP_ENDPOINT }))
  assert.isTrue(isAsked({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: OTEL_EXPORTER_OTLP_ENDPOINT }))
  assert.isFalse(isAsked({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED: "TRUE" }))
})
