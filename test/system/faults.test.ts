/** What surroundings do to a run: disks that are full or read-only, clocks that are set, files that are damaged or gone. */
import { execFileSync, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Layer, Stream } from "effect"
import * as Pipeline from "../../dsl/Pipeline.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Executor from "../../runtime/executor/Executor.ts"
import { CodeHash } from "../../runtime/store/CodeHash.ts"
import * as Journal from "../../runtime/store/Journal.ts"
import { Store } from "../../runtime/store/Store.ts"
import tiny from "../cli/fixtures/tiny.ts"
import { inProcess } from "../cli/inProcess.ts"
import { fixture, WITH_TINY } from "../cli/prefline.ts"
import { finishedIn } from "../long/KillPoint.ts"
import { problemsOf } from "../long/storeCheck.ts"
import { Word } from "../runtime/store/scratch.ts"
import * as System from "./support.ts"

const isRoot = process.getuid?.() === 0
const STACK = /\n\s+at .*[:(]/

interface Ended {
  readonly code: number | null
  readonly stderr: string
}

/** Runs the command line on the experiment of this folder, behind a command of the system and as another user if told so. */
const command = (
  args: ReadonlyArray<string>,
  options: { readonly behind?: ReadonlyArray<string>; readonly uid?: number } = {}
) =>
  Effect.promise(
    () =>
      new Promise<Ended>((resolve, reject) => {
        const [program, ...rest] = [...(options.behind ?? []), process.execPath, WITH_TINY, ...args]
        const child = spawn(program!, rest, {
          cwd: System.PROJECT,
          env: { PATH: process.env["PATH"]!, HOME: Os.tmpdir(), NODE_DISABLE_COMPILE_CACHE: "1" },
          ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid })
        })
        let stderr = ""
        child.stderr.on("data", (text) => (stderr += text))
        child.stdout.resume()
        child.on("error", reject)
        child.on("close", (code) => resolve({ code, stderr }))
      })
  )

const experiment = ["run", System.EXPERIMENT, "--workers", "1", "--store"]
const digests = (root: string) => new Map([...finishedIn(root)].map(([node, { digest }]) => [node, digest]))

const assertFailed = ({ code, stderr }: Ended, ...said: ReadonlyArray<RegExp>) => {
  assert.strictEqual(code, 1, stderr)
  for (const text of said) assert.match(stderr, text)
  assert.notMatch(stderr, STACK)
  assert.notInclude(stderr, "unexpected:")
}

/** A second command finishes what the first one could not; of what was finished nothing is made again. */
const assertGoesOn = Effect.fnUntraced(function* (root: string, undisturbed: ReadonlyMap<string, string>) {
  const before = digests(root)
  const runs = new Set(Fs.globSync(`${root}/runs/*`))
  const again = yield* command([...experiment, root])
  assert.strictEqual(again.code, 0, again.stderr)
  assert.deepStrictEqual(digests(root), undisturbed)
  const [fresh] = Fs.globSync(`${root}/runs/*`).filter((path) => !runs.has(path))
  const events = yield* Journal.read(root, Path.basename(fresh!))
  const computed = events.flatMap((event) =>
    event._tag === "NodeFinished" && event.status === "computed" ? [event.node] : []
  )
  assert.isEmpty(computed.filter((node) => before.has(node)))
  assert.deepStrictEqual(problemsOf(root, { settled: true }), [])
  return computed.length
})

