import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { assert, describe, it, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Cause, Deferred, Effect, Exit, Fiber } from "effect"
import {
  Device,
  DeviceLost,
  DeviceUnavailable,
  TensorLeak,
  withoutLeak,
  withRenewal
} from "../../../runtime/device/Device.ts"

const kindOf = (choice: string) =>
  Device.use(({ kind }) => Effect.succeed(kind)).pipe(Effect.provide(Device.layer(choice)))

describe("Device", () => {
  it.effect("auto is wasm, and the tensor library really stands on the device asked for", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* kindOf("auto"), "wasm")
      assert.strictEqual(tf.getBackend(), "wasm")
      assert.strictEqual(yield* kindOf("cpu"), "cpu")
      assert.strictEqual(tf.getBackend(), "cpu")
    })
  )

  it.effect("numerics tell backends apart and are plain JSON", () =>
    Effect.gen(function* () {
      const numerics = (choice: string) =>
        Device.use(({ numerics }) => Effect.succeed(numerics)).pipe(Effect.provide(Device.layer(choice)))
      const wasm = yield* numerics("wasm")
      assert.deepStrictEqual(JSON.parse(JSON.stringify(wasm)), wasm)
      assert.deepStrictEqual([wasm.backend, wasm.precision], ["wasm", "float32"])
      assert.match(wasm.kernels, /^tfjs-4\.22\.0 (simd|fma) [0-9a-f]{16}$/)
      assert.notDeepEqual(yield* numerics("cpu"), wasm)
    })
  )

  it.effect("an unknown device is an error that says what there is, never another device", () =>
    Effect.gen(function* () {
      const typo = yield* Effect.flip(kindOf("wsam"))
      assert.instanceOf(typo, DeviceUnavailable)
      assert.strictEqual(
        typo.message,
        'device "wsam" is not available: there is no such device; there are auto, node-gpu, webgpu, node, wasm, cpu'
      )
    })
  )

  it.effect("while one kind is held another is refused and the same is shared; afterwards both can be had", () =>
    Effect.gen(function* () {
      const inside = Effect.gen(function* () {
        assert.strictEqual(yield* kindOf("wasm"), "wasm")
        const busy = yield* Effect.flip(kindOf("cpu"))
        assert.include(busy.message, 'holding the device "wasm"')
      })
      yield* inside.pipe(Effect.provide(Device.layer("wasm")))
      assert.strictEqual(yield* kindOf("cpu"), "cpu")
    })
  )

  it("importing the module loads no tensor library; a process that used a device ends by itself, silently", async () => {
    const script = `
      import { createRequire } from "node:module"
      import { Effect } from "effect"
      import { Device } from "./runtime/device/Device.ts"
      const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes("@tensorflow"))
      const before = loaded()
      const listeners = process.listenerCount("uncaughtException")
      for (const kind of ["wasm", "cpu"])
        await Effect.runPromise(Effect.gen(function*() {
          yield* Device
          const tf = yield* Effect.promise(() => import("@tensorflow/tfjs"))
          const sum = tf.tidy(() => tf.sum(tf.matMul(tf.ones([4, 4]), tf.ones([4, 4]))).dataSync()[0])
          console.log(JSON.stringify([kind, sum]))
        }).pipe(Effect.provide(Device.layer(kind))))
      console.log(JSON.stringify([before, loaded(), process.listenerCount("uncaughtException") - listeners]))`
    const { stderr, stdout } = await promisify(execFile)(
      process.execPath,
      ["--input-type=module-typescript", "--eval", script],
      { cwd: process.cwd(), timeout: 30_000 }
    )
    assert.strictEqual(stderr, "")
    assert.deepStrictEqual(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
      [
        ["wasm", 64],
        ["cpu", 64],
        [false, true, 0]
      ]
    )
  })
})

