/** Worker processes: what they compute is what one process computes, whatever befalls them, and nothing of them stays. */
import * as Fs from "node:fs"
import { availableParallelism } from "node:os"
import { fileURLToPath, pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, type Scope } from "effect"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { Device } from "../../runtime/device/Device.ts"
import * as Claims from "../../runtime/executor/Claims.ts"
import * as Executor from "../../runtime/executor/Executor.ts"
import { WorkerDied, WorkerUnusable } from "../../runtime/executor/errors.ts"
import * as Pool from "../../runtime/executor/pool/Pool.ts"
import { LIMITS } from "../../runtime/executor/pool/Worker.ts"
import { RemoteFailure } from "../../runtime/executor/RemoteFailure.ts"
import { Dispatcher, type Task } from "../../runtime/executor/Task.ts"
import * as Verify from "../../runtime/executor/Verify.ts"
import type { ArtifactRef } from "../../runtime/store/ArtifactRef.ts"
import { CodeHash } from "../../runtime/store/CodeHash.ts"
import * as Journal from "../../runtime/store/Journal.ts"
import { Store } from "../../runtime/store/Store.ts"
import { prefline } from "../cli/prefline.ts"
import * as Shapes from "../cli/shapes.ts"
import experiment from "./children/experiment.ts"
import * as Troubled from "./children/troubled.ts"
import * as System from "./support.ts"

const TROUBLED = pathToFileURL(`${System.PROJECT}/test/system/children/troubled.ts`).href
const source = (name: keyof typeof Troubled) => ({ module: TROUBLED, export: name })

const sweep = `${System.EXPERIMENT}#sweep`

const { busyLine, failing, greetings, mortals, plugs, scales, talking, twins, unspeakables, waiting } = Troubled
const pipelines = { busyLine, failing, greetings, mortals, plugs, scales, talking, twins, unspeakables, waiting }

/** A store of one test, whose folder is gone afterwards. */
const stored = Effect.map(System.folder, (root) => ({
  root,
  services: Layer.mergeAll(Store.layer(root), CodeHash.layer)
}))

/** Runs a pipeline of `troubled.ts` with two workers unless told. Returns the result, whatever it is, and all events. */
const run = Effect.fnUntraced(function* (
  name: keyof typeof pipelines,
  params: object = {},
  store?: Effect.Success<typeof stored>,
  workers = 2
) {
  const { root, services } = store ?? (yield* stored)
  const events: Array<Executor.Event> = []
  const listen = (event: Executor.Event) => Effect.sync(() => void events.push(event))
  const result = yield* Effect.flatMap(Pipeline.build(pipelines[name] as Pipeline.Pipeline, params as {}), (built) =>
    Executor.run(built as Pipeline.Built<never, never>, { source: source(name), listen })
  ).pipe(
    Effect.catchTag("RunFailed", (failed) => Effect.succeed(failed.result as Executor.RunResult)),
    Effect.provide(Pool.layer(workers)),
    Effect.provide(Troubled.layer),
    Effect.provide(services, { local: true })
  )
  const failures = new Map(
    events.flatMap((event) =>
      event._tag === "NodeEnded" && event.failure !== undefined ? [[event.result.id, event.failure] as const] : []
    )
  )
  const text = (node: string) =>
    Store.use((store) =>
      Effect.map(store.read(Troubled.Text, result.nodes.find(({ id }) => id === node)!.output!), (text) => text)
    ).pipe(Effect.provide(services))
  const statuses = Object.fromEntries(result.nodes.map(({ id, status }) => [id, status]))
  return { result, events, failures, statuses, text, root }
})

const attempts = ({ events }: { readonly events: ReadonlyArray<Executor.Event> }, node: string) =>
  events.filter((event) => event._tag === "NodeStarted" && event.node === node).length

const counter = Effect.map(System.folder, (folder) => `${folder}/count`)

