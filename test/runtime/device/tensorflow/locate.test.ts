import { execFile } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, realpathSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import manifest from "../../../../package.json" with { type: "json" }
import { gpuName, nvidia, setVariables, variablesFor } from "../../../../runtime/device/tensorflow/environment.ts"
import { BINDING, inBuild, locate } from "../../../../runtime/device/tensorflow/locate.ts"
import { npmPackages, wheels } from "../../../../runtime/device/tensorflow/pins.ts"

const temporary = () => realpathSync(mkdtempSync(join(tmpdir(), "prefline-tensorflow-")))
const put = (path: string, text = "") => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
/** A folder as the build leaves it, without content. */
const build = (kind: "node" | "node-gpu", { binding = true } = {}) => {
  const folder = temporary()
  put(join(inBuild(folder, kind), "package.json"), "{}")
  if (binding) put(join(inBuild(folder, kind), BINDING))
  return folder
}

describe("locate", () => {
  it("takes the named build, and the default one where none is named", () => {
    const [named, fallback] = [build("node-gpu"), build("node-gpu")]
    assert.strictEqual(locate("node-gpu", named, fallback), inBuild(named, "node-gpu"))
    assert.strictEqual(locate("node-gpu", undefined, fallback), inBuild(fallback, "node-gpu"))
    assert.strictEqual(locate("node-gpu", "", fallback), inBuild(fallback, "node-gpu"))
  })

  it("says what it found where, why, and what would help", () => {
    const [other, unfinished] = [build("node"), build("node-gpu", { binding: false })]
    assert.throws(() => locate("node-gpu", other, unfinished), /tfjs-node-gpu is not there/)
    for (const text of [
      /PREFLINE_TFJS_NODE names: missing; node_modules: missing; the build folder: without lib\/napi-v8/,
      /optional dependency: its install script downloads libtensorflow/,
      /`npm run build:node -- --gpu` .*needs g\+\+ and pip/
    ])
      assert.throws(() => locate("node-gpu", other, unfinished), text)
    assert.throws(() => locate("node", unfinished, unfinished), /`npm run build:node` /)
  })

  it("refuses a relative name", () => {
    assert.throws(() => locate("node", "some/folder", build("node")), /absolute/)
  })
})

describe("variables", () => {
  it("are the user's where they may differ, and fixed where a GPU would compute differently", () => {
    const chosen = variablesFor("node", { TF_NUM_INTRAOP_THREADS: "7", TF_DETERMINISTIC_OPS: "0", HOME: "/" })
    assert.strictEqual(chosen["TF_NUM_INTRAOP_THREADS"], "7")
    assert.strictEqual(chosen["TF_ENABLE_ONEDNN_OPTS"], "1")
    assert.doesNotHaveAnyKeys(chosen, ["TF_DETERMINISTIC_OPS", "HOME"])
    const gpu = variablesFor("node-gpu", { NVIDIA_TF32_OVERRIDE: "1", TF_DETERMINISTIC_OPS: "0" })
    assert.deepStrictEqual([gpu["NVIDIA_TF32_OVERRIDE"], gpu["TF_DETERMINISTIC_OPS"]], ["0", "1"])
  })

  it("are set for native code too, on the main thread", () => {
    setVariables({ PREFLINE_TEST_VARIABLE: "on" })
    assert.strictEqual(process.env["PREFLINE_TEST_VARIABLE"], "on")
    Reflect.deleteProperty(process.env, "PREFLINE_TEST_VARIABLE")
  })

  it("are refused on a worker thread whose process has others", async () => {
    const environment = new URL("../../../../runtime/device/tensorflow/environment.ts", import.meta.url).href
    const script = `
      import { Worker } from "node:worker_threads"
      process.env.SET = "1"
      const code = \`import(${JSON.stringify(environment)}).then(({ setVariables }) => {
        setVariables({ SET: "1" })
        setVariables({ UNSET: "1" })
      })\`
      new Worker(code, { eval: true }).on("error", ({ message }) => console.log(message))`
    const { stdout } = await ended(process.execPath, ["--input-type=module", "--eval", script])
    assert.include(stdout, "UNSET has to be 1 before worker threads start")
  })
})

describe("nvidia", () => {
  it("reads what the driver shows", () => {
    const root = temporary()
    put(join(root, "gpus/0000:00:04.0/information"), "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 11\n")
    put(join(root, "version"), "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.90.07  Fri May 31 2024\n")
    assert.deepStrictEqual(nvidia(root), { models: ["NVIDIA H100 80GB HBM3"], driver: "550.90.07" })
    assert.deepStrictEqual(nvidia(join(root, "nowhere")), { models: [], driver: "" })
  })

  it("gives GPUs that may compute differently different names", () => {
    const [small, large] = ["NVIDIA T4", "NVIDIA A100"]
    const choice = (index: string) => ({ CUDA_VISIBLE_DEVICES: index })
    assert.notStrictEqual(gpuName([small, large], choice("0")), gpuName([small, large], choice("1")))
    assert.strictEqual(gpuName([small, small], choice("0")), gpuName([small, small], choice("1")))
    assert.strictEqual(gpuName([large], {}), large)
    assert.include(gpuName([], {}), hostname())
  })
})

describe("the build", () => {
  it("pins packages by hash, tfjs-node in the version of the tensor library", () => {
    for (const name of ["@tensorflow/tfjs-node", "@tensorflow/tfjs-node-gpu"])
      assert.strictEqual(npmPackages[name]!.version, manifest.dependencies["@tensorflow/tfjs"])
    for (const { integrity } of Object.values(npmPackages)) assert.match(integrity, /^sha512-[\w+/]{86}==$/)
    for (const { sha256 } of Object.values(wheels).flat()) assert.match(sha256, /^[0-9a-f]{64}$/)
  })

  it("says all that is missing, and makes nothing then", async () => {
    const [script, folder] = [
      fileURLToPath(new URL("../../../../runtime/device/tensorflow/build-node.ts", import.meta.url)),
      join(temporary(), "made")
    ]
    const { code, stderr } = await ended(process.execPath, [script, folder], {
      CXX: "no-compiler",
      PYTHON: "no-python"
    })
    assert.strictEqual(code, 1)
    assert.match(stderr, /^build-node: .*no-compiler.*no-python/)
    assert.isFalse(existsSync(folder))
  })
})

const ended = (command: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  new Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>((resolve) => {
    const child = execFile(command, args, { env: { ...process.env, ...env } }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr })
    )
  })
