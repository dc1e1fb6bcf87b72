/**
 * Runs a built pipeline: every node as soon as its inputs exist, from the store where its key is known, else by its
 * stage. Failures are typed, skip what depends on them and nothing else, and never lose what is finished.
 */
import { availableParallelism } from "node:os"
import { Cause, Clock, Deferred, Effect, Exit, Option, Schedule, Semaphore } from "effect"
import type * as Graph from "../../dsl/Graph.ts"
import type * as Pipeline from "../../dsl/Pipeline.ts"
import { Progress, type Report } from "../../dsl/Progress.ts"
import type * as Stage from "../../dsl/Stage.ts"
import * as Metrics from "../observe/metrics.ts"
import type { Action } from "../store/Action.ts"
import type { ArtifactRef } from "../store/ArtifactRef.ts"
import { CodeHash, type CodeUnreadable } from "../store/CodeHash.ts"
import * as Journal from "../store/Journal.ts"
import type * as Key from "../store/Key.ts"
import * as ProgressLog from "../store/ProgressLog.ts"
import { Store } from "../store/Store.ts"
import * as Versions from "../Versions.ts"
import { describe, isRetryable, NodeFailed, RunFailed, SourceChanged, tagOf, WorkerDied } from "./errors.ts"
import { keyOf, modulesOf, numericsInForce } from "./keyOf.ts"
import { perform } from "./perform.ts"
import * as Recipe from "./Recipe.ts"
import { Dispatcher } from "./Task.ts"

export type NodeStatus = "computed" | "cached" | "failed" | "skipped"

export interface NodeResult {
  readonly id: string
  readonly stage: string
  /** Absent where the node's inputs never came to exist. */
  readonly key: string | undefined
  readonly status: NodeStatus
  readonly ms: number
  readonly output: ArtifactRef | undefined
}

export interface RunResult {
  readonly run: string
  readonly pipeline: string
  readonly status: "succeeded" | "failed"
  /** In graph order. */
  readonly nodes: ReadonlyArray<NodeResult>
  readonly outputs: Readonly<Record<string, ArtifactRef | undefined>>
}

export interface Options {
  /** Where another process or thread finds the pipeline; see `Recipe`. */
  readonly source: Recipe.Source
  /**
   * Nodes of a resource class that run at a time: `cpu` as many as cores, `network` 8 unless told. A device does one thing
   * at a time, so for `device` it is as many as the `Dispatcher` has devices.
   */
  readonly concurrency?: Partial<Record<Exclude<Stage.Resource, "device">, number>>
  /** What this run has in common with others that go on beside it; its own unless told. `concurrency` says nothing then. */
  readonly shared?: Shared
  readonly listen?: (event: Event) => Effect.Effect<void>
}

/**
 * What runs side by side share, so that together they take no more than one run may, and make nothing twice: of nodes
 * that have the same key, whosever they are, one is obtained from the store or computed, and all others take over what
 * became of it.
 */
export interface Shared {
  readonly limits: Readonly<Record<Stage.Resource, Semaphore.Semaphore>>
  /** Locks by key: nodes that come to have the same one are obtained one after the other. */
  readonly keys: Map<string, Semaphore.Semaphore>
  /** The entries of all keys that were obtained: their outputs were intact then. */
  readonly known: Map<string, Action>
}

/** Fresh limits. Keep them no longer than the runs that share them: what is known is not looked at again. */
export const share = Effect.fnUntraced(function* (concurrency: NonNullable<Options["concurrency"]> = {}) {
  const limits = {
    cpu: yield* Semaphore.make(concurrency.cpu ?? availableParallelism()),
    device: yield* Semaphore.make((yield* Dispatcher).devices),
    network: yield* Semaphore.make(concurrency.network ?? 8)
  }
  const shared: Shared = { limits, keys: new Map(), known: new Map() }
  return shared
})