/** A test in this process, which holds the device that the workers have to agree with. */
const live = <A, E>(name: string, body: () => Effect.Effect<A, E, Device | Scope.Scope>, timeout?: number) =>
  it.live(name, () => body().pipe(Effect.provide(Device.layer("wasm")), Effect.scoped), timeout)

describe("workers", () => {
  live("run what needs the device, and nothing else; with the services of the pipeline's module", () =>
    Effect.gen(function* () {
      const { statuses, text } = yield* run("greetings", { times: 2 })
      assert.deepStrictEqual(statuses, { "greet.cpu": "computed", "greet.device": "computed" })
      assert.strictEqual(yield* text("greet.cpu"), "hello from main")
      assert.strictEqual(yield* text("greet.device"), "hello hello from worker")
    })
  )

  for (const [how, reason] of [
    ["exit", "exit code 3"],
    ["throw", "ENOENT"],
    ["reject", "RangeError, which nothing caught: nobody awaits it"]
  ] as const) {
    live(`are replaced when they die by ${how}, and their task is run again`, () =>
      Effect.gen(function* () {
        const params = { file: yield* counter, how, times: 2 }
        const ended = yield* run("mortals", params)
        const failures = [...ended.failures.values()].map(String).join("; ")
        assert.deepStrictEqual(ended.statuses, { mortal: "computed", "greet.device": "computed" }, failures)
        assert.strictEqual(attempts(ended, "mortal"), 3)
        assert.strictEqual(attempts(ended, "greet.device"), 1)
        const retried = ended.events.filter((event) => event._tag === "NodeRetried")
        assert.strictEqual(retried.length, 2)
        for (const { error } of retried) assert.include(error, reason)
        const journal = Fs.readFileSync(`${ended.root}/runs/${ended.result.run}/journal.jsonl`, "utf8")
        assert.strictEqual(journal.match(/"NodeRetried"/g)?.length, 2)
      })
    )
  }

  live("that die again and again are a typed failure of the node, and of nothing else", () =>
    Effect.gen(function* () {
      const ended = yield* run("mortals", { file: yield* counter, how: "exit", times: 99 })
      assert.deepStrictEqual(ended.statuses, { mortal: "failed", "greet.device": "computed" })
      const failure = ended.failures.get("mortal")!
      assert.instanceOf(failure.cause, WorkerDied)
      assert.strictEqual(failure.attempts, 3)
      assert.include(failure.message, "the worker that computed mortal died: exit code 3")
    })
  )

  live("pass on errors with tag, fields and message, which the stage's schedule retries", () =>
    Effect.gen(function* () {
      const works = yield* run("busyLine", { file: yield* counter, retryable: true, times: 2 })
      assert.deepStrictEqual(works.statuses, { busy: "computed" })
      assert.strictEqual(attempts(works, "busy"), 3)
      assert.strictEqual(yield* works.text("busy"), "worker")

      const fails = yield* run("busyLine", { file: yield* counter, retryable: false, times: 2 })
      assert.deepStrictEqual(fails.statuses, { busy: "failed" })
      assert.strictEqual(attempts(fails, "busy"), 1)
      const cause = fails.failures.get("busy")!.cause as RemoteFailure
      assert.instanceOf(cause, RemoteFailure)
      assert.deepInclude<object>(cause, {
        _tag: "Busy",
        retryable: false,
        line: { number: 7 },
        since: new Date(0).toISOString()
      })
      assert.strictEqual(cause.message, "line 7 is busy")
      assert.include(cause.stack, "troubled.ts")
    })
  )

  live("survive failures, defects, self-interruptions and time limits of stages", () =>
    Effect.gen(function* () {
      const { failures, statuses } = yield* run("failing")
      const failed = { broken: "failed", quitter: "failed", endless: "failed" }
      assert.deepStrictEqual<object>(statuses, { ...failed, "greet.device": "computed" })
      const broken = failures.get("broken")!.cause as Error
      assert.strictEqual(`${broken.name}: ${broken.message}`, "RangeError: one too many")
      assert.strictEqual((broken.cause as Error).message, "miscounted")
      assert.include(failures.get("endless")!.message, "took longer than its limit of 50 millis")
      assert.include(failures.get("quitter")!.message, "interrupted")
    })
  )

  live("fail with the stage's own error, where what it holds cannot be sent", () =>
    Effect.gen(function* () {
      const ended = yield* run("unspeakables")
      const { attempts, cause, message } = ended.failures.get("unspeakable")!
      assert.strictEqual(attempts, 1)
      assert.strictEqual((cause as RemoteFailure)._tag, "Unspeakable")
      assert.include(message, "it holds a function")
    })
  )

  live("compute a key once, where two nodes come to have the same", () =>
    Effect.gen(function* () {
      const file = yield* counter
      const { events } = yield* run("twins", { file })
      assert.strictEqual(Fs.statSync(file).size, 1)
      const statuses = events.flatMap((event) =>
        event._tag === "NodeEnded" && event.result.stage === "slow" ? [event.result.status] : []
      )
      assert.sameMembers(statuses, ["computed", "cached"])
    })
  )

  live("are replaced when their device could not be had again", () =>
    Effect.gen(function* () {
      const ended = yield* run("plugs", {}, undefined, 1)
      const [failure] = ended.failures.values()
      const other = ended.result.nodes.find(({ stage, status }) => stage === "unplugged" && status === "computed")
      assert.isDefined(other)
      assert.match(yield* ended.text(other!.id), /^process [1-9]/)
      assert.notInclude(failure!.message, yield* ended.text(other!.id))
    })
  )

  live("are told numbers as they are, negative zero included", () =>
    Effect.gen(function* () {
      const ended = yield* run("scales", { by: -0 })
      assert.deepStrictEqual(ended.statuses, { scaled: "computed", "scaled-2": "computed" })
      assert.strictEqual(yield* ended.text("scaled"), "-0")
      assert.strictEqual(yield* ended.text("scaled-2"), "0")
    })
  )

  live("have stopped with a task before they are given the next, whatever its listener does", () =>
    Effect.gen(function* () {
      const { services } = yield* stored
      const file = yield* counter
      const listen = (event: Executor.Event) =>
        event._tag === "NodeProgress" && event.report.done === 1 ? Effect.die(new Error("deaf")) : Effect.void
      const error = yield* Pipeline.build(Troubled.inTurn, { file }).pipe(
        Effect.flatMap((built) => Executor.run(built, { source: source("inTurn"), listen })),
        Effect.provide(Pool.layer(1)),
        Effect.provide(services, { local: true }),
        Effect.flip
      )
      assert.strictEqual(error._tag, "RunFailed")
      if (error._tag !== "RunFailed") return
      const result = error.result as Executor.RunResult
      assert.include(error.message, "deaf")
      const { output } = result.nodes.find(({ status, stage }) => stage === "slow" && status === "computed")!
      const text = yield* Store.use((store) => store.read(Troubled.Text, output!)).pipe(Effect.provide(services))
      assert.strictEqual(text, "the same 2")
    })
  )

  live("report progress, the first and the last report among it, but not a thousand times a moment", () =>
    Effect.gen(function* () {
      const { events } = yield* run("talking")
      const done = events.flatMap((event) => (event._tag === "NodeProgress" ? [event.report.done] : []))
      assert.strictEqual(done[0], 1)
      assert.strictEqual(done.at(-1), 1000)
      assert.isBelow(done.length, 100)
    })
  )

  live("stop when the run is interrupted, keep partial state, and go on from it", () =>
    Effect.gen(function* () {
      const store = yield* stored
      const began = yield* Deferred.make<void>()
      const listen = (event: Executor.Event) =>
        event._tag === "NodeProgress" ? Effect.asVoid(Deferred.succeed(began, undefined)) : Effect.void
      const fiber = yield* Pipeline.build(Troubled.waiting).pipe(
        Effect.flatMap((built) => Executor.run(built, { source: source("waiting"), listen })),
        Effect.provide(Pool.layer(2)),
        Effect.provide(store.services, { local: true }),
        Effect.forkChild
      )
      yield* Deferred.await(began)
      const [took] = yield* Effect.timed(Fiber.interrupt(fiber))
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      assert.isBelow(Duration.toMillis(took), 5000)
      assert.deepStrictEqual(Fs.readdirSync(`${store.root}/tmp`), [])
      assert.lengthOf(Fs.readdirSync(`${store.root}/partial`), 1)
      const again = yield* run("waiting", {}, store)
      assert.strictEqual(yield* again.text("patient"), "begun 2 times")
    })
  )

  live("that do not stop in time are terminated", () =>
    Effect.gen(function* () {
      const { services } = yield* stored
      const began = yield* Deferred.make<void>()
      const listen = (event: Executor.Event) =>
        event._tag === "NodeProgress" ? Effect.asVoid(Deferred.succeed(began, undefined)) : Effect.void
      const fiber = yield* Pipeline.build(Troubled.waiting, { stubborn: true }).pipe(
        Effect.flatMap((built) => Executor.run(built, { source: source("waiting"), listen })),
        Effect.provide(Pool.layer(2, { ...LIMITS, stop: Duration.millis(200) })),
        Effect.provide(services),
        Effect.forkChild
      )
      yield* Deferred.await(began)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    })
  )

  live("that do not start in time are a typed failure", () =>
    Effect.gen(function* () {
      const { services } = yield* stored
      const error = yield* Pipeline.build(Troubled.talking).pipe(
        Effect.flatMap((built) => Executor.run(built, { source: source("talking") })),
        Effect.provide(Pool.layer(2, { ...LIMITS, start: Duration.millis(1) })),
        Effect.provide(services),
        Effect.flip
      )
      assert.strictEqual(error._tag, "RunFailed")
      if (error._tag !== "RunFailed") return
      assert.instanceOf(error.failures[0]!.cause, WorkerUnusable)
      assert.include(error.message, "it was not ready in 1ms")
    })
  )

  live("that would compute other bits than the main process are refused", () =>
    Effect.gen(function* () {
      const { services } = yield* stored
      const device = yield* Device
      const other = { ...device, numerics: { ...device.numerics, kernels: "of another build" } }
      const error = yield* Pipeline.build(Troubled.talking).pipe(
        Effect.flatMap((built) => Executor.run(built, { source: source("talking") })),
        Effect.provide(Pool.layer(2)),
        Effect.provideService(Device, other),
        Effect.provide(services),
        Effect.flip
      )
      assert.include(error.message, "of another build")
    })
  )

  live("say what is wrong with a module that they cannot import", () =>
    Effect.gen(function* () {
      const { services } = yield* stored
      const error = yield* Pipeline.build(Troubled.talking).pipe(
        Effect.flatMap((built) =>
          Executor.run(built, { source: { module: "file:///nowhere/talking.ts", export: "talking" } })
        ),
        Effect.provide(Pool.layer(2)),
        Effect.provide(services),
        Effect.flip
      )
      assert.include(error.message, "file:///nowhere/talking.ts cannot be imported")
    })
  )

  live("run the sweeps of claims, which verify can build again from their journals", () =>
    Effect.gen(function* () {
      const { services } = yield* stored
      const options = { source: source("greetings") }
      const [check] = Troubled.greetings.checks
      const built = yield* Claims.build(Troubled.greetings, check!, options)
      yield* Effect.gen(function* () {
        const verdict = yield* Effect.provide(Claims.verdict(check!, built, options), Pool.layer(2))
        assert.isTrue(verdict.holds)
        const record = yield* Journal.summarize((yield* Store).root, verdict.run)
        assert.deepStrictEqual(record.grid, { times: [2, 3] })
        const again = yield* Pipeline.build(Troubled.greetings, record.params, record.grid)
        // The greetings say where they were made, which no stage should: here it tells who made them.
        const verdicts = yield* Verify.verify(verdict.run, again)
        assert.deepStrictEqual(
          verdicts.map(({ difference, status }) => [status, difference?.includes("from worker") ?? false]),
          [
            ["identical", false],
            ["differs", true],
            ["differs", true]
          ]
        )
      }).pipe(Effect.provide(Troubled.layer), Effect.provide(services))
    })
  )

  live(
    "are started anew for a task whose code they know an older version of, once",
    () =>
      Effect.gen(function* () {
        const { services } = yield* stored
        const copy = yield* System.folder
        System.copyProject(copy)
        const links = "stages/optimize/links.ts"
        const fresh = Fs.readFileSync(`${copy}/${links}`)
        const here = { module: pathToFileURL(`${System.PROJECT}/${System.EXPERIMENT}`).href, export: "default" }
        const there = { ...here, module: pathToFileURL(`${copy}/${System.EXPERIMENT}`).href }
        yield* Effect.gen(function* () {
          const tasks = new Map<string, Task>()
          const dispatch = (task: Task, make: Effect.Effect<ArtifactRef, any, any>): Effect.Effect<any, any, any> =>
            Effect.suspend(() => {
              tasks.set(task.node, { ...task, recipe: { ...task.recipe, ...there } })
              return make
            })
          const { nodes } = yield* Executor.run(yield* Pipeline.build(experiment), { source: here }).pipe(
            Effect.provideService(Dispatcher, { dispatch, devices: 1 })
          )
          const digests = Object.fromEntries(nodes.map(({ id, output }) => [id, output!.digest]))

          /** What a pool of one makes of two nodes, the second of which depends on an edited module. */
          const inTurn = (between: () => void) =>
            Effect.gen(function* () {
              const { dispatch } = yield* Dispatcher
              System.edit(copy, links, "X.softplus(X.neg(gap))", "X.softplus(X.mul(-2, gap))")
              const base = yield* dispatch(tasks.get("base")!, Effect.never)
              assert.strictEqual(base.digest, digests["base"])
              between()
              return yield* dispatch(tasks.get("policy")!, Effect.never as Effect.Effect<ArtifactRef, unknown>)
            }).pipe(Effect.provide(Pool.layer(1)))

          const stale = (yield* Effect.flip(inTurn(() => undefined))) as RemoteFailure
          assert.strictEqual(stale._tag, "TaskStale")
          Fs.writeFileSync(`${copy}/${links}`, fresh)
          const policy = yield* inTurn(() => Fs.writeFileSync(`${copy}/${links}`, fresh))
          assert.strictEqual(policy.digest, digests["policy"])
        }).pipe(Effect.provide(services))
      }),
    120_000
  )
})

