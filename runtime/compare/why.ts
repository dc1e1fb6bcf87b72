/** Why a node of a run was computed, or from where it was served. */
import { Effect, Option, Schema } from "effect"
import type * as Json from "../../dsl/Json.ts"
import * as Journal from "../store/Journal.ts"
import * as Key from "../store/Key.ts"
import { Store } from "../store/Store.ts"

/** A node without a key on record: only finished nodes have one. */
export class NodeNotFinished extends Schema.TaggedError<NodeNotFinished>()("NodeNotFinished", {
  run: Schema.String,
  node: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.node} of run ${this.run} ${this.problem}: only what was finished has its key on record`
  }
}

/** A node as some run finished it. */
export interface Made {
  readonly run: string
  readonly pipeline: string
  readonly node: string
  readonly key: string
  readonly at: string
}

/** A node that the explained one depends on and whose content is another than it was, with what changed in its own key. */
export interface Cause {
  readonly node: string
  readonly stage: string
  /** In what its keys differ; null where the store lacks an entry, empty where one key came out with two contents. */
  readonly changes: ReadonlyArray<Key.Change> | null
}

export interface Why {
  readonly run: string
  readonly node: string
  readonly stage: string
  readonly status: "computed" | "cached"
  readonly key: string
  readonly at: string
  /** For what was served: the run that computed it; null where its journal is no longer there. */
  readonly madeBy: Made | null
  /** For what was computed under a key that was known: who had made it. Its output was no longer intact. */
  readonly lost: Made | null
  /** For what was computed under a new key: the earlier one of the same stage that differs least. */
  readonly nearest: Made | null
  /** In what the key differs from that of `nearest`; null where the store no longer has the node's own entry. */
  readonly changes: ReadonlyArray<Key.Change> | null
  /** The nodes behind inputs with other content, from the node backwards to where it began. */
  readonly upstream: ReadonlyArray<Cause>
}

/** So many earlier keys of the stage, the newest, are held against a new one. */
const CANDIDATES = 200

/** Explains node `node` (its id) of run `run`. */
export const why = Effect.fn("why")(function* (
  run: string,
  node: string
): Effect.fn.Return<
  Why,
  | NodeNotFinished
  | Journal.JournalFailed
  | Journal.JournalDamaged
  | Journal.RunIdInvalid
  | Journal.RunUnknown
  | ReadFailed,
  Store
> {
  const { root } = yield* Store
  const record = yield* Journal.summarize(root, run)
  const finished = record.finished.get(node)
  const stage = record.nodes.find(({ id }) => id === node)?.stage
  if (finished === undefined || stage === undefined)
    return yield* new NodeNotFinished({ run, node, problem: yield* endOf(root, run, node) })
  const { at, key, status } = finished
  const about = { run, node, stage, status, key, at }
  const none = { madeBy: null, lost: null, nearest: null, changes: [], upstream: [] }
  const earlier = (yield* historyOf(root, stage)).filter(
    (made) => made.at < at || (made.at === at && made.node !== node)
  )
  const sameKey = earlier.filter((made) => made.key === key && made.status === "computed")[0]
  if (status === "cached") return { ...about, ...none, madeBy: sameKey === undefined ? null : madeOf(sameKey) }
  if (sameKey !== undefined) return { ...about, ...none, lost: madeOf(sameKey) }

  const action = yield* (yield* Store).lookup(key)
  if (Option.isNone(action)) return { ...about, ...none, changes: null }
  const found = yield* nearest(action.value.parts, { ...about, pipeline: record.pipeline }, earlier)
  if (found === undefined) return { ...about, ...none, changes: Key.changes(undefined, action.value.parts) }
  const then = found.made.run === run ? record : yield* Journal.summarize(root, found.made.run)
  const upstream = yield* causes([record, node], [then, found.made.node], found.changes)
  return { ...about, ...none, nearest: madeOf(found.made), changes: found.changes, upstream }
})

type ReadFailed = Effect.Error<ReturnType<Store["Service"]["lookup"]>>

interface Finished extends Made {
  readonly status: "computed" | "cached"
}

const madeOf = ({ at, key, node, pipeline, run }: Finished): Made => ({ run, pipeline, node, key, at })

/** All that was finished of a stage, by any run whose journal can be read, newest first. */
const historyOf = Effect.fnUntraced(function* (root: string, stage: string) {
  const all: Array<Finished> = []
  for (const { pipeline, run } of yield* Journal.list(root)) {
    const record = yield* Effect.catchTag(Journal.summarize(root, run), "JournalDamaged", () =>
      Effect.succeed(undefined)
    )
    for (const { id } of record?.nodes.filter((node) => node.stage === stage) ?? []) {
      const finished = record!.finished.get(id)
      if (finished === undefined) continue
      const { at, key, status } = finished
      all.push({ run, pipeline, node: id, key, at, status })
    }
  }
  return all.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0))
})

/** The key that differs in the fewest parts; of several the same node's of the same pipeline, then the newest. */
const nearest = Effect.fnUntraced(function* (
  parts: Json.Json,
  { key, node, pipeline }: { readonly key: string; readonly node: string; readonly pipeline: string },
  earlier: ReadonlyArray<Finished>
) {
  const store = yield* Store
  const others = new Map<string, Finished>()
  const isOwn = (made: Finished) => made.node === node && made.pipeline === pipeline
  for (const made of earlier) {
    const known = others.get(made.key)
    if (made.key !== key && (known === undefined || (isOwn(made) && !isOwn(known)))) others.set(made.key, made)
  }
  let best: { readonly made: Finished; readonly changes: ReadonlyArray<Key.Change> } | undefined
  for (const made of [...others.values()].slice(0, CANDIDATES)) {
    const action = yield* store.lookup(made.key)
    if (Option.isNone(action)) continue
    const changes = Key.changes(action.value.parts, parts)
    const fewer = best === undefined ? 1 : best.changes.length - changes.length
    if (fewer > 0 || (fewer === 0 && isOwn(made) && !isOwn(best!.made))) best = { made, changes }
  }
  return best
})

type Place = readonly [run: Journal.Record, node: string]

/** Goes back along inputs whose content changed, in both runs, each node once. */
const causes = Effect.fnUntraced(function* (now: Place, before: Place, changes: ReadonlyArray<Key.Change> | null) {
  const store = yield* Store
  const found: Array<Cause> = []
  const seen = new Set<string>()
  const waiting = [{ now, before, changes }]
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    for (const { at: input, kind } of next.changes ?? []) {
      if (kind !== "input") continue
      const [after, earlier] = [inputOf(next.now, input), inputOf(next.before, input)]
      if (after === undefined || seen.has(after.id)) continue
      seen.add(after.id)
      const [right, left] = [
        yield* store.lookup(after.key),
        earlier === undefined ? Option.none() : yield* store.lookup(earlier.key)
      ]
      const changed =
        after.key === earlier?.key
          ? []
          : Option.isNone(right) || Option.isNone(left)
            ? null
            : Key.changes(left.value.parts, right.value.parts)
      found.push({ node: after.id, stage: after.stage, changes: changed })
      if (earlier !== undefined)
        waiting.push({ now: [next.now[0], after.id], before: [next.before[0], earlier.id], changes: changed })
    }
  }
  return found
})

const inputOf = ([run, node]: Place, name: string) => {
  const id = run.nodes.find((other) => other.id === node)?.inputs[name]
  const finished = id === undefined ? undefined : run.finished.get(id)
  const stage = run.nodes.find((other) => other.id === id)?.stage
  return finished === undefined || stage === undefined ? undefined : { id: finished.node, stage, key: finished.key }
}

/** How a node without a result ended. */
const endOf = Effect.fnUntraced(function* (root: string, run: string, node: string) {
  const events = yield* Journal.read(root, run)
  const last = events.findLast((event) => "node" in event && event.node === node)
  if (last?._tag === "NodeFailed") return `failed (${last.error.message})`
  if (last?._tag === "NodeSkipped") return `was skipped for want of ${last.because.join(", ")}`
  return "was not finished"
})
