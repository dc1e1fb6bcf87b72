/** What a run would do, without doing it: which nodes are served from the store, which run, and why. */
import { Effect, Option } from "effect"
import type * as Pipeline from "../../dsl/Pipeline.ts"
import type { ArtifactRef } from "../store/ArtifactRef.ts"
import { CodeHash } from "../store/CodeHash.ts"
import * as Journal from "../store/Journal.ts"
import * as Key from "../store/Key.ts"
import { Store } from "../store/Store.ts"
import { keyOf, modulesOf } from "./keyOf.ts"

export interface PlannedNode {
  readonly id: string
  readonly stage: string
  /** `waits`: an input has to be made first; if it comes out as before, the node may still be served. */
  readonly status: "cached" | "run" | "waits"
  readonly key: string | undefined
  /** For `run`, the parts of the key that changed since the node was last made; for `waits`, the inputs to be made. */
  readonly why: ReadonlyArray<string>
}

/** `unknown` stands for what the fingerprints of the pipeline's own sources fail with. */
type PlanError = unknown

export const make = Effect.fn("Plan.make")(function* <E, R>(
  built: Pipeline.Built<E, R>
): Effect.fn.Return<ReadonlyArray<PlannedNode>, PlanError, R | Store | CodeHash> {
  const store = yield* Store
  const codes = yield* CodeHash
  yield* codes.prefetch(yield* modulesOf(built.graph))
  const before = yield* Journal.lastKeys(store.root, built.pipeline)
  const known = new Map<string, ArtifactRef>()
  const planned: Array<PlannedNode> = []
  for (const { id, inputs, node } of built.graph.nodes) {
    const stage = node.stage.name
    const missing = [...new Set(Object.values(inputs))].filter((input) => !known.has(input))
    if (missing.length > 0) {
      planned.push({
        id,
        stage,
        status: "waits",
        key: undefined,
        why: missing.map((input) => `${input} has to be made first`)
      })
      continue
    }
    const refs = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, known.get(input)!]))
    const { key, parts } = yield* keyOf(node, refs)
    const action = yield* store.lookup(key)
    if (Option.isNone(action)) {
      const lastKey = before.get(id)
      const last = lastKey === undefined ? Option.none() : yield* store.lookup(lastKey)
      const why =
        lastKey !== undefined && Option.isNone(last)
          ? ["the entry of its last key is gone from the store"]
          : Key.explain(Option.getOrUndefined(Option.map(last, ({ parts }) => parts)), parts)
      planned.push({ id, stage, status: "run", key, why })
      continue
    }
    const state = yield* store.inspect(action.value.output)
    if (state === "intact") {
      known.set(id, action.value.output)
      planned.push({ id, stage, status: "cached", key, why: [] })
    } else planned.push({ id, stage, status: "run", key, why: [`its stored output is ${state}`] })
  }
  return planned
})
