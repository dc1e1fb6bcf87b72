import { readdirSync, readFileSync, rmSync, truncateSync } from "node:fs"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Schema, SchemaGetter, Stream, Tracer } from "effect"
import * as Artifact from "../../../dsl/Artifact.ts"
import { Index, withDefault } from "../../../dsl/Params.ts"
import * as Pipeline from "../../../dsl/Pipeline.ts"
import * as Stage from "../../../dsl/Stage.ts"
import type * as Executor from "../../../runtime/executor/Executor.ts"
import * as Plan from "../../../runtime/executor/Plan.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { StoreWriteFailed } from "../../../runtime/store/StoreError.ts"
import * as S from "./support.ts"

const chain = Pipeline.make(
  "chain",
  { description: "", params: { to: Index.pipe(withDefault(5)), scale: Schema.Finite.pipe(withDefault(1)) } },
  ({ scale, to }) => {
    const noisy = S.count({ to }).pipe(S.noise())
    const same = S.count({ to }).pipe(S.atMost({ limit: 100 }), S.sum({ scale: 2 }))
    return { total: noisy.pipe(S.sum({ scale })), same }
  }
)

let store = S.temporaryStore()
beforeEach(() => {
  store = S.temporaryStore()
  S.executions.clear()
  S.resetGate()
})
afterEach(() => store.remove())

const inStore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, store.layer)
const total = () => [...S.executions.values()].reduce((a, b) => a + b, 0)
const objectFile = (digest: string) => join(store.root, "objects", digest.slice(0, 2), digest.slice(2))