/** Whether a node of the device began while another one was at work. */
const overlaps = ({ lines }: System.Ended<System.Line>, nodes: ReadonlyArray<string>) => {
  const at = (tag: "NodeStarted" | "NodeEnded", node: string) =>
    lines.findIndex(
      (line) =>
        line._tag === tag && (line._tag === "NodeEnded" ? line.result.id : (line as { node: string }).node) === node
    )
  return Math.max(...nodes.map((node) => at("NodeStarted", node))) < Math.min(...nodes.map((n) => at("NodeEnded", n)))
}

it.live(
  "a sweep of four trainings has the same digests in one process, with two workers and with three, and its process ends",
  () =>
    Effect.scoped(
      Effect.gen(function* () {
        const one = yield* System.finished(sweep, yield* System.folder)
        assert.isFalse(overlaps(one, ["base", "base-2"]))
        for (const workers of [2, 3]) {
          const root = yield* System.folder
          const more = yield* System.finished(sweep, root, {}, { workers })
          assert.isTrue(overlaps(more, ["base", "base-2"]))
          assert.deepStrictEqual(more.result, one.result)
          System.assertUndamaged(root)
        }
      })
    ),
  180_000
)

it.live(
  "a sweep that is interrupted while its workers train stops in order, and goes on from what they saved",
  () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* System.folder
        const params = { baseSteps: 240 }
        const saved = new Set<string>()
        const ended = yield* System.running(sweep, root, params, {
          workers: 2,
          onLine: (line, child) => {
            if (line._tag !== "NodeProgress" || line.report.done < 20 || saved.size === 2) return
            saved.add(line.node)
            if (saved.size === 2) child.kill("SIGINT")
          }
        })
        assert.deepStrictEqual(ended.lines.at(-1), { _tag: "Ended", outcome: "interrupted" })
        assert.isNull(ended.signal, "something kept it alive")
        System.assertUndamaged(root)
        assert.lengthOf(Fs.readdirSync(`${root}/partial`), 2)

        const resumed = yield* System.finished(sweep, root, params, { workers: 2 })
        const first = resumed.lines.find((line) => line._tag === "NodeProgress")
        assert.isTrue(first?._tag === "NodeProgress" && first.report.done > 1)
        const alone = yield* System.finished(sweep, yield* System.folder, params)
        assert.deepStrictEqual(resumed.result.digests, alone.result.digests)
      })
    ),
  180_000
)

