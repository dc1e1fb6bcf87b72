/** The kernels again, in the build for machines without fused multiply-add. The environment is this file's own process's. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"

process.env.PREFLINE_WASM = "simd"
const { Device } = await import("../../../../runtime/device/Device.ts")
await import("./matmul.test.ts")
await import("./convolution.test.ts")
await import("./layout.test.ts")
await import("./indexing.test.ts")
await import("./elementwise.test.ts")

layer(Device.layer("wasm"))("the plain build", (it) => {
  it.effect("is the one that these tests ran", () =>
    Effect.gen(function* () {
      const { numerics } = yield* Device
      assert.include(numerics.kernels, " simd ")
    })
  )
})
