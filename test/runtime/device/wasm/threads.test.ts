import { spawnSync } from "node:child_process"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { afterEach, assert, it, layer, vi } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Schema } from "effect"
import { Device } from "../../../../runtime/device/Device.ts"
import { fileOf } from "../../../../runtime/device/wasm/build.ts"
import { type Heap, heapOf, loadKernels } from "../../../../runtime/device/wasm/host.ts"
import { withSharedMemory } from "../../../../runtime/device/wasm/sharedMemory.ts"
import { makeTeam, type Team, teamOf, threadsAskedFor } from "../../../../runtime/device/wasm/threads.ts"
import { engine } from "../../../../runtime/device/wasm/webAssembly.ts"
import { values } from "../../tensor/closeness.ts"
import { balanced, random } from "./tensors.ts"

process.env.PREFLINE_THREADS = "2"

const heap = (): Heap => heapOf(tf.engine().backend)

/** The team once its helpers look for work; its jobs are counted. */
const readyTeam = async () => {
  const team = teamOf(heap())!
  for (const end = performance.now() + 5_000; !team.isReady() && performance.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 5))
  assert.isTrue(team.isReady(), team.describe())
  return team
}

/**
 * What `run` gives with the team and without it, and how many jobs the team was given. Those of the team are made again until
 * a helper has done some of the work, which on a busy machine it may come too late for.
 */
const both = <A>(team: Team, run: () => A) => {
  const jobs = vi.spyOn(team, "run")
  const before = team.helped()
  let shared = run()
  const count = jobs.mock.calls.length
  for (let i = 0; count > 0 && team.helped() === before && i < 1000; i++) shared = run()
  if (count > 0) assert.notStrictEqual(team.helped(), before)
  jobs.mockClear()
  vi.spyOn(team, "isReady").mockReturnValue(false)
  const alone = run()
  assert.strictEqual(jobs.mock.calls.length, 0)
  vi.restoreAllMocks()
  return { shared, alone, jobs: count }
}

const layouts = [false, true].flatMap((turnA) => [false, true].map((turnB) => [turnA, turnB] as const))

const multiplied = (a: ReadonlyArray<number>, b: ReadonlyArray<number>, turnA: boolean, turnB: boolean) =>
  tf.tidy(() => {
    const turned = (shape: ReadonlyArray<number>, turn: boolean) =>
      turn ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape
    const product = tf.matMul(random("a", turned(a, turnA)), random("b", turned(b, turnB)), turnA, turnB)
    return { shape: product.shape, values: values(product) }
  })

afterEach(() => {
  vi.restoreAllMocks()
})

