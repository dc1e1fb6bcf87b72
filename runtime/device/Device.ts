import { Cause, Context, Effect, Exit, Layer, Schema } from "effect"

/** The devices that are built, best first: `wasm` (SIMD, in the npm install itself) and `cpu` (the slow reference). */
export const Kind = Schema.Literals(["wasm", "cpu"])
export type Kind = typeof Kind.Type

/** What a user may ask for; `auto` takes the best device that is built. */
export const Choice = Schema.Literals(["auto", "wasm", "cpu"])
export type Choice = typeof Choice.Type

/**
 * What decides the bits of a result besides the program, as plain JSON: part of every cache key of device work.
 * **Details** `kernels` names the tensor library's version, its instruction set and the build of our own kernels.
 */
export const Numerics = Schema.Struct({ backend: Schema.String, kernels: Schema.String, precision: Schema.String })
export type Numerics = typeof Numerics.Type

/** The asked device cannot be used. Nothing falls back to another one silently. */
export class DeviceUnavailable extends Schema.TaggedError<DeviceUnavailable>()("DeviceUnavailable", {
  requested: Schema.String,
  reason: Schema.String,
  available: Schema.Array(Kind)
}) {
  override get message() {
    return `device "${this.requested}" is not available: ${this.reason}. Available: auto, ${this.available.join(", ")}`
  }
}

/** Tensors that were alive after a computation and not before it, or the other way round. */
export class TensorLeak extends Schema.TaggedError<TensorLeak>()("TensorLeak", {
  before: Schema.Int,
  after: Schema.Int,
  bytes: Schema.Int
}) {
  override get message() {
    const change = this.after - this.before
    const what = change > 0 ? `left ${change} tensors behind` : `disposed ${-change} tensors that it did not make`
    return `the computation ${what} (${this.before} before, ${this.after} after, ${this.bytes} bytes of difference)`
  }
}

/** The tensor backend, held for the life of a scope. */
export class Device extends Context.Service<
  Device,
  {
    readonly kind: Kind
    readonly numerics: Numerics
    /** Live tensors and their bytes, over the whole process. */
    readonly tensors: () => { readonly count: number; readonly bytes: number }
  }
>()("prefline/runtime/Device") {
  /**
   * Acquires a device. The tensor library is loaded here, not when this module is imported.
   * **Gotchas** The library has one current backend in a process: while one kind of device is held, asking for another
   * fails; the same kind is shared.
   */
  static readonly layer = (choice: Choice | (string & {}) = "auto"): Layer.Layer<Device, DeviceUnavailable> =>
    Layer.effect(
      this,
      Effect.gen(function* () {
        const kind = yield* resolve(choice)
        yield* Effect.acquireRelease(hold(kind), () => Effect.sync(letGo))
        const opened = yield* Effect.tryPromise({
          try: async () => (await import("./backends.ts")).open(kind),
          catch: (cause) => unavailable(choice, cause instanceof Error ? cause.message : String(cause))
        })
        return Device.of({ kind, ...opened })
      })
    )
}

/**
 * Fails with `TensorLeak` if the number of live tensors differs before and after, whichever way the computation ends; its
 * own failure is kept beside the leak.
 * **Gotchas** The count is the process's: run it on one computation of a device at a time. What is to outlive the
 * computation (a model in an outer scope) is acquired before it.
 */
export const withoutLeak = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | TensorLeak, R | Device> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const device = yield* Device
      const before = device.tensors()
      const exit = yield* Effect.exit(restore(self))
      const after = device.tensors()
      if (after.count === before.count) return yield* exit
      const leak = new TensorLeak({ before: before.count, after: after.count, bytes: after.bytes - before.bytes })
      if (Exit.isSuccess(exit)) return yield* leak
      return yield* Effect.failCause(Cause.combine(exit.cause, Cause.fail(leak)))
    })
  )

const unavailable = (requested: string, reason: string) =>
  new DeviceUnavailable({ requested, reason, available: Kind.literals })

const resolve = (choice: string): Effect.Effect<Kind, DeviceUnavailable> => {
  if (choice === "auto") return Effect.succeed("wasm")
  if (Schema.is(Kind)(choice)) return Effect.succeed(choice)
  return Effect.fail(
    unavailable(
      choice,
      choice in planned ? `${planned[choice]} is planned and not built yet` : "there is no such device"
    )
  )
}

const planned: Readonly<Record<string, string>> = {
  webgpu: "WebGPU through Dawn",
  node: "libtensorflow on the CPU",
  "node-gpu": "CUDA through libtensorflow"
}

/** The device that this process holds, and how often. */
const held: { kind: Kind | undefined; count: number } = { kind: undefined, count: 0 }

const hold = (kind: Kind): Effect.Effect<void, DeviceUnavailable> =>
  Effect.suspend(() => {
    if (held.count > 0 && held.kind !== kind)
      return Effect.fail(unavailable(kind, `this process is holding the device "${held.kind}"`))
    held.kind = kind
    held.count++
    return Effect.void
  })

const letGo = () => {
  held.count--
}