it.live("the command line takes --workers, and what stages print in them is no part of its answer", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const store = yield* System.folder
      const cli = (...args: ReadonlyArray<string>) => Effect.promise(() => prefline(args, { store }))
      const greetings = `${fileURLToPath(TROUBLED)}#greetings`
      const ran = yield* cli("run", greetings, "--workers", "2", "--json")
      assert.strictEqual(ran.code, 0, ran.stderr)
      assert.strictEqual(Shapes.only(Shapes.Result, ran.stdout).status, "succeeded")
      assert.match(ran.stderr, /^device wasm .*, 2 workers$/m)
      assert.match(ran.stderr, /^hello$/m)
      // One device node after the other: a worker would gain nothing.
      const alone = yield* cli("run", greetings, "--set", "times=4")
      assert.match(alone.stdout, /^device wasm [^\n]*float32\)$/m)
      const claimed = yield* cli("claims", greetings, "--json")
      assert.strictEqual(Shapes.only(Shapes.Claims, claimed.stdout).status, "passed")
      if (availableParallelism() > 1) assert.include(claimed.stderr, "2 workers")
    })
  )
)

it.live("workers keep compiled code in the folder that their process keeps it in", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const [store, temporary] = [yield* System.folder, yield* System.folder]
      const args = ["run", `${fileURLToPath(TROUBLED)}#greetings`, "--workers", "2"]
      const { code, stderr } = yield* Effect.promise(() => prefline(args, { store, env: { TMPDIR: temporary } }))
      assert.strictEqual(code, 0, stderr)
      const [version, ...others] = Fs.readdirSync(`${temporary}/node-compile-cache`)
      assert.deepStrictEqual(others, [])
      const inside = Fs.readdirSync(`${temporary}/node-compile-cache/${version}`, { withFileTypes: true })
      assert.isAbove(inside.length, 0)
      assert.deepStrictEqual(
        inside.filter((entry) => entry.isDirectory()),
        []
      )
    })
  )
)

it.live("a run that is served from the store starts no worker", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const root = yield* System.folder
      yield* System.finished(sweep, root, {}, { workers: 2 })
      const watch = `data:text/javascript,${encodeURIComponent(`
        import { syncBuiltinESMExports } from "node:module"
        import processes from "node:child_process"
        processes.fork = () => { throw new Error("a worker was started") }
        syncBuiltinESMExports()`)}`
      const flags = ["--import", watch]
      const { result } = yield* System.finished(sweep, root, {}, { workers: 2, flags })
      assert.deepStrictEqual(new Set(Object.values(result.statuses)), new Set(["cached"]))
      const other = yield* System.running(sweep, root, { steps: 3 }, { workers: 2, flags })
      assert.include(other.stderr, "a worker was started") // else this test would say nothing
    })
  )
)