describe("a disk without room", () => {
  /** Of 512 bytes, in the largest file: less than a checkpoint's weights, more than a journal. */
  const BLOCKS = 48
  /** KiB at which a disk fills up in the midst of the run; with PREFLINE_LONG=1 early and late too. */
  const SIZES = process.env["PREFLINE_LONG"] === "1" ? [16, 60, 120] : [60]
  it.live(
    "ends the run with a clear error, loses nothing that is finished, and goes on when there is room",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const alone = yield* System.folder
          yield* command([...experiment, alone])
          const undisturbed = digests(alone)
          assert.isAbove(undisturbed.size, 8)

          // The largest file that a process may write: no account needs rights for that. Weights are the largest files.
          const root = yield* System.folder
          const limited = yield* command([...experiment, root], {
            behind: ["sh", "-c", `ulimit -f ${BLOCKS}; exec "$@"`, "sh"]
          })
          assertFailed(limited, /cannot write .* in the store|cannot keep partial state/, /EFBIG/)
          assert.isAtLeast(yield* assertGoesOn(root, undisturbed), 2)

          if (!isRoot) return console.warn("SKIPPED: full file systems, which only root can mount")
          for (const size of SIZES) {
            const disk = yield* mounted(size)
            const full = yield* command([...experiment, disk.root])
            assertFailed(full, /ENOSPC|no space left/)
            assert.deepStrictEqual(problemsOf(disk.root, { settled: false }), [])
            yield* disk.grow
            yield* assertGoesOn(disk.root, undisturbed)
          }
        })
      ),
    180_000
  )

  /** A file system of so many KiB in memory. */
  const mounted = (size: number) =>
    Effect.gen(function* () {
      const root = yield* System.folder
      yield* Effect.acquireRelease(
        Effect.sync(() => execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}k`, "prefline-test", root])),
        () => Effect.sync(() => execFileSync("umount", ["-l", root]))
      )
      return { root, grow: Effect.sync(() => execFileSync("mount", ["-o", "remount,size=64m", root])) }
    })
})

describe("a store that may not be written or read", () => {
  const NOBODY = 65534
  const forbidden = isRoot ? { uid: NOBODY } : {}
  const runTiny = (root: string) => ["run", fixture("tiny.ts"), "--workers", "1", "--store", root]
  const prepared = Effect.gen(function* () {
    const root = yield* System.folder
    const made = yield* Effect.promise(() => inProcess(runTiny(root)))
    assert.strictEqual(made.code, 0, made.stderr)
    const all = [root, ...Fs.readdirSync(root, { recursive: true, encoding: "utf8" }).map((name) => `${root}/${name}`)]
    if (isRoot) for (const path of all) Fs.chownSync(path, NOBODY, NOBODY)
    return root
  })
  const cases: ReadonlyArray<readonly [name: string, path: string, mode: number, said: RegExp]> = [
    ["folders that may not be written", "*/", 0o555, /cannot use .* as a store: EACCES/],
    ["a folder that may not be entered", ".", 0o000, /cannot use .* as a store: EACCES/],
    ["objects that may not be read", "objects/*/*", 0o000, /cannot read .*EACCES/],
    ["entries that may not be read", "actions/*/*", 0o000, /cannot read .*EACCES/],
    ["a folder of runs that may not be written", "runs", 0o555, /runs.*EACCES/]
  ]
  for (const [name, pattern, mode, said] of cases) {
    it.live(
      `${name}: says so, and works again when it may`,
      () =>
        Effect.scoped(
          Effect.gen(function* () {
            const root = yield* prepared
            const paths = pattern === "." ? [root] : Fs.globSync(`${root}/${pattern}`)
            assert.isNotEmpty(paths)
            const modes = paths.map((path) => Fs.statSync(path).mode)
            for (const path of paths) Fs.chmodSync(path, mode)
            const before = digests(root)
            assertFailed(yield* command(runTiny(root), forbidden), said)
            for (const [i, path] of paths.entries()) Fs.chmodSync(path, modes[i]!)
            const again = yield* Effect.promise(() => inProcess(runTiny(root)))
            assert.strictEqual(again.code, 0, again.stderr)
            assert.deepStrictEqual(digests(root), before)
            assert.deepStrictEqual(problemsOf(root, { settled: true }), [])
          })
        ),
      60_000
    )
  }

  it.live("a file, a folder of other things, and a store of a later or an unknown form are refused", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const folder = yield* System.folder
        const file = `${folder}/file`
        Fs.writeFileSync(file, "x")
        const later = `${folder}/later`
        Fs.mkdirSync(later)
        Fs.writeFileSync(`${later}/format.json`, '{"format":"prefline-store","version":999}\n')
        const unknown = `${folder}/unknown`
        Fs.mkdirSync(unknown)
        Fs.writeFileSync(`${unknown}/format.json`, "[]")
        for (const [root, said] of [
          [file, /it is a file/],
          [`${file}/below`, /ENOTDIR|not a directory/],
          [folder, /it holds other files/],
          [later, /format 999.*use a newer prefline/],
          [unknown, /format\.json is not that of a store/]
        ] as const) {
          const { code, stderr } = yield* Effect.promise(() => inProcess(["run", "tiny", "--store", root]))
          assertFailed({ code, stderr }, said)
        }
        assert.sameMembers(Fs.readdirSync(folder), ["file", "later", "unknown"])
      })
    )
  )
})

/** The system's clock, off by up to ten hours either way, anew at every look. */
const jumping = (seed: number): Clock.Clock => {
  const draws = Rng.make(seed, "clock")
  let looks = 0
  const offset = () => Math.round((draws.uniform(looks++) - 0.5) * 20 * 3600_000)
  return jumpingBy(offset)
}

const jumpingBy = (offset: () => number): Clock.Clock => {
  const system = Effect.runSync(Effect.clockWith(Effect.succeed))
  const millis = () => system.currentTimeMillisUnsafe() + offset()
  return Object.assign(Object.create(system) as Clock.Clock, {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis)
  })
}

describe("a system clock that is set while a run goes on", () => {
  it.live("changes no digest, makes no duration negative, and loses no run", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const [root, still] = [yield* System.folder, yield* System.folder]
        const own = yield* Clock.Clock
        const run = (store: string, clock: Clock.Clock) =>
          Effect.gen(function* () {
            const built = yield* Pipeline.build(tiny, {})
            return yield* Executor.run(built, { source: { module: fixture("tiny.ts"), export: "default" } })
          }).pipe(
            Effect.provideService(Clock.Clock, clock),
            Effect.provide(Layer.mergeAll(Store.layer(store), CodeHash.layer))
          ) as Effect.Effect<Executor.RunResult>
        const undisturbed = yield* run(still, own)
        for (let seed = 0; seed < 3; seed++) {
          const { nodes } = yield* run(root, jumping(seed))
          for (const { ms } of nodes) assert.isTrue(ms >= 0 && ms < 3600_000, `${ms} ms`)
          assert.deepStrictEqual(
            nodes.map(({ output }) => output?.digest),
            undisturbed.nodes.map(({ output }) => output?.digest)
          )
        }
        const runs = yield* Journal.list(root)
        for (const { ms } of runs) assert.isTrue(ms !== undefined && ms >= 0 && ms < 3600_000, `${ms} ms`)
        assert.deepStrictEqual(digests(root), digests(still))
        assert.lengthOf(runs, 3)
        assert.deepStrictEqual(problemsOf(root, { settled: true }), [])
      })
    )
  )

  it.live("takes no file from under a process that writes it, though it looks a month old", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* System.folder
        const [begun, opened] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const large = { word: "x".repeat(100_000) } // more than waits in memory, so that there is a file
        const words = Stream.concat(
          Stream.fromIterable(Array.from({ length: 300 }, () => large)),
          Stream.fromEffect(
            Effect.as(Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(opened)), large)
          )
        )
        const writing = Effect.provide(
          Store.use((store) => store.write(Word, words)),
          Store.layer(root)
        )
        const later = Effect.gen(function* () {
          yield* Deferred.await(begun)
          assert.lengthOf(Fs.readdirSync(`${root}/tmp`), 1)
          yield* Effect.provide(Effect.void, Store.layer(root)).pipe(
            Effect.provideService(
              Clock.Clock,
              jumpingBy(() => 30 * 24 * 3600_000)
            )
          )
          yield* Deferred.succeed(opened, undefined)
        })
        const [written] = yield* Effect.all([writing, later], { concurrency: "unbounded" })
        assert.strictEqual(written.files.length, 1)
        assert.deepStrictEqual(problemsOf(root, { settled: true }), [])
      })
    )
  )
})

describe("damage", () => {
  const CUTS = 60
  it.live(`a journal cut at any of ${CUTS} places is read up to there, and gone on with`, () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* System.folder
        yield* Effect.promise(() => inProcess(["run", "tiny", "--store", root]))
        const [path] = Fs.globSync(`${root}/runs/*/journal.jsonl`)
        const run = Path.basename(Path.dirname(path!))
        const whole = Fs.readFileSync(path!)
        const events = yield* Journal.read(root, run)
        const draws = Rng.make(0, "cuts")
        for (let i = 0; i < CUTS; i++) {
          const cut = whole.subarray(0, draws.int(i, whole.length + 1))
          Fs.writeFileSync(path!, cut)
          const left = yield* Journal.read(root, run)
          assert.deepStrictEqual(left, events.slice(0, cut.filter((byte) => byte === 10).length))
          assert.isAtMost((yield* Journal.list(root)).length, 1)
          const next = { _tag: "NodeStarted", node: "z", attempt: 1 } as const
          yield* Effect.scoped(Effect.flatMap(Journal.open(root, run), ({ append }) => append(next)))
          const longer = yield* Journal.read(root, run)
          assert.deepStrictEqual(longer.slice(0, -1), left)
          assert.deepInclude(longer.at(-1), next)
        }
        assert.strictEqual((yield* Effect.promise(() => inProcess(["run", "tiny", "--store", root]))).code, 0)
      })
    )
  )

  it.live("objects that are gone, cut, replaced by a folder or by each other are made again, the same", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* System.folder
        const run = Effect.promise(() => inProcess(["run", "tiny", "--workers", "1", "--store", root]))
        yield* run
        const before = digests(root)
        const objects = Fs.globSync(`${root}/objects/*/*`).sort()
        const damages: ReadonlyArray<(path: string) => void> = [
          (path) => Fs.rmSync(path),
          (path) => Fs.truncateSync(path, Fs.statSync(path).size >> 1),
          (path) => {
            Fs.rmSync(path)
            Fs.mkdirSync(path)
          },
          (path) => Fs.copyFileSync(objects.find((other) => other !== path)!, path)
        ]
        for (const damage of damages) {
          for (const path of objects) damage(path)
          const again = yield* run
          assert.strictEqual(again.code, 0, again.stderr)
          assert.deepStrictEqual(digests(root), before)
          Fs.rmSync(`${root}/quarantine`, { recursive: true })
          Fs.mkdirSync(`${root}/quarantine`)
          assert.deepStrictEqual(problemsOf(root, { settled: true }), [])
        }
      })
    )
  )
})
