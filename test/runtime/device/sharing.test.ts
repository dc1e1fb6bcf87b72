/** How holders share the one device of a process, with a device that opens, closes and is lost as a test says. */
import { afterEach, assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { vi } from "vitest"
import { Device, DeviceUnavailable, withRenewal } from "../../../runtime/device/Device.ts"
import type { Opened } from "../../../runtime/device/Opened.ts"

const script = vi.hoisted(() => ({ open: async (): Promise<Opened> => Promise.reject(new Error("unscripted")) }))
vi.mock("../../../runtime/device/webgpu/open.ts", () => ({ open: () => script.open() }))

/** A device that refuses a second one beside it, as `webgpu` does, and what befell it. */
const fake = () => {
  const log: Array<string> = []
  let isOpen = false
  const lose: Array<() => void> = []
  const wait = { opening: Promise.resolve(), closing: Promise.resolve() }
  script.open = async () => {
    log.push("opening")
    if (isOpen) throw new Error("it is open already")
    isOpen = true
    await wait.opening
    log.push("open")
    const lost = Promise.withResolvers<string>()
    lose.push(() => {
      isOpen = false
      lost.resolve("unplugged")
    })
    return {
      numerics: { backend: "webgpu", kernels: fakes.adapter, precision: "float32" },
      tensors: () => ({ count: 0, bytes: 0 }),
      details: {},
      lost: lost.promise,
      close: async () => {
        log.push("closing")
        await wait.closing
        isOpen = false
        log.push("closed")
      }
    }
  }
  const fakes = { adapter: "one", log, lose: () => lose.at(-1)!(), wait }
  return fakes
}

afterEach(() => {
  script.open = () => Promise.reject(new Error("unscripted"))
})

const webgpu = () => Device.layer("webgpu")

describe("a device of a process", () => {
  it.live("that failed to open anew is tried again for the next holder", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const device = fake()
        const first = yield* Layer.build(webgpu())
        device.lose()
        const { open } = script
        script.open = () => Promise.reject(new Error("no adapter"))
        const failed = yield* Effect.flip(Device.use(({ renew }) => renew).pipe(Effect.provide(first)))
        assert.instanceOf(failed, DeviceUnavailable)
        script.open = open
        yield* Layer.build(webgpu())
        yield* Device.use(({ renew }) => renew).pipe(Effect.provide(first))
        assert.deepStrictEqual(device.log, ["opening", "open", "opening", "open"])
      })
    )
  )

  it.live("that is being closed is opened again once it is closed", () =>
    Effect.gen(function* () {
      const { log, wait } = fake()
      const first = yield* Scope.make()
      yield* Layer.buildWithScope(webgpu(), first)
      const closing = Promise.withResolvers<void>()
      wait.closing = closing.promise
      const leaving = yield* Effect.forkChild(Scope.close(first, Exit.void), { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.scoped(Layer.build(webgpu())), { startImmediately: true })
      yield* Effect.sleep(5)
      closing.resolve()
      yield* Fiber.join(leaving)
      yield* Fiber.join(second)
      assert.deepStrictEqual(log, ["opening", "open", "closing", "closed", "opening", "open", "closing", "closed"])
    })
  )

  it.live("whose opening is interrupted is closed before it is opened for the next holder", () =>
    Effect.gen(function* () {
      const { log, wait } = fake()
      const opening = Promise.withResolvers<void>()
      wait.opening = opening.promise
      const first = yield* Effect.forkChild(Effect.scoped(Layer.build(webgpu())), { startImmediately: true })
      yield* Effect.sleep(5)
      const interrupted = yield* Effect.forkChild(Fiber.interrupt(first), { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.scoped(Layer.build(webgpu())), { startImmediately: true })
      yield* Effect.sleep(5)
      opening.resolve()
      yield* Fiber.join(interrupted)
      yield* Fiber.join(second)
      assert.deepStrictEqual(log, ["opening", "open", "closing", "closed", "opening", "open", "closing", "closed"])
    })
  )

  it.live("that two holders share is opened anew once for both after a loss", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { log, lose } = fake()
        const [one, other] = [yield* Layer.build(webgpu()), yield* Layer.build(webgpu())]
        lose()
        for (const context of [one, other]) yield* Device.use(({ renew }) => renew).pipe(Effect.provide(context))
        assert.deepStrictEqual(log, ["opening", "open", "opening", "open"])
      })
    )
  )

  it.live(
    "that came back as another one computes nothing under the numerics of the first, however often it is asked",
    () =>
      Effect.gen(function* () {
        const device = fake()
        let computed = 0
        const work = withRenewal(
          Effect.andThen(
            Effect.sleep(5),
            Effect.sync(() => void computed++)
          )
        )
        yield* Effect.gen(function* () {
          device.lose()
          device.adapter = "two"
          for (const _ of [1, 2]) {
            const failed = yield* Effect.flip(work)
            assert.include(failed.message, "another device came back")
          }
          assert.strictEqual(computed, 0)
        }).pipe(Effect.provide(webgpu()))
      })
  )
})
