/** Computes a run's nodes again from their stored inputs and holds the results to their artifacts' equality. */
import { Effect, Option, Schema } from "effect"
import type * as Graph from "../../dsl/Graph.ts"
import * as Json from "../../dsl/Json.ts"
import type * as Pipeline from "../../dsl/Pipeline.ts"
import * as Rng from "../../dsl/Rng.ts"
import { type ArtifactRef, sha256 } from "../store/ArtifactRef.ts"
import * as Journal from "../store/Journal.ts"
import { Store } from "../store/Store.ts"
import { keyOf } from "./keyOf.ts"
import { perform } from "./perform.ts"

export interface Verdict {
  readonly id: string
  readonly stage: string
  /** `identical` bytes; `equal` within the artifact's tolerance; or it `differs`. */
  readonly status: "identical" | "equal" | "differs"
  readonly difference: string | undefined
  /** Whether the code, the parameters or the device are no longer those of the run. */
  readonly keyChanged: boolean
}

/**
 * The pipeline of a run builds other nodes than the run had: it was changed, or the run was a sweep of `claims` from before
 * journals said what is swept over.
 */
export class GraphChanged extends Schema.TaggedError<GraphChanged>()("GraphChanged", {
  run: Schema.String,
  pipeline: Schema.String
}) {
  override get message() {
    return `run ${this.run} cannot be verified: its pipeline (${this.pipeline}) does not build the nodes it had then`
  }
}

/**
 * Recomputes `sample` nodes of a run (all unless told), chosen by `seed`. The pipeline must be built with the parameters
 * and the grid of that run, else it fails with `GraphChanged`.
 */
export const verify = Effect.fn("Verify.verify")(function* (
  run: string,
  built: Pipeline.Built,
  options: {
    readonly sample?: number
    readonly seed?: number
    readonly listen?: (verdict: Verdict) => Effect.Effect<void>
  } = {}
) {
  const store = yield* Store
  const record = yield* Journal.summarize(store.root, run)
  if (!sameGraph(record.nodes, built.graph)) return yield* new GraphChanged({ run, pipeline: record.pipeline })
  const finished = built.graph.nodes.filter(({ id }) => record.finished.has(id))
  const order = Rng.make(options.seed ?? 0, "verify").permutation(0, finished.length)
  const chosen = new Set(order.slice(0, options.sample ?? finished.length))
  const verdicts: Array<Verdict> = []
  for (const [i, { id, inputs, node }] of finished.entries()) {
    if (!chosen.has(i)) continue
    const { key: keyThen, output } = record.finished.get(id)!
    const refs: Record<string, ArtifactRef> = Object.fromEntries(
      Object.entries(inputs).map(([name, input]) => [name, record.finished.get(input)!.output])
    )
    const { key } = yield* keyOf(node, refs)
    // A key of its own, so that partial state of an interrupted run does not stand in for the computation.
    const keyHere = sha256(`verify ${key}`)
    const fresh = yield* perform(node, keyHere, refs)
    yield* store.dropPartial(keyHere)
    const difference =
      fresh.digest === output.digest
        ? Option.none<string>()
        : node.artifact.equality._tag === "Exact"
          ? Option.orElseSome(yield* node.artifact.compare(store.open(output), store.open(fresh)), () => "other bytes")
          : yield* node.artifact.compare(store.open(output), store.open(fresh))
    const status = fresh.digest === output.digest ? "identical" : Option.isNone(difference) ? "equal" : "differs"
    const verdict: Verdict = {
      id,
      stage: node.stage.name,
      status,
      difference: Option.getOrUndefined(difference),
      keyChanged: key !== keyThen
    }
    verdicts.push(verdict)
    yield* options.listen?.(verdict) ?? Effect.void
  }
  return verdicts as ReadonlyArray<Verdict>
})

/** A run of a check may have had some of the nodes only: those that its outputs need. */
const sameGraph = (then: Journal.Record["nodes"], { byId }: Graph.Graph) =>
  then.every(({ id, inputs, stage }) => {
    const now = byId.get(id)
    return now?.node.stage.name === stage && Json.canonicalUnsafe(now.inputs) === Json.canonicalUnsafe(inputs)
  })