/** What a run tells while it happens. */
export type Event =
  | { readonly _tag: "Started"; readonly run: string; readonly graph: Graph.Graph }
  | { readonly _tag: "NodeStarted"; readonly node: string; readonly attempt: number }
  | { readonly _tag: "NodeProgress"; readonly node: string; readonly report: Report }
  | { readonly _tag: "NodeRetried"; readonly node: string; readonly attempt: number; readonly error: string }
  | { readonly _tag: "NodeEnded"; readonly result: NodeResult; readonly failure: NodeFailed | undefined }

/**
 * Runs the graph. Fails with `RunFailed`, which carries the whole result, if a node failed for good. An interrupted run
 * leaves a journal that says so, and the next run goes on from what is in the store.
 */
export const run = <E, R>(
  built: Pipeline.Built<E, R>,
  options: Options
): Effect.Effect<
  RunResult,
  RunFailed | Journal.JournalFailed | Journal.RunIdInvalid | CodeUnreadable,
  R | Store | CodeHash
> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { graph } = built
      const begun = yield* monotonicMillis
      const session = yield* openSession(built, options)
      yield* Effect.annotateCurrentSpan({ "prefline.run": session.journal.run })
      const exit = yield* Effect.exit(restore(settleAll(session)))
      const failures = graph.nodes.flatMap(({ id }) => session.failures.get(id) ?? [])
      const interrupted = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
      const status = interrupted ? "interrupted" : Exit.isFailure(exit) || failures.length > 0 ? "failed" : "succeeded"
      yield* session.journal.append({ _tag: "RunFinished", status, ms: (yield* monotonicMillis) - begun })
      const nodes = yield* exit
      const byId = new Map(nodes.map((node) => [node.id, node]))
      const result: RunResult = {
        run: session.journal.run,
        pipeline: built.pipeline,
        status: failures.length > 0 ? "failed" : "succeeded",
        nodes,
        outputs: Object.fromEntries(Object.entries(graph.outputs).map(([name, id]) => [name, byId.get(id)?.output]))
      }
      if (failures.length > 0) return yield* new RunFailed({ run: result.run, failures, result })
      return result
    })
  ).pipe(
    Effect.scoped,
    Effect.withSpan("prefline.run", { attributes: { "prefline.pipeline": built.pipeline } })
  ) as Effect.Effect<RunResult, any, any>

/** By a clock that nobody sets: durations stay right when the system's time jumps. */
const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Math.round(Number(nanos) / 1e6))

/** Every node in a fiber of its own, which waits for the nodes before it. */
const settleAll = Effect.fnUntraced(function* (session: Session) {
  const { graph } = session.built
  yield* (yield* CodeHash).prefetch(yield* modulesOf(graph))
  const settled = new Map(graph.nodes.map(({ id }) => [id, Deferred.makeUnsafe<NodeResult>()]))
  return yield* Effect.forEach(
    graph.nodes,
    Effect.fnUntraced(function* (graphNode: Graph.GraphNode) {
      const inputs = yield* Effect.forEach(Object.entries(graphNode.inputs), ([name, id]) =>
        Effect.map(Deferred.await(settled.get(id)!), (result) => [name, result] as const)
      )
      const result = yield* settle(session, graphNode, inputs)
      yield* Metrics.nodeEnded(result)
      yield* session.listen({ _tag: "NodeEnded", result, failure: session.failures.get(graphNode.id) })
      yield* Deferred.succeed(settled.get(graphNode.id)!, result)
      return result
    }),
    { concurrency: "unbounded" }
  )
})

/** What every node of one run shares. */
interface Session {
  readonly built: Pipeline.Built
  readonly options: Options
  readonly listen: (event: Event) => Effect.Effect<void>
  readonly journal: Journal.Journal
  readonly progress: ProgressLog.ProgressLog
  readonly shared: Shared
  readonly failures: Map<string, NodeFailed>
}

