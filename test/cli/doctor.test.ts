import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Surroundings from "../../runtime/cli/doctor/surroundings.ts"
import { Report, tryDevice } from "../../runtime/cli/doctor/tried.ts"
import { Kind } from "../../runtime/device/Device.ts"
import { inProcess } from "./inProcess.ts"
import { fixture, prefline } from "./prefline.ts"

const SLOW = { timeout: 240_000 }
const folder = mkdtempSync(join(tmpdir(), "prefline-doctor-"))

describe("doctor", () => {
  it("tries every kind of device, each in a process of its own, and ends by the default one", SLOW, async () => {
    const { code, stdout } = await inProcess(["doctor", "--json", "--limit", "200", "--store", folder])
    const { auto, devices, ...facts } = JSON.parse(stdout)
    assert.strictEqual(code, 0)
    assert.strictEqual(auto, "wasm")
    assert.deepStrictEqual(
      devices.map(({ device }: { device: string }) => device),
      Kind.literals
    )
    const works = new Map<string, boolean>()
    for (const { device, ms, ...report } of devices) {
      assert.isTrue(Schema.is(Report)(report), device)
      assert.isAbove(ms, 0)
      works.set(device, report.works)
      assert.isNotEmpty(report.works ? report.details : report.reason)
      if (report.works) assert.deepStrictEqual([report.kind, report.numerics.backend], [device, device])
    }
    assert.isTrue(works.get("wasm") && works.get("cpu"))
    const looked = ["mismatches", "variables", "health", "network"]
    assert.hasAllKeys(facts, ["prefline", "node", "packages", "store", "data", "machine", ...looked])
    assert.strictEqual(facts.node.version, process.version)
    assert.strictEqual(facts.packages["@tensorflow/tfjs"], "4.22.0")
  })

  it("tells people about one device", SLOW, async () => {
    const { code, stdout } = await inProcess(["doctor", "--device", "cpu", "--store", folder])
    assert.strictEqual(code, 0)
    for (const text of ["Node", process.version, folder, "✓ cpu  works", "numerics", "tfjs-4.22.0"])
      assert.include(stdout.replace("node ", "Node "), text)
    assert.notInclude(stdout, "wasm  works")
  })

  it("ends with 1 where the device does not work, and says why and what would help", SLOW, async () => {
    const env = { PREFLINE_TFJS_NODE: "no/absolute/path" }
    const { code, stderr, stdout } = await prefline(["doctor", "--device", "node-gpu"], { env, store: folder })
    assert.strictEqual(code, 1)
    assert.include(stdout, "✗ node-gpu\n    PREFLINE_TFJS_NODE has to be an absolute path")
    assert.include(stderr, 'the device "node-gpu" does not work here')
  })

  it("prints no value of an environment variable that may be a secret", SLOW, async () => {
    const secret = "a-secret-that-nobody-may-see"
    const env = { PREFLINE_DATA: join(folder, secret), PREFLINE_TOKEN: secret, SECRET: secret }
    for (const args of [["--json"], []]) {
      const { stderr, stdout } = await prefline(["doctor", "--device", "cpu", ...args], { env, store: folder })
      assert.include(stdout, args.length > 0 ? '"data":"no folder"' : "set, and names no folder")
      assert.notInclude(stdout + stderr, secret)
    }
  })

  it("refuses a device that does not exist", async () => {
    const { code, stderr, stdout } = await inProcess(["doctor", "--device", "tpu", "--store", folder])
    assert.strictEqual(code, 2)
    assert.include(stderr, 'device "tpu" is not available: there is no such device; there are auto, node-gpu')
    assert.strictEqual(stdout, "")
  })

  it("has help with an example", async () => {
    const { stdout } = await inProcess(["doctor", "--help"])
    assert.include(stdout.split("EXAMPLES")[1], "npm run prefline -- doctor")
  })
})

describe("a device is tried in a process that may", () => {
  const cases: ReadonlyArray<readonly [way: string, limit: number, reason: RegExp | undefined]> = [
    ["works", 60, undefined],
    ["aborts", 60, /^its process ended by SIGABRT and without an answer: .*the driver is gone/s],
    ["silent", 60, /^its process ended with status 0 and without an answer$/],
    ["hangs", 2, /^it gave no answer within 2 s$/],
    ["lingers", 8, /^it computes, but its process did not end within 8 s$/],
    ["fails at its end", 60, /^its process ended with status 3 after its answer$/],
    ["babbles", 60, /^its process said what/]
  ]
  it.live.each(cases)("%s", ([way, limit, reason]) =>
    Effect.gen(function* () {
      const report = yield* tryDevice(way, { limit, child: fixture("brokenDevice.ts") })
      if (reason === undefined) assert.isTrue(report.works)
      else assert.match(report.works ? "works" : report.reason, reason)
    })
  )

  it.live("compute wrong values", () =>
    Effect.gen(function* () {
      const report = yield* tryDevice("cpu", { limit: 60, child: fixture("wrongKernel.ts") })
      assert.match(report.works ? "works" : report.reason, /^it computes wrong values: a small gradient is off by 0\.0/)
    })
  )
})

describe("the store's folder", () => {
  const stateOf = (path: string) => Surroundings.storeFolder(path).state
  it("is told apart as `Store` would", () => {
    const made = (name: string) => {
      mkdirSync(join(folder, name))
      return join(folder, name)
    }
    const [store, foreign, empty] = [made("store"), made("foreign"), made("empty")]
    writeFileSync(join(store, "format.json"), "{}")
    writeFileSync(join(foreign, "letter.txt"), "")
    assert.strictEqual(stateOf(store), "a store")
    assert.strictEqual(stateOf(empty), "will be made")
    assert.strictEqual(stateOf(join(folder, "deep", "down")), "will be made")
    assert.strictEqual(stateOf(foreign), "unusable")
    assert.strictEqual(stateOf(join(foreign, "letter.txt")), "unusable")
    assert.isAbove(Surroundings.storeFolder(empty).freeBytes, 0)
  })

  it("is told where it may not be looked into", () => {
    const closed = mkdtempSync(join(tmpdir(), "prefline-closed-"))
    chmodSync(closed, 0)
    const user = process.geteuid!()
    if (user === 0) process.seteuid!(65534) // nothing is closed to root
    try {
      assert.strictEqual(stateOf(closed), "unusable")
    } finally {
      if (user === 0) process.seteuid!(0)
    }
  })
})