layer(Device.layer("wasm"))("withoutLeak", (it) => {
  const leak = Effect.sync(() => tf.keep(tf.zeros([3])))

  it.effect("passes a balanced computation's result on", () =>
    Effect.gen(function* () {
      const sum = Effect.sync(() => tf.tidy(() => tf.sum(tf.ones([5])).dataSync()[0]!))
      assert.strictEqual(yield* withoutLeak(sum), 5)
    })
  )

  it.effect("fails with the counts when tensors stay, or vanish", () =>
    Effect.gen(function* () {
      const left: Array<tf.Tensor> = []
      const error = yield* Effect.flip(withoutLeak(Effect.map(leak, (tensor) => left.push(tensor))))
      assert.instanceOf(error, TensorLeak)
      assert.deepStrictEqual([error.after - error.before, error.bytes], [1, 12])
      assert.include(error.message, "left 1 tensors behind")
      const vanished = yield* Effect.flip(withoutLeak(Effect.sync(() => left[0]!.dispose())))
      assert.include(vanished.message, "disposed 1 tensors that it did not make")
    })
  )

  it.effect("keeps the computation's own failure beside the leak", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(withoutLeak(Effect.andThen(leak, Effect.fail("first"))))
      assert.isTrue(Exit.isFailure(exit))
      const failures = Exit.isFailure(exit)
        ? exit.cause.reasons.filter(Cause.isFailReason).map(({ error }) => error)
        : []
      assert.strictEqual(failures[0], "first")
      assert.instanceOf(failures[1], TensorLeak)
    })
  )

  it.effect("sees a leak through an interruption", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(withoutLeak(Effect.andThen(leak, Effect.never)), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.some((r) => Cause.isFailReason(r)))
    })
  )
})

describe("withRenewal", () => {
  const loss = new DeviceLost({ reason: "driver reset" })

  /** Runs on a device that can be lost, and counts how often it is opened anew. */
  const on = <A, E>(self: (lose: Effect.Effect<void>) => Effect.Effect<A, E, Device>) =>
    Effect.gen(function* () {
      let lost = yield* Deferred.make<never, DeviceLost>()
      let renewals = 0
      const device = Device.of({
        kind: "webgpu",
        numerics: { backend: "test", kernels: "none", precision: "float32" },
        module: import.meta.url,
        details: {},
        tensors: () => ({ count: 0, bytes: 0 }),
        lost: Effect.suspend(() => Deferred.await(lost)),
        renew: Effect.map(Deferred.make<never, DeviceLost>(), (next) => {
          lost = next
          renewals++
        })
      })
      const lose = Effect.suspend(() => Effect.asVoid(Deferred.fail(lost, loss)))
      const exit = yield* Effect.exit(withRenewal(self(lose)).pipe(Effect.provideService(Device, device)))
      return { exit, renewals }
    })

  it.effect("begins anew after a loss, be it told by the device, a typed failure or a defect of a read", () =>
    Effect.gen(function* () {
      for (const how of ["device", "failure", "defect"] as const) {
        let attempts = 0
        const { exit, renewals } = yield* on((lose) =>
          Effect.suspend(() => {
            if (++attempts > 1) return Effect.succeed("done")
            if (how === "device") return Effect.andThen(lose, Effect.never)
            return how === "failure" ? Effect.fail(loss) : Effect.die(loss)
          })
        )
        assert.deepStrictEqual(exit, Exit.succeed("done"), how)
        assert.deepStrictEqual([attempts, renewals], [2, 1], how)
      }
    })
  )

  it.effect("gives up on a device that is lost again and again, with an error that invites another try", () =>
    Effect.gen(function* () {
      const { exit, renewals } = yield* on((lose) => Effect.andThen(lose, Effect.never))
      assert.deepStrictEqual(exit, Exit.fail(loss))
      assert.isTrue(loss.retryable)
      assert.strictEqual(renewals, 2)
    })
  )

  it.effect("leaves other failures alone", () =>
    Effect.gen(function* () {
      const { exit, renewals } = yield* on(() => Effect.fail("other"))
      assert.deepStrictEqual([exit, renewals], [Exit.fail("other"), 0])
    })
  )
})