layer(Device.layer("wasm"))("matmul on two threads", (it) => {
  it.effect("is shared, and a parameter of the tensor library's own memory", () =>
    Effect.gen(function* () {
      const { details } = yield* Device
      assert.strictEqual(details.threads, "2")
      const team = yield* Effect.promise(readyTeam)
      yield* balanced(() => {
        assert.instanceOf(heap().floats(tf.scalar(1)).buffer, SharedArrayBuffer)
        assert.strictEqual(both(team, () => multiplied([64, 64], [64, 64], false, false)).jobs, 1)
        assert.strictEqual(both(team, () => multiplied([16, 16], [16, 16], false, false)).jobs, 0)
      })
    })
  )

  for (const [a, b] of [
    [
      [64, 64],
      [64, 256]
    ],
    [
      [64, 512],
      [512, 128]
    ],
    [
      [1024, 64],
      [64, 24]
    ],
    [
      [37, 1100],
      [1100, 41]
    ],
    [
      [1, 700],
      [700, 999]
    ],
    [
      [64, 1024],
      [1024, 256]
    ],
    [
      [256, 1024],
      [1024, 64]
    ],
    [
      [3, 100, 64],
      [64, 100]
    ],
    [
      [3, 100, 64],
      [3, 64, 33]
    ],
    [
      [70, 24, 32],
      [70, 32, 24]
    ],
    [
      [2, 1, 70, 90],
      [3, 90, 80]
    ]
  ] as ReadonlyArray<[ReadonlyArray<number>, ReadonlyArray<number>]>)
    it.effect(`[${a}] by [${b}]: the bits of one thread, in every layout`, () =>
      Effect.gen(function* () {
        const team = yield* Effect.promise(readyTeam)
        yield* balanced(() => {
          for (const [turnA, turnB] of layouts) {
            const { alone, jobs, shared } = both(team, () => multiplied(a, b, turnA, turnB))
            assert.isAbove(jobs, 0)
            assert.deepStrictEqual(shared, alone, `${turnA} ${turnB}`)
          }
        })
      })
    )

  const size = (most: number) => Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: most }))
  it.effect.prop(
    "random shapes: the bits of one thread",
    [size(130), size(700), size(130), Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })), size(4)],
    ([rows, inner, columns, layout, batch]) =>
      Effect.gen(function* () {
        const team = yield* Effect.promise(readyTeam)
        yield* balanced(() => {
          const [turnA, turnB] = layouts[layout]!
          const { alone, shared } = both(team, () =>
            multiplied([batch, rows, inner], [batch, inner, columns], turnA, turnB)
          )
          assert.deepStrictEqual(shared, alone)
        })
      }),
    { arbitrary: { runs: 100 } }
  )

  it.effect("a helper that has fallen asleep is woken", () =>
    Effect.gen(function* () {
      const team = yield* Effect.promise(readyTeam)
      for (let i = 0; i < 3; i++) {
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 100)))
        yield* balanced(() => void both(team, () => multiplied([512, 512], [512, 512], false, false)))
      }
    })
  )

  it.effect("memory stays as large as it is, however often it is used", () =>
    Effect.gen(function* () {
      yield* Effect.promise(readyTeam)
      const bytes = () => tf.tidy(() => heap().floats(tf.scalar(0)).buffer.byteLength)
      for (let i = 0; i < 3; i++) multiplied([300, 200], [200, 300], true, true)
      const before = bytes()
      for (let i = 0; i < 30; i++) multiplied([300, 200], [200, 300], true, true)
      assert.strictEqual(bytes(), before)
    })
  )

  /** A team whose helper is the given program instead of ours. */
  const odd = (program: string, patience = 50) =>
    Effect.promise(async () => {
      const helper = new URL(`data:text/javascript,${encodeURIComponent(program)}`)
      const ours = teamOf(heap())
      const team = makeTeam(heap(), await loadKernels(tf.engine().backend), 2, { patience, helper })
      assert.notStrictEqual(ours, team)
      return team
    })
  const protocol = JSON.stringify(new URL("../../../../runtime/device/wasm/protocol.ts", import.meta.url).href)
  const prelude = `
    import { workerData } from "node:worker_threads"
    import * as P from ${protocol}
    const { words } = P.boardOf(workerData.board)
    Atomics.add(words, P.READY, 1)
    while (P.take(words) < 0);`

  it.effect("a helper that begins a part and never ends it: the right result, and no helper from then on", () =>
    Effect.gen(function* () {
      const expected = multiplied([512, 256], [256, 512], false, false)
      const team = yield* odd(`${prelude} Atomics.wait(words, P.FAILED, 0)`)
      yield* Effect.promise(readyTeam)
      for (let i = 0; i < 1000 && team.isReady(); i++)
        assert.deepStrictEqual(multiplied([512, 256], [256, 512], false, false), expected)
      assert.match(team.describe(), /^1 .*did not answer/)
      assert.deepStrictEqual(multiplied([512, 256], [256, 512], false, false), expected)
      yield* Effect.promise(team.close)
    })
  )

  it.effect("a helper that fails in a part: the right result, and no helper from then on", () =>
    Effect.gen(function* () {
      const expected = multiplied([512, 256], [256, 512], false, false)
      const team = yield* odd(
        `${prelude} Atomics.add(words, P.FAILED, 1); Atomics.add(words, P.DONE, 1); Atomics.wait(words, P.SLEEPING, 0)`,
        60_000
      )
      yield* Effect.promise(readyTeam)
      for (let i = 0; i < 1000 && team.isReady(); i++)
        assert.deepStrictEqual(multiplied([512, 256], [256, 512], false, false), expected)
      assert.match(team.describe(), /^1 .*failed/)
      yield* Effect.promise(team.close)
    })
  )

  it.effect("a helper that cannot start, or ends: alone, with the reason", () =>
    Effect.gen(function* () {
      const expected = multiplied([128, 128], [128, 128], false, false)
      for (const [program, reason] of [
        ["throw new Error('no way')", /^1 .*no way/],
        ["process.exit(0)", /^1 .*ended/]
      ] as const) {
        const team = yield* odd(program)
        assert.deepStrictEqual(multiplied([128, 128], [128, 128], false, false), expected)
        for (let i = 0; i < 600 && team.describe() === "2"; i++)
          yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 50)))
        assert.match(team.describe(), reason)
        assert.isFalse(team.isReady())
        yield* Effect.promise(team.close)
      }
    })
  )
})