describe("Executor", () => {
  it.live("runs each node once; a second run is served and has the same digests", () =>
    Effect.gen(function* () {
      const built = yield* Pipeline.build(chain)
      const first = yield* S.run(built)
      assert.deepStrictEqual(new Set(Object.values(S.statuses(first))), new Set(["computed"]))
      assert.strictEqual(total(), 5)
      const second = yield* S.run(built)
      assert.deepStrictEqual(new Set(Object.values(S.statuses(second))), new Set(["cached"]))
      assert.deepStrictEqual(S.digests(second), S.digests(first))
      assert.strictEqual(total(), 5)
    }).pipe(inStore)
  )

  it.live("a changed parameter recomputes its node and what follows, nothing else", () =>
    Effect.gen(function* () {
      yield* S.run(yield* Pipeline.build(chain))
      const result = yield* S.run(yield* Pipeline.build(chain, { scale: 3 }))
      assert.deepStrictEqual(S.statuses(result), {
        count: "cached",
        noise: "cached",
        sum: "computed",
        atMost: "cached",
        "sum-2": "cached"
      })
    }).pipe(inStore)
  )

  it.live("early cutoff: where the recomputed content is the same, what follows is served", () =>
    Effect.gen(function* () {
      const limited = (limit: number) =>
        Pipeline.make("cut", { description: "", params: {} }, () => ({
          sum: S.count().pipe(S.atMost({ limit }), S.sum())
        }))
      yield* S.run(yield* Pipeline.build(limited(50)))
      const result = yield* S.run(yield* Pipeline.build(limited(60)))
      assert.deepStrictEqual(S.statuses(result), { count: "cached", atMost: "computed", sum: "cached" })
    }).pipe(inStore)
  )

  it.live("the seed changes what draws, and its digests; concurrency changes nothing", () =>
    Effect.gen(function* () {
      const first = yield* S.run(yield* Pipeline.build(chain), { concurrency: { cpu: 1 } })
      rmSync(store.root, { recursive: true })
      const again = yield* inStore(
        Effect.flatMap(Pipeline.build(chain), (built) => S.run(built, { concurrency: { cpu: 16 } }))
      )
      assert.deepStrictEqual(S.digests(again), S.digests(first))
      const other = yield* inStore(Effect.flatMap(Pipeline.build(chain, { seed: 1 }), (built) => S.run(built)))
      assert.deepStrictEqual(S.statuses(other), {
        count: "cached",
        noise: "computed",
        sum: "computed",
        atMost: "cached",
        "sum-2": "cached"
      })
      assert.notStrictEqual(S.digests(other)["noise"], S.digests(first)["noise"])
    }).pipe(inStore)
  )

  for (const [how, damage] of [
    ["deleted", (file: string) => rmSync(file)],
    ["truncated", (file: string) => truncateSync(file, 1)]
  ] as const) {
    it.live(`a ${how} object is noticed and exactly its node is recomputed`, () =>
      Effect.gen(function* () {
        const built = yield* Pipeline.build(chain)
        const first = yield* S.run(built)
        const noise = first.nodes.find(({ id }) => id === "noise")!
        damage(objectFile(noise.output!.files[0]!.digest))
        const second = yield* S.run(built)
        assert.deepStrictEqual(S.statuses(second), {
          count: "cached",
          noise: "computed",
          sum: "cached",
          atMost: "cached",
          "sum-2": "cached"
        })
        assert.deepStrictEqual(S.digests(second), S.digests(first))
      }).pipe(inStore)
    )
  }

  it.live("a failure names its node and parameters, skips what depends on it, and keeps the rest", () =>
    Effect.gen(function* () {
      const broken = Pipeline.make("broken", { description: "", params: {} }, () => ({
        bad: S.flaky({ failures: 9, retryable: false }),
        good: S.count().pipe(S.sum())
      }))
      const error = yield* Effect.flip(S.run(yield* Pipeline.build(broken)))
      assert.strictEqual(error._tag, "RunFailed")
      if (error._tag !== "RunFailed") return
      assert.strictEqual(error.failures.length, 1)
      assert.deepInclude(error.failures[0]!.params, { failures: 9, retryable: false })
      assert.include(error.message, "flaky (flaky) failed: the line is busy")
      assert.deepStrictEqual(S.statuses(error.result), { flaky: "failed", count: "computed", sum: "computed" })
      assert.strictEqual(S.executions.get("flaky"), 1)
    }).pipe(inStore)
  )

  it.live("retries what says that a retry can help, by the stage's schedule, and no further", () =>
    Effect.gen(function* () {
      const pipeline = (failures: number, id: string) =>
        Pipeline.make("flaky", { description: "", params: {} }, () => ({ x: S.flaky({ failures, id }) }))
      const seen = yield* S.events
      const result = yield* S.run(yield* Pipeline.build(pipeline(2, "a")), { listen: seen.listen })
      assert.strictEqual(result.status, "succeeded")
      assert.strictEqual((yield* seen.all).filter(({ _tag }) => _tag === "NodeRetried").length, 2)
      const hopeless = yield* S.events
      const error = yield* Effect.flip(S.run(yield* Pipeline.build(pipeline(9, "b")), { listen: hopeless.listen }))
      assert.strictEqual(S.executions.get("flakyb"), 4)
      // The fourth attempt is the last one: nothing is tried again after it.
      assert.strictEqual((yield* hopeless.all).filter(({ _tag }) => _tag === "NodeRetried").length, 3)
      assert.include(error.message, "after 4 attempts")
    }).pipe(inStore)
  )

  it.live("runs no more nodes of a class at a time than allowed", () =>
    Effect.gen(function* () {
      const many = Pipeline.make("many", { description: "", params: {} }, () =>
        Object.fromEntries(Array.from({ length: 6 }, (_, id) => [`g${id}`, S.gated({ id })]))
      )
      const fiber = yield* Effect.forkChild(S.run(yield* Pipeline.build(many), { concurrency: { cpu: 2 } }))
      yield* Deferred.await(S.gate.entered)
      yield* Effect.sleep("200 millis")
      assert.strictEqual(S.executions.get("gated"), 2)
      yield* Deferred.succeed(S.gate.open, undefined)
      yield* Fiber.join(fiber)
      assert.strictEqual(S.executions.get("gated"), 6)
    }).pipe(inStore)
  )

  it.live("an interrupted run says so in its journal, leaves no temporary file, and can be resumed", () =>
    Effect.gen(function* () {
      const pipeline = Pipeline.make("long", { description: "", params: {} }, () => ({
        done: S.count().pipe(S.sum()),
        wait: S.gated()
      }))
      const built = yield* Pipeline.build(pipeline)
      const summed = yield* Deferred.make<void>()
      const listen = (event: Executor.Event) =>
        event._tag === "NodeEnded" && event.result.id === "sum" ? Deferred.succeed(summed, undefined) : Effect.void
      const fiber = yield* Effect.forkChild(S.run(built, { listen: (event) => Effect.asVoid(listen(event)) }))
      yield* Deferred.await(S.gate.entered)
      yield* Deferred.await(summed)
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause))
      assert.deepStrictEqual(readdirSync(join(store.root, "tmp")), [])
      const [id] = readdirSync(join(store.root, "runs"))
      const journal = readFileSync(join(store.root, "runs", id!, "journal.jsonl"), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
      assert.deepInclude(journal.at(-1), { _tag: "RunFinished", status: "interrupted" })
      yield* Deferred.succeed(S.gate.open, undefined)
      const result = yield* S.run(built)
      assert.deepStrictEqual(S.statuses(result), { count: "cached", sum: "cached", gated: "computed" })
    }).pipe(inStore)
  )

  it.live("a stage that interrupts itself has failed; the run was not interrupted", () =>
    Effect.gen(function* () {
      const pipeline = Pipeline.make("quitter", { description: "", params: {} }, () => ({
        quits: S.quitter(),
        good: S.count().pipe(S.sum())
      }))
      const error = yield* Effect.flip(S.run(yield* Pipeline.build(pipeline)))
      assert.strictEqual(error._tag, "RunFailed")
      if (error._tag !== "RunFailed") return
      assert.deepStrictEqual(S.statuses(error.result), { quitter: "failed", count: "computed", sum: "computed" })
      assert.include(error.message, "interrupted")
    }).pipe(inStore)
  )

  it.live("partial state outlives a run that could not put its result on record", () =>
    Effect.gen(function* () {
      const pipeline = Pipeline.make("long", { description: "", params: {} }, () => ({ x: S.resuming() }))
      const built = yield* Pipeline.build(pipeline)
      const full = new StoreWriteFailed({ path: "actions", problem: "ENOSPC: no space left on device" })
      const store = yield* Store
      yield* Effect.flip(S.run(built).pipe(Effect.provideService(Store, { ...store, record: () => Effect.fail(full) })))
      const { x } = (yield* S.run(built)).outputs
      assert.strictEqual(yield* store.read(S.Total, x!), 1)
      assert.deepStrictEqual(readdirSync(join(store.root, "partial")), [])
    }).pipe(inStore)
  )

  it.live("a stage that outlasts its own limit fails with a typed error", () =>
    Effect.gen(function* () {
      const pipeline = Pipeline.make("slow", { description: "", params: {} }, () => ({ x: S.endless() }))
      const error = yield* Effect.flip(S.run(yield* Pipeline.build(pipeline)))
      assert.include(error.message, "endless (endless) failed: took longer than its limit of 50 millis")
    }).pipe(inStore)
  )

  it.live("what a stage reads from outside enters its key by content, not by where it lies", () =>
    Effect.gen(function* () {
      const pipeline = (from: string) =>
        Pipeline.make("observe", { description: "", params: {} }, () => ({ x: S.observe({ from }) }))
      const status = (from: string) =>
        Effect.flatMap(Pipeline.build(pipeline(from)), (built) =>
          Effect.map(S.run(built), (result) => S.statuses(result)["observe"])
        )
      assert.deepStrictEqual(
        [yield* status("here"), yield* status("here"), yield* status("there")],
        ["computed", "cached", "cached"]
      )
      S.world.number = 5
      assert.strictEqual(yield* status("here"), "computed")
      S.world.number = 7
      S.world.changeWhileReading = true
      const error = yield* Effect.flip(S.run(yield* Pipeline.build(pipeline("here"))))
      assert.include(error.message, "changed while it was read")
      S.world.changeWhileReading = false
      S.world.number = 7
      assert.strictEqual(yield* status("here"), "computed")
    }).pipe(inStore)
  )

  it.live("a stage reads its input by the artifact that it declares, whose code is in its key", () =>
    Effect.gen(function* () {
      const Halves = Schema.Finite.pipe(
        Schema.decodeTo(Schema.Finite, {
          decode: SchemaGetter.transform((x: number) => x / 2),
          encode: SchemaGetter.transform((x: number) => 2 * x)
        })
      )
      const halved = Stage.make({
        name: "halved",
        description: "The sum of numbers that it reads by halves",
        module: import.meta.url,
        params: {},
        input: Artifact.records("numbers", Halves),
        output: S.Total,
        run: ({ input }) =>
          Stream.runFold(
            input.stream,
            () => 0,
            (a, b) => a + b
          )
      })
      const pipeline = Pipeline.make("halves", { description: "", params: {} }, () => ({ x: S.count().pipe(halved()) }))
      const { outputs } = yield* S.run(yield* Pipeline.build(pipeline))
      assert.strictEqual(yield* Store.use((store) => store.read(S.Total, outputs["x"]!)), 5)
    }).pipe(inStore)
  )

  it.live("two runs at once on one store agree on every digest", () =>
    Effect.gen(function* () {
      const built = yield* Pipeline.build(chain)
      const [a, b] = yield* Effect.all([S.run(built), S.run(built)], { concurrency: 2 })
      assert.deepStrictEqual(S.digests(a), S.digests(b))
    }).pipe(inStore)
  )

  it.live("opens a span for each node under the run's", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      yield* Effect.withTracer(S.run(yield* Pipeline.build(chain)), tracer)
      const nodes = spans
        .filter(({ name }) => name === "prefline.node")
        .map(({ attributes }) => attributes.get("prefline.node"))
      assert.sameMembers(nodes, ["count", "noise", "sum", "atMost", "sum-2"])
    }).pipe(inStore)
  )

  it.live("a plan tells what was never made from what the store has lost", () =>
    Effect.gen(function* () {
      const built = yield* Pipeline.build(chain)
      const why = Effect.map(Plan.make(built), ([count]) => count!.why)
      assert.deepStrictEqual(yield* why, ["never computed before"])
      yield* S.run(built)
      assert.deepStrictEqual(yield* why, [])
      rmSync(join(store.root, "actions"), { recursive: true })
      assert.deepStrictEqual(yield* why, ["the entry of its last key is gone from the store"])
    }).pipe(inStore)
  )

  it.live("outputs can be read from the store", () =>
    Effect.gen(function* () {
      const { outputs } = yield* S.run(yield* Pipeline.build(chain))
      const value = yield* Store.use((store) => store.read(S.Total, outputs["same"]!))
      assert.strictEqual(value, 20)
      const records = yield* Store.use((store) => store.read(S.Numbers, outputs["total"]!))
      assert.include((yield* Effect.flip(Stream.runCollect(records.stream))).message, "records.jsonl")
    }).pipe(inStore)
  )
})
