import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schema } from "effect"
import * as Artifact from "../../../dsl/Artifact.ts"
import { Index } from "../../../dsl/Params.ts"
import * as Pipeline from "../../../dsl/Pipeline.ts"
import * as Stage from "../../../dsl/Stage.ts"
import { isRetryable, describe as said, tagOf } from "../../../runtime/executor/errors.ts"
import { sizeFor, width } from "../../../runtime/executor/pool/size.ts"
import * as RemoteFailure from "../../../runtime/executor/RemoteFailure.ts"

const Number_ = Artifact.value("number", Schema.Finite)
const of = (name: string, resource: Stage.Resource) =>
  Stage.make({
    name,
    description: "A number",
    module: import.meta.url,
    params: { id: Index },
    inputs: { after: Stage.optional(Number_) },
    output: Number_,
    resource,
    run: ({ params }) => Effect.succeed(params.id)
  })
const device = of("device", "device")
const cpu = of("cpu", "cpu")

const graphOf = (outputs: () => Pipeline.Outputs) =>
  Effect.map(Pipeline.build(Pipeline.make("p", { description: "", params: {} }, outputs)), ({ graph }) => graph)

describe("the number of workers", () => {
  const chain = graphOf(() => ({
    end: device({ id: 3, after: cpu({ id: 2, after: device({ id: 1, after: device({ id: 0 }) }) }) })
  }))
  /** Three chains of two on the device, which share what comes first. */
  const fan = graphOf(() => {
    const shared = device({ id: 0 })
    const chainOn = (id: number) => device({ id: 10 + id, after: cpu({ id, after: device({ id, after: shared }) }) })
    return { a: chainOn(1), b: chainOn(2), c: chainOn(3), d: cpu({ id: 9 }) }
  })
  const machine = { cores: 8, memory: 64 * 1024 ** 3 }

  it.effect("is that of device nodes that can run side by side", () =>
    Effect.gen(function* () {
      assert.strictEqual(width(yield* chain), 1)
      assert.strictEqual(width(yield* fan), 3)
      assert.strictEqual(width(yield* graphOf(() => ({ a: cpu({ id: 0 }), b: cpu({ id: 1 }) }))), 0)
    })
  )

  it.effect("is bounded by cores and memory, and 1 where a device uses all cores by itself", () =>
    Effect.gen(function* () {
      const graph = yield* fan
      assert.strictEqual(sizeFor(graph, "wasm", machine), 3)
      assert.strictEqual(sizeFor(graph, "wasm", { ...machine, cores: 2 }), 2)
      assert.strictEqual(sizeFor(graph, "wasm", { ...machine, memory: 2.5 * 1024 ** 3 }), 2)
      assert.strictEqual(sizeFor(graph, "wasm", { ...machine, memory: 1e8 }), 1)
      assert.strictEqual(sizeFor(yield* chain, "wasm", machine), 1)
      for (const kind of ["webgpu", "node", "node-gpu"] as const) assert.strictEqual(sizeFor(graph, kind, machine), 1)
    })
  )
})

describe("a failure elsewhere", () => {
  class Full extends Schema.TaggedError<Full>()("Full", {
    disk: Schema.Struct({ free: Schema.Int }),
    at: Schema.Date,
    cause: Schema.Defect()
  }) {
    get retryable() {
      return true
    }
    override get message() {
      return `${this.disk.free} bytes are left`
    }
  }

  /** Sends a cause through JSON, as between threads. */
  const travelled = (cause: Cause.Cause<unknown>) => {
    const codec = Schema.toCodecJson(RemoteFailure.Failure)
    const text = JSON.stringify(Schema.encodeSync(codec)(RemoteFailure.fromCause(cause)))
    const exit = Effect.runSyncExit(RemoteFailure.toEffect(Schema.decodeSync(codec)(JSON.parse(text))))
    if (Exit.isFailure(exit)) return exit.cause
    throw new Error("it succeeded")
  }

  it("keeps tag, message, whether to retry, and the fields in their JSON form", () => {
    const original = new Full({ disk: { free: 3 }, at: new Date(0), cause: new RangeError("quota") })
    const cause = travelled(Cause.fail(original))
    assert.isTrue(Cause.hasFails(cause))
    const error = Cause.squash(cause) as RemoteFailure.RemoteFailure & Record<string, unknown>
    assert.deepStrictEqual([tagOf(error), said(error), isRetryable(error)], ["Full", "3 bytes are left", true])
    assert.deepStrictEqual<unknown>(error["disk"], { free: 3 })
    assert.strictEqual(error["at"], "1970-01-01T00:00:00.000Z")
    assert.strictEqual(error.stack, original.stack)
    assert.include(Cause.pretty(cause), "pool.test.ts")
  })

  it("keeps defects, with their cause, defects", () => {
    const cause = travelled(Cause.die(new TypeError("no function", { cause: new Error("why") })))
    assert.isTrue(Cause.hasDies(cause))
    const error = Cause.squash(cause) as Error
    assert.deepStrictEqual(
      [error.name, error.message, (error.cause as Error).message],
      ["TypeError", "no function", "why"]
    )
    assert.strictEqual(tagOf(error), "TypeError")
    assert.isFalse(isRetryable(error))
  })

  it("keeps what is no error as it is, if it is JSON, and else its members that are, or its text", () => {
    assert.deepStrictEqual(Cause.squash(travelled(Cause.fail({ _tag: "Odd", retryable: true }))), {
      _tag: "Odd",
      retryable: true
    })
    assert.strictEqual(Cause.squash(travelled(Cause.fail("plain"))), "plain")
    assert.strictEqual(Cause.squash(travelled(Cause.fail(12n))), "12")
    const busy = { _tag: "Busy", retryable: true, cause: new Error("no JSON") }
    assert.isTrue(isRetryable(Cause.squash(travelled(Cause.fail(busy)))))
  })

  it("leaves members out that are no JSON, and takes interruptions for what they are", () => {
    const error = Object.assign(new Error("full"), { code: "ENOSPC", self: () => 0 })
    const there = Cause.squash(travelled(Cause.fail(error))) as unknown as Record<string, unknown>
    assert.strictEqual(there["code"], "ENOSPC")
    assert.notProperty(there, "self")
    assert.isTrue(Cause.hasInterruptsOnly(travelled(Cause.interrupt())))
  })
})