const openSession = Effect.fnUntraced(function* (built: Pipeline.Built, options: Options) {
  const { graph } = built
  const { root } = yield* Store
  const journal = yield* Journal.open(root)
  const progress = yield* ProgressLog.open(root, journal.run)
  const listen = options.listen ?? (() => Effect.void)
  yield* journal.append({
    _tag: "RunStarted",
    run: journal.run,
    pipeline: built.pipeline,
    source: options.source,
    params: built.params,
    ...(built.grid === undefined ? {} : { grid: built.grid }),
    numerics: yield* numericsInForce,
    versions: Versions.current,
    nodes: graph.nodes.map(({ id, inputs, node }) => ({ id, stage: node.stage.name, inputs })),
    outputs: graph.outputs
  })
  yield* listen({ _tag: "Started", run: journal.run, graph })
  const shared = options.shared ?? (yield* share(options.concurrency))
  const session: Session = { built, options, listen, journal, progress, shared, failures: new Map() }
  return session
})

/**
 * Brings one node to its end: skipped, served, computed or failed. Only an interruption of the run gets through; a stage
 * that interrupts itself has failed.
 */
const settle = Effect.fnUntraced(function* (
  session: Session,
  graphNode: Graph.GraphNode,
  inputs: ReadonlyArray<readonly [name: string, result: NodeResult]>
) {
  const { id, node } = graphNode
  const about = { id, stage: node.stage.name }
  const broken = inputs.filter(([, { output }]) => output === undefined).map(([, result]) => result.id)
  if (broken.length > 0) {
    yield* session.journal.append({ _tag: "NodeSkipped", node: id, because: broken })
    return { ...about, key: undefined, status: "skipped", ms: 0, output: undefined } satisfies NodeResult as NodeResult
  }
  const refs = Object.fromEntries(inputs.map(([name, { output }]) => [name, output!]))
  const progress: Attempts = { count: 0, keyed: undefined, begun: yield* monotonicMillis }
  const exit = yield* Effect.exit(
    obtain(session, graphNode, refs, progress).pipe(
      Effect.tap(({ status }) => Effect.annotateCurrentSpan({ "prefline.status": status })),
      Effect.withSpan("prefline.node", { attributes: { "prefline.node": id, "prefline.stage": node.stage.name } })
    )
  )
  const ms = (yield* monotonicMillis) - progress.begun
  if (Exit.isSuccess(exit)) {
    const { key } = progress.keyed!
    yield* session.journal.append({ _tag: "NodeFinished", node: id, key, ms, ...exit.value })
    return { ...about, key, ms, ...exit.value } satisfies NodeResult as NodeResult
  }
  const cause = Cause.squash(exit.cause)
  const { encodedParams: params, stage } = node
  session.failures.set(id, new NodeFailed({ node: id, stage: stage.name, params, attempts: progress.count, cause }))
  yield* session.journal.append({
    _tag: "NodeFailed",
    node: id,
    error: { tag: tagOf(cause), message: describe(cause) },
    ms
  })
  const key = progress.keyed?.key
  return { ...about, key, status: "failed", ms, output: undefined } satisfies NodeResult as NodeResult
})

/** What is known about a node's attempts even when they fail. */
interface Attempts {
  count: number
  keyed: Key.Keyed | undefined
  /** When it was this node's turn, in milliseconds. */
  begun: number
}

/**
 * The node's output, served if its key is known and its objects are intact, else computed and recorded. Whoever waits for
 * another node of the same key holds none of the permits meanwhile.
 */
const obtain = Effect.fnUntraced(function* (
  session: Session,
  { id, node }: Graph.GraphNode,
  inputs: Readonly<Record<string, ArtifactRef>>,
  progress: Attempts
) {
  const { keys, known, limits } = session.shared
  const whenItsTurn = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    limits[node.stage.resource].withPermit(
      Effect.flatMap(monotonicMillis, (now) => {
        progress.begun = now
        return effect
      })
    )
  const keyed = yield* whenItsTurn(keyOf(node, inputs))
  progress.keyed = keyed
  if (!keys.has(keyed.key)) keys.set(keyed.key, Semaphore.makeUnsafe(1))
  return yield* keys.get(keyed.key)!.withPermit(
    Effect.suspend(() => {
      const before = known.get(keyed.key)
      return before === undefined
        ? whenItsTurn(serveOrCompute(session, { id, node }, keyed, inputs, progress))
        : Effect.map(monotonicMillis, (now) => {
            progress.begun = now
            return { status: "cached" as const, output: before.output }
          })
    })
  )
})

