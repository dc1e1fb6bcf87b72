/** Nodes executed from tasks alone: as JSON text, by processes that share nothing with the run but the store. */
import * as Fs from "node:fs"
import { pathToFileURL } from "node:url"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { Device } from "../../runtime/device/Device.ts"
import * as Executor from "../../runtime/executor/Executor.ts"
import { executeTask, TaskStale, TaskUnusable } from "../../runtime/executor/executeTask.ts"
import { Dispatcher, Task } from "../../runtime/executor/Task.ts"
import type { ArtifactRef } from "../../runtime/store/ArtifactRef.ts"
import { CodeHash } from "../../runtime/store/CodeHash.ts"
import { Store } from "../../runtime/store/Store.ts"
import { sweep } from "./children/experiment.ts"
import * as System from "./support.ts"

const source = { module: pathToFileURL(`${System.PROJECT}/${System.EXPERIMENT}`).href, export: "sweep" }
const params = { steps: 5 } // not the default
const toText = Schema.encodeSync(Schema.fromJsonString(Task))

/** Runs the sweep in an empty store. Returns its digests and the tasks it gave out, as texts; `dispatch` carries them out. */
const runSweep = <E>(
  dispatch: (task: string, root: string) => Effect.Effect<ArtifactRef, E, Store | CodeHash | Device>
) =>
  Effect.gen(function* () {
    const root = yield* System.folder
    const services = yield* Layer.build(Layer.mergeAll(Store.layer(root), CodeHash.layer))
    const device = yield* Device
    const tasks = new Map<string, string>()
    const dispatcher = {
      devices: 1,
      dispatch: (task: Task) => {
        tasks.set(task.node, toText(task))
        const elsewhere = dispatch(tasks.get(task.node)!, root)
        return elsewhere.pipe(Effect.provideService(Device, device), Effect.provide(services)) as Effect.Effect<
          any,
          any
        >
      }
    }
    const { nodes } = yield* Executor.run(yield* Pipeline.build(sweep, params), { source }).pipe(
      Effect.provideService(Dispatcher, dispatcher),
      Effect.provide(services)
    )
    assert.sameMembers(
      [...tasks.keys()],
      nodes.map(({ id }) => id)
    )
    /** Executes a task in this run's store. */
    const execute = (task: string) => Effect.provide(executeTask(task), services)
    return { digests: Object.fromEntries(nodes.map(({ id, output }) => [id, output!.digest])), root, tasks, execute }
  })

/** What the sweep makes where nothing is dispatched. */
const undispatched = Effect.gen(function* () {
  const store = Layer.mergeAll(Store.layer(yield* System.folder), CodeHash.layer)
  const run = Executor.run(yield* Pipeline.build(sweep, params), { source })
  const { nodes } = yield* Effect.provide(run, store)
  return Object.fromEntries(nodes.map(({ id, output }) => [id, output!.digest]))
})

layer(Device.layer("wasm"))("executeTask", (it) => {
  it.effect("makes what the run itself makes, node by node from JSON, in this process", () =>
    Effect.gen(function* () {
      const { digests } = yield* runSweep(executeTask)
      assert.deepStrictEqual(digests, yield* undispatched)
      assert.isAbove(Object.keys(digests).length, 20)
    })
  )

  it.effect(
    "makes the same in a process of its own with a copy of the code, and refuses where the code is edited",
    () =>
      Effect.gen(function* () {
        const { digests, root, tasks } = yield* runSweep(executeTask)
        const copy = yield* System.folder
        System.copyProject(copy)
        const module = pathToFileURL(`${copy}/${System.EXPERIMENT}`).href
        const task = tasks.get("policy")!.replace(source.module, module)
        const inChild = Effect.map(System.child("task", [root, task], { cwd: copy }), ({ code, lines, stderr }) => {
          assert.strictEqual(code, 0, stderr)
          return lines
        })
        assert.deepStrictEqual(yield* inChild, [{ digest: digests["policy"] }])
        System.edit(copy, "stages/optimize/links.ts", "X.softplus(X.neg(gap))", "X.softplus(X.mul(-2, gap))")
        assert.deepStrictEqual(yield* inChild, [{ refused: "TaskStale" }])
        System.assertUndamaged(root)
      })
  )

  it.effect("refuses a task whose parameters, inputs, code or node are others here, and leaves the store alone", () =>
    Effect.gen(function* () {
      const { execute, root, tasks } = yield* runSweep(executeTask)
      const stored = Fs.globSync(`${root}/{objects,actions,partial}/**`)
      const policy = JSON.parse(tasks.get("policy")!) as Task
      const refused = (change: Partial<Task>) => Effect.flip(execute(JSON.stringify({ ...policy, ...change })))
      const other = JSON.parse(tasks.get("report")!) as Task
      for (const change of [
        { recipe: { ...policy.recipe, params: { ...policy.recipe.params, steps: 7 } } },
        { inputs: { ...policy.inputs, from: policy.inputs["input"]! } },
        { key: other.key },
        { node: "report" }
      ]) {
        const error = yield* refused(change)
        assert.instanceOf(error, TaskStale)
        assert.include(error.message, "are not those of its maker")
      }
      const gone = yield* refused({ node: "policy-99" })
      assert.instanceOf(gone, TaskStale)
      assert.include(gone.message, "the pipeline here has no such node")
      assert.deepStrictEqual(Fs.globSync(`${root}/{objects,actions,partial}/**`), stored)
    })
  )

  it.effect("says what is wrong with a text that is no task, and with a pipeline that it cannot have", () =>
    Effect.gen(function* () {
      const { execute, tasks } = yield* runSweep(executeTask)
      const task = JSON.parse(tasks.get("texts")!) as Task
      const refused = (text: string, problem: string) =>
        Effect.map(Effect.flip(execute(text)), (error) => {
          assert.instanceOf(error, TaskUnusable)
          assert.include(error.message, problem)
        })
      const from = (recipe: object) => JSON.stringify({ ...task, recipe: { ...task.recipe, ...recipe } })
      yield* refused("{", "it is no task")
      yield* refused(JSON.stringify({ ...task, inputs: undefined }), "inputs")
      yield* refused(from({ module: "file:///nowhere/dpo.ts" }), "file:///nowhere/dpo.ts cannot be imported")
      yield* refused(from({ export: "dpo" }), 'exports no pipeline "dpo"')
      yield* refused(from({ params: { gamma: 1 } }), "unknown parameter gamma")
      yield* refused(from({ grid: { gamma: [1] } }), 'unknown parameter ["gamma"]')
      yield* refused(from({ grid: { steps: [0] } }), "steps")
    })
  )
})
