/** How long nodes took in earlier runs of a store, and what that says about the rest of a run. */
import { Effect, Option } from "effect"
import type * as Graph from "../../../dsl/Graph.ts"
import * as Json from "../../../dsl/Json.ts"
import * as Journal from "../../store/Journal.ts"
import { Store } from "../../store/Store.ts"

/** Milliseconds that computing a node takes, as far as that was seen before. */
export type History = (node: string) => number | undefined

/** Runs that are looked at, the newest first, and entries of the action table. */
const RUNS = 20
const ENTRIES = 400

/**
 * The newest time of the same stage with the same parameters, else the newest of the same stage. What cannot be read is
 * left out: it is only about how long something may take.
 */
export const load = Effect.fnUntraced(function* (graph: Graph.Graph): Effect.fn.Return<History, never, Store> {
  const { lookup, root } = yield* Store
  const stages = new Set(graph.nodes.map(({ node }) => node.stage.name))
  const wanted = new Set(graph.nodes.map(({ node }) => shape(node.stage.name, node.encodedParams)))
  const exact = new Map<string, number>()
  const byStage = new Map<string, number>()
  let entries = 0
  const summaries = yield* Effect.orElseSucceed(Journal.list(root), () => [])
  for (const { run } of summaries.slice(0, RUNS)) {
    const events = yield* Effect.orElseSucceed(Journal.read(root, run), () => [])
    const stageOf = new Map(
      events.flatMap((event) => (event._tag === "RunStarted" ? event.nodes.map(({ id, stage }) => [id, stage]) : []))
    )
    for (const event of events) {
      if (event._tag !== "NodeFinished" || event.status !== "computed") continue
      const stage = stageOf.get(event.node)
      if (stage === undefined || !stages.has(stage)) continue
      if (!byStage.has(stage)) byStage.set(stage, event.ms)
      if (exact.size === wanted.size || entries === ENTRIES) continue
      entries++
      const action = yield* Effect.orElseSucceed(lookup(event.key), () => Option.none())
      if (Option.isNone(action)) continue
      const parts = action.value.parts as { readonly params?: Json.JsonObject }
      const of = shape(stage, parts.params ?? {})
      if (wanted.has(of) && !exact.has(of)) exact.set(of, event.ms)
    }
  }
  return (id) => {
    const found = graph.byId.get(id)
    if (found === undefined) return undefined
    const { encodedParams, stage } = found.node
    return exact.get(shape(stage.name, encodedParams)) ?? byStage.get(stage.name)
  }
})

const shape = (stage: string, params: Json.JsonObject) => `${stage} ${Json.canonicalUnsafe(params)}`

export interface Remaining {
  readonly ms: number
  /** Whether every node that is left counts: else it is the least. */
  readonly isWhole: boolean
}

/**
 * What is left of a run: along the longest way through the nodes that have not ended, each with what is left of it, but no
 * less than all of them side by side, `width` at a time.
 */
export const remaining = (
  graph: Graph.Graph,
  ended: ReadonlySet<string>,
  left: (node: string) => number | undefined,
  width: number
): Remaining => {
  const until = new Map<string, number>()
  let sum = 0
  let isWhole = true
  for (const { id, inputs } of graph.nodes) {
    if (ended.has(id)) continue
    const own = left(id)
    isWhole &&= own !== undefined
    sum += own ?? 0
    until.set(id, Math.max(0, ...Object.values(inputs).map((input) => until.get(input) ?? 0)) + (own ?? 0))
  }
  return { ms: Math.max(0, sum / width, ...until.values()), isWhole }
}