it("opened and closed again and again, it leaves no thread behind and ends by itself", () => {
  const program = `
    import * as tf from "@tensorflow/tfjs"
    import { open } from ${JSON.stringify(new URL("../../../../runtime/device/wasm/open.ts", import.meta.url).href)}
    const threads = () => process.report.getReport().workers.length
    for (let i = 0; i < 5; i++) {
      const { close, details } = await open()
      if (details.threads !== "2") throw new Error(details.threads)
      const a = tf.ones([256, 256])
      for (let j = 0; j < 500 && threads() === 0; j++) {
        tf.matMul(a, a).dispose()
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      if (threads() !== 1) throw new Error("threads: " + threads())
      if (i < 4) await close()
      if (i < 4 && threads() !== 0) throw new Error("left behind: " + threads())
      if (tf.matMul(a, a).dataSync()[7] !== 256) throw new Error("wrong")
    }
    console.log("end")`
  const { status, stderr, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    cwd: fileURLToPath(new URL("../../../..", import.meta.url)),
    env: { ...process.env, PREFLINE_THREADS: "2", NODE_OPTIONS: "" },
    encoding: "utf8",
    timeout: 50_000
  })
  assert.deepStrictEqual({ status, stderr, stdout }, { status: 0, stderr: "", stdout: "end\n" })
})

it("how many threads: as the environment says, else one", () => {
  for (const [text, expected] of [
    ["1", 1],
    ["2", 2],
    ["7", 7]
  ] as const) {
    vi.stubEnv("PREFLINE_THREADS", text)
    assert.strictEqual(threadsAskedFor(), expected)
  }
  for (const text of ["0", "-1", "1.5", "many", "33"]) {
    vi.stubEnv("PREFLINE_THREADS", text)
    assert.throws(threadsAskedFor, new RegExp(`PREFLINE_THREADS is "${text}"`))
  }
  vi.stubEnv("PREFLINE_THREADS", undefined)
  assert.strictEqual(threadsAskedFor(), 1)
  vi.unstubAllEnvs()
})

it("only the declaration of the memory is changed", async () => {
  const bytes = new Uint8Array(await readFile(fileOf("simd")))
  const shared = withSharedMemory(bytes)
  assert.isTrue(engine.validate(shared))
  assert.strictEqual(shared.length, bytes.length + 3) // a largest size
  assert.deepStrictEqual(withSharedMemory(shared), shared)
  const header = [0, 97, 115, 109, 1, 0, 0, 0]
  const owned = withSharedMemory(Uint8Array.from([...header, 5, 4, 1, 1, 1, 2]))
  assert.deepStrictEqual([...owned], [...header, 5, 4, 1, 3, 1, 2])
  assert.throws(() => withSharedMemory(Uint8Array.from(header)), /0 memories/)
})