const serveOrCompute = Effect.fnUntraced(function* (
  session: Session,
  { id, node }: Pick<Graph.GraphNode, "id" | "node">,
  keyed: Key.Keyed,
  inputs: Readonly<Record<string, ArtifactRef>>,
  progress: Attempts
) {
  const { key } = keyed
  const store = yield* Store
  const known = yield* store.lookup(key)
  const state = Option.isNone(known) ? "unknown" : yield* store.inspect(known.value.output)
  if (Option.isSome(known) && state === "intact") {
    yield* store.dropPartial(key) // what another process left that was killed while this one finished
    session.shared.known.set(key, known.value)
    return { status: "cached" as const, output: known.value.output }
  }
  const output = yield* compute(session, { id, node }, key, inputs, progress)
  if (node.stage.source !== undefined && (yield* keyOf(node, inputs)).key !== key) {
    yield* store.dropPartial(key) // of neither content too
    return yield* new SourceChanged({ stage: node.stage.name })
  }
  const action = yield* store.record(
    {
      key,
      stage: node.stage.name,
      output,
      parts: keyed.parts,
      ms: (yield* monotonicMillis) - progress.begun,
      numerics: node.stage.numerics ? yield* numericsInForce : null,
      versions: Versions.current
    },
    { replace: Option.isSome(known) }
  )
  yield* store.dropPartial(key) // not before the entry is there: killed in between, the computation would begin anew
  session.shared.known.set(key, action)
  return { status: "computed" as const, output: action.output }
})

/** How often a node's worker may die before the node has failed: once may be another's fault, thrice is its own. */
const WORKER_DEATHS = 2

/** Dispatches the node's task, again where the stage's schedule and the error allow it, or its worker has died. */
const compute = Effect.fnUntraced(function* (
  session: Session,
  { id, node }: Pick<Graph.GraphNode, "id" | "node">,
  key: string,
  inputs: Readonly<Record<string, ArtifactRef>>,
  progress: Attempts
) {
  const { built, journal, listen, options } = session
  const { dispatch } = yield* Dispatcher
  const recipe = Recipe.of(built, options.source)
  const attempt = Effect.gen(function* () {
    const n = ++progress.count
    yield* journal.append({ _tag: "NodeStarted", node: id, attempt: n })
    yield* listen({ _tag: "NodeStarted", node: id, attempt: n })
    const { resource } = node.stage
    return yield* dispatch({ recipe, node: id, key, inputs, attempt: n, resource }, perform(node, key, inputs)).pipe(
      Effect.withSpan("prefline.attempt", { attributes: { "prefline.attempt": n } })
    )
  })
  const tellRetry = ({ input }: { readonly input: unknown }) => {
    const failed = { _tag: "NodeRetried", node: id, attempt: progress.count, error: describe(input) } as const
    return Effect.andThen(journal.append(failed), listen(failed))
  }
  const survived = Effect.retry(
    attempt,
    Schedule.recurs(WORKER_DEATHS).pipe(
      Schedule.while(({ input }) => input instanceof WorkerDied),
      Schedule.tap(tellRetry)
    )
  )
  const schedule = node.stage.retry?.pipe(
    Schedule.while(({ input }) => isRetryable(input)),
    Schedule.tap(tellRetry)
  )
  const retried = schedule === undefined ? survived : Effect.retry(survived, schedule)
  return yield* Effect.provideService(retried, Progress, (report) =>
    Effect.all(
      [Metrics.deviceNow, session.progress.note(id, report), listen({ _tag: "NodeProgress", node: id, report })],
      {
        discard: true
      }
    )
  )
})
