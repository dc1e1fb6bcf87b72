import { execFile } from "node:child_process"
import { cpSync, mkdtempSync, realpathSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as util from "node:util"
import { assert, describe, it, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import { Device, withoutLeak } from "../../../../runtime/device/Device.ts"
import { inBuild, locate } from "../../../../runtime/device/tensorflow/locate.ts"
import * as Parity from "../../models/parityRun.ts"

const missing = (() => {
  try {
    locate("node")
    return undefined
  } catch (cause) {
    return String(cause)
  }
})()
const required = (process.env["PREFLINE_REQUIRE_DEVICES"] ?? "").split(",").includes("node")

if (missing !== undefined)
  describe("node", () => {
    process.stderr.write(`the device node is SKIPPED: ${missing}\n`)
    it("opens", (context) => (required ? assert.fail(missing) : context.skip(missing)))
  })
else {
  layer(Device.layer("node"))("node", (it) => {
    it.effect("stands on TensorFlow, and says with what it computes", () =>
      Effect.gen(function* () {
        const { details, numerics } = yield* Device
        assert.strictEqual(tf.getBackend(), "tensorflow")
        assert.strictEqual(numerics.backend, "node")
        assert.match(numerics.kernels, /^tfjs-4\.22\.0 tensorflow-2\.\d+\.\d+ onednn-[01] threads-\d+ .+/)
        assert.match(details["library"]!, /^TensorFlow 2\./)
      })
    )

    it.effect("leaves Node's own functions alone", () =>
      Effect.sync(() => {
        assert.notProperty(util, "isNullOrUndefined")
        assert.strictEqual(
          tf.tidy(() => tf.sum(tf.matMul(tf.ones([8, 8]), tf.ones([8, 8]))).dataSync()[0]),
          512
        )
      })
    )

    it.effect("frees what is disposed, in the library too", () =>
      Effect.sync(() => {
        const { binding } = tf.backend() as unknown as { binding: { getNumOfTensors: () => number } }
        const before = binding.getNumOfTensors()
        const square = tf.tidy(() => tf.square(tf.ones([64])))
        square.dataSync()
        assert.isAbove(binding.getNumOfTensors(), before)
        square.dispose()
        assert.strictEqual(binding.getNumOfTensors(), before)
      })
    )

    const near = (losses: ReadonlyArray<number>, expected: ReadonlyArray<number>) => {
      for (const [step, loss] of expected.entries()) assert.closeTo(losses[step]!, loss, 2e-5, `step ${step}`)
    }
    it.effect("trains as PyTorch does, X", () =>
      Effect.gen(function* () {
        const losses = yield* withoutLeak(Parity.losses(Parity.X, 8))
        near(losses, [Math.LN2, 0.689037, 0.680538, 0.681909, 0.681943])
        assert.closeTo(losses[7]!, 0.734065, 2e-5)
      })
    )
    it.effect("trains as PyTorch does, S", () =>
      Effect.gen(function* () {
        const losses = yield* withoutLeak(Parity.losses(Parity.S, 50))
        near(losses, [Math.LN2, 0.729505, 0.184371, 0.290331, 0.097495])
        assert.closeTo(losses[49]!, 0.045115, 2e-5)
      })
    )
  })

  const inProcess = (script: string, env: Readonly<Record<string, string>> = {}) =>
    new Promise<readonly [number | null, string, string]>((resolve) => {
      const child = execFile(
        process.execPath,
        ["--input-type=module-typescript", "--eval", script],
        { timeout: 60_000, env: { ...process.env, ...env } },
        (_, stdout, stderr) => resolve([child.exitCode, stdout, stderr])
      )
    })

  describe("a process that used node", () => {
    it("ends by itself, silently, and computes the same bits again", async () => {
      const script = `
        import { Effect } from "effect"
        import { Device } from "./runtime/device/Device.ts"
        const { losses, X } = await import("./test/runtime/models/parityRun.ts")
        const [, , last] = await Effect.runPromise(losses(X, 3).pipe(Effect.provide(Device.layer("node"))))
        console.log(last)`
      const first = await inProcess(script)
      assert.match(first[1], /^0\.6805\d+\n$/)
      assert.deepStrictEqual(first, [0, first[1], ""])
      assert.deepStrictEqual(await inProcess(script), first)
    })
  })

  describe("a build outside the project", () => {
    it("works with the project's own tensor library, which it does not find by itself", async () => {
      const [made, folder] = [locate("node"), mkdtempSync(join(tmpdir(), "prefline-tensorflow-"))]
      const moved = inBuild(folder, "node")
      for (const part of ["package.json", "dist"]) cpSync(join(made, part), join(moved, part), { recursive: true })
      for (const part of ["lib", "deps"]) symlinkSync(join(made, part), join(moved, part))
      const packages = join(made, "../..")
      for (const name of ["@mapbox", "google-protobuf", "progress"])
        symlinkSync(join(packages, name), join(folder, "node_modules", name))
      const script = `
        import { open } from "./runtime/device/tensorflow/open.ts"
        const { details } = await open("node")
        console.log(details.package)`
      assert.deepStrictEqual(await inProcess(script, { PREFLINE_TFJS_NODE: folder }), [
        0,
        `${realpathSync(moved)}\n`,
        ""
      ])
    })
  })

  describe("worker threads", () => {
    it("compute side by side once the main thread has set the variables", async () => {
      const script = `
        import { Worker } from "node:worker_threads"
        import { setVariables, variablesFor } from "./runtime/device/tensorflow/environment.ts"
        setVariables(variablesFor("node"))
        const code = \`Promise.all([import("@tensorflow/tfjs"), import("./runtime/device/tensorflow/open.ts")]).then(
          async ([tf, { open }]) => {
            await open("node")
            console.log(tf.getBackend(), tf.sum(tf.matMul(tf.ones([8, 8]), tf.ones([8, 8]))).dataSync()[0])
          })\`
        for (const _ of "12") new Worker(code, { eval: true })`
      assert.deepStrictEqual(await inProcess(script), [0, "tensorflow 512\ntensorflow 512\n", ""])
    })
  })
}
