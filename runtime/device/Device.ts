import { Cause, Context, Effect, Exit, Layer, Schema } from "effect"
import type { Opened } from "./Opened.ts"

/**
 * The kinds of device: `node-gpu` (CUDA through libtensorflow), `webgpu` (Dawn: Vulkan, Metal or Direct3D 12), `node`
 * (libtensorflow on the CPU), `wasm` (SIMD, in the npm install itself) and `cpu` (the slow reference).
 */
export const Kind = Schema.Literals(["node-gpu", "webgpu", "node", "wasm", "cpu"])
export type Kind = typeof Kind.Type

/** What a user may ask for. `auto` takes `wasm`, which works everywhere and gives the same bits everywhere. */
export const Choice = Schema.Literals(["auto", ...Kind.literals])
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
  reason: Schema.String
}) {
  override get message() {
    return `device "${this.requested}" is not available: ${this.reason}`
  }
}

/** The device went away while it was used: a driver reset, a sleep, another program. What was on it is gone. */
export class DeviceLost extends Schema.TaggedError<DeviceLost>()("DeviceLost", { reason: Schema.String }) {
  /** The executor's sign that trying again can help; see `Device.renew`. */
  get retryable() {
    return true
  }
  override get message() {
    return `the device was lost: ${this.reason}`
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
    /** The module of the device's own code, which enters keys beside `numerics`. */
    readonly module: string
    /** For people: adapter, library, instruction set. */
    readonly details: Readonly<Record<string, string>>
    /** Live tensors and their bytes, over the whole process. */
    readonly tensors: () => { readonly count: number; readonly bytes: number }
    /** Fails once the device is lost, and never succeeds. */
    readonly lost: Effect.Effect<never, DeviceLost>
    /** Opens a lost device anew. Tensors from before are gone. Fails if what came back computes differently. */
    readonly renew: Effect.Effect<void, DeviceUnavailable>
  }
>()("prefline/runtime/Device") {
  /**
   * Acquires a device. The tensor library is loaded here, not when this module is imported.
   * **Gotchas** The library has one current backend in a process (or worker thread): while one kind of device is held,
   * asking for another fails; the same kind is shared.
   */
  static readonly layer = (choice: Choice | (string & {}) = "auto"): Layer.Layer<Device, DeviceUnavailable> =>
    Layer.effect(
      this,
      Effect.gen(function* () {
        const kind = yield* resolve(choice)
        yield* Effect.acquireRelease(hold(kind), () => letGo)
        let shared = openShared(kind)
        let opened = yield* ready(kind, shared)
        const { details, numerics } = opened
        return Device.of({
          kind,
          numerics,
          module: homes[kind].module,
          details,
          tensors: () => opened.tensors(),
          lost: Effect.suspend(() => lossOf(opened)),
          renew: Effect.gen(function* () {
            if (held.opened === shared) held.opened = undefined // else another holder has renewed it
            const again = openShared(kind)
            const back = yield* ready(kind, again)
            // The lost one stays in place, so that nothing is computed on the other one under these numerics.
            if (JSON.stringify(back.numerics) !== JSON.stringify(numerics))
              return yield* unavailable(kind, "another device came back after the loss of the first")
            shared = again
            opened = back
          })
        })
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

/** How often a computation is begun anew on a renewed device before the loss is its failure. */
const RENEWALS = 2

/**
 * Begins a computation anew, on the device opened anew, when the device is lost under it; fails with `DeviceLost` when that
 * keeps happening. The computation must hold nothing of the device from before it began.
 */
export const withRenewal = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | DeviceLost | DeviceUnavailable, R | Device> =>
  Effect.gen(function* () {
    const device = yield* Device
    for (let renewals = 0; ; renewals++) {
      const exit = yield* Effect.exit(Effect.raceFirst(self, device.lost))
      const lost = Exit.isFailure(exit) ? lossIn(exit.cause) : undefined
      if (lost === undefined) return yield* exit
      if (renewals === RENEWALS) return yield* lost
      yield* device.renew
    }
  })

/** A loss among the reasons of a failure: reads of a lost device fail with it where no type says so. */
const lossIn = (cause: Cause.Cause<unknown>): DeviceLost | undefined => {
  for (const reason of cause.reasons) {
    const error = Cause.isFailReason(reason) ? reason.error : Cause.isDieReason(reason) ? reason.defect : undefined
    if (error instanceof DeviceLost) return error
  }
  return undefined
}

const unavailable = (requested: string, reason: string) => new DeviceUnavailable({ requested, reason })

const resolve = (choice: string): Effect.Effect<Kind, DeviceUnavailable> => {
  if (choice === "auto") return Effect.succeed("wasm")
  if (Schema.is(Kind)(choice)) return Effect.succeed(choice)
  return Effect.fail(unavailable(choice, `there is no such device; there are auto, ${Kind.literals.join(", ")}`))
}

/** Where a device's code lives, loaded on acquisition only: it imports the tensor library. */
const homes: Readonly<Record<Kind, { readonly module: string; readonly load: () => Promise<() => Promise<Opened>> }>> =
  {
    cpu: { module: urlOf("cpu"), load: async () => (await import("./cpu/open.ts")).open },
    wasm: { module: urlOf("wasm"), load: async () => (await import("./wasm/open.ts")).open },
    webgpu: { module: urlOf("webgpu"), load: async () => (await import("./webgpu/open.ts")).open },
    node: { module: urlOf("tensorflow"), load: async () => tensorflow("node") },
    "node-gpu": { module: urlOf("tensorflow"), load: async () => tensorflow("node-gpu") }
  }

function urlOf(folder: string): string {
  return new URL(`./${folder}/open.ts`, import.meta.url).href
}

const tensorflow = async (kind: "node" | "node-gpu") => {
  const { open } = await import("./tensorflow/open.ts")
  return () => open(kind)
}

/** The device that this process holds, and how often; and when the one before it is closed. */
const held: { kind: Kind | undefined; count: number; opened: Promise<Opened> | undefined; closed: Promise<void> } = {
  kind: undefined,
  count: 0,
  opened: undefined,
  closed: Promise.resolve()
}

const hold = (kind: Kind): Effect.Effect<void, DeviceUnavailable> =>
  Effect.suspend(() => {
    if (held.count > 0 && held.kind !== kind)
      return Effect.fail(unavailable(kind, `this process is holding the device "${held.kind}"`))
    held.kind = kind
    held.count++
    return Effect.void
  })

/** The last holder closes the device. */
const letGo = Effect.suspend(() => {
  held.count--
  const { opened } = held
  if (held.count > 0 || opened === undefined) return Effect.void
  held.opened = undefined
  const closed = opened.then(
    ({ close }) => close?.(),
    () => undefined // it never opened: whoever asked was told
  )
  held.closed = closed
  return Effect.promise(() => closed)
})

/** The device, shared by its holders: opened once the one before it is closed, and tried again after a failure. */
const openShared = (kind: Kind): Promise<Opened> => {
  if (held.opened !== undefined) return held.opened
  const open = async () => (await homes[kind].load())()
  const opened = held.closed.then(open, open)
  const forget = () => {
    if (held.opened === opened) held.opened = undefined
  }
  opened.catch(forget) // whoever asked is told
  held.opened = opened
  return opened
}

const ready = (kind: Kind, opened: Promise<Opened>): Effect.Effect<Opened, DeviceUnavailable> =>
  Effect.tryPromise({
    try: () => opened,
    catch: (cause) => unavailable(kind, cause instanceof Error ? cause.message : String(cause))
  })

const lossOf = ({ lost }: Opened): Effect.Effect<never, DeviceLost> =>
  lost === undefined
    ? Effect.never
    : Effect.flatMap(
        Effect.promise(() => lost),
        (reason) => Effect.fail(new DeviceLost({ reason }))
      )
