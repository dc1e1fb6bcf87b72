/** What is different between two runs of a store: parameters, code, surroundings, nodes, metrics, and where they part. */
import { Effect, Option } from "effect"
import { EvaluationReport } from "../../dsl/artifacts.ts"
import * as Json from "../../dsl/Json.ts"
import * as Journal from "../store/Journal.ts"
import * as Key from "../store/Key.ts"
import { Store } from "../store/Store.ts"
import { type CodeChange, codeChanges } from "./code.ts"
import { match } from "./matching.ts"
import { type MetricChange, metricChanges } from "./metrics.ts"

/** One of the two runs, at a glance. */
export interface Side {
  readonly run: string
  readonly pipeline: string
  readonly at: string
  readonly status: Journal.Summary["status"]
  readonly params: Json.JsonObject
}

/** Two nodes that stand for each other. */
export interface NodeComparison {
  /** Ids; they differ where the nodes were matched by key or by output. */
  readonly a: string
  readonly b: string
  readonly stage: string
  /**
   * `same`: one key and one content. `same content`: keys differ, contents do not. `other content`; and, of one key,
   * `not reproduced`: two computations of the same came out differently. `unfinished`: one run has no output of it.
   */
  readonly status: "same" | "same content" | "other content" | "not reproduced" | "unfinished"
  /** Whether all of its inputs have the same contents in both runs. */
  readonly inputsAgree: boolean
  /** In what the keys differ; null where the store no longer has an entry of one of them. */
  readonly changes: ReadonlyArray<Key.Change> | null
}

/** A side that lacks a value has null. */
export interface Difference {
  readonly at: string
  readonly a: Json.Json
  readonly b: Json.Json
}

export interface Comparison {
  readonly a: Side
  readonly b: Side
  readonly params: ReadonlyArray<Difference>
  /** The device's contribution to keys. */
  readonly numerics: ReadonlyArray<Difference>
  /** Of prefline, Node and Effect. */
  readonly versions: ReadonlyArray<Difference>
  readonly code: ReadonlyArray<CodeChange>
  /** What nodes read from outside, as fingerprints; `at` begins with the node. */
  readonly sources: ReadonlyArray<Difference>
  /** In the order of A's graph. */
  readonly nodes: ReadonlyArray<NodeComparison>
  readonly onlyA: ReadonlyArray<{ readonly id: string; readonly stage: string }>
  readonly onlyB: ReadonlyArray<{ readonly id: string; readonly stage: string }>
  /** Ids (A's) of nodes whose keys or contents differ although their inputs agree: where the runs part. */
  readonly parting: ReadonlyArray<string>
  readonly metrics: ReadonlyArray<MetricChange>
  /** Evaluations that could not be read, and why. */
  readonly unreadable: ReadonlyArray<{ readonly node: string; readonly problem: string }>
}

/** Compares runs `a` and `b`, given by their ids, from their journals, their keys' parts and their evaluations. */
export const compare = Effect.fn("compare")(function* (a: string, b: string) {
  const { root } = yield* Store
  const [left, right] = [yield* Journal.summarize(root, a), yield* Journal.summarize(root, b)]
  const { onlyA, onlyB, pairs } = match(left, right)
  const nodes = yield* Effect.forEach(pairs, ([nodeA, nodeB]) => compareNodes(left, nodeA, right, nodeB))
  const metrics: Array<MetricChange> = []
  const unreadable: Array<Comparison["unreadable"][number]> = []
  for (const { a: id, b: other } of nodes) {
    const measured = yield* Effect.result(compareMetrics(left, id, right, other))
    if (measured._tag === "Success") metrics.push(...measured.success)
    else unreadable.push({ node: id, problem: measured.failure.message })
  }
  const comparison: Comparison = {
    a: sideOf(left),
    b: sideOf(right),
    params: differences(left.params, right.params),
    numerics: differences(left.numerics, right.numerics, "numerics"),
    versions: differences(left.versions, right.versions),
    code: codeChanges(nodes),
    sources: nodes.flatMap(({ a, changes }) => (changes ?? []).flatMap((change) => sourceChange(a, change))),
    nodes,
    onlyA: onlyA.map(({ id, stage }) => ({ id, stage })),
    onlyB: onlyB.map(({ id, stage }) => ({ id, stage })),
    parting: nodes.filter(({ inputsAgree, status }) => inputsAgree && differs(status)).map(({ a }) => a),
    metrics,
    unreadable
  }
  return comparison
})

const differs = (status: NodeComparison["status"]) => status !== "same" && status !== "unfinished"

type Node = Journal.Record["nodes"][number]

const compareNodes = Effect.fnUntraced(function* (left: Journal.Record, a: Node, right: Journal.Record, b: Node) {
  const [before, after] = [left.finished.get(a.id), right.finished.get(b.id)]
  const about = { a: a.id, b: b.id, stage: a.stage, inputsAgree: agree(left, a, right, b) }
  if (before === undefined || after === undefined)
    return { ...about, status: "unfinished", changes: [] } satisfies NodeComparison as NodeComparison
  const sameContent = before.output.digest === after.output.digest
  const sameKey = before.key === after.key
  const status = sameKey ? (sameContent ? "same" : "not reproduced") : sameContent ? "same content" : "other content"
  const changes = sameKey ? [] : yield* changesBetween(before.key, after.key)
  return { ...about, status, changes } satisfies NodeComparison as NodeComparison
})

/** In what two keys differ; null where the store has no entry of one of them. */
const changesBetween = Effect.fnUntraced(function* (before: string, after: string) {
  const store = yield* Store
  const [left, right] = [yield* store.lookup(before), yield* store.lookup(after)]
  return Option.isNone(left) || Option.isNone(right) ? null : Key.changes(left.value.parts, right.value.parts)
})

/** By the contents of what both take under one name; an input that only one has does not agree. */
const agree = (left: Journal.Record, a: Node, right: Journal.Record, b: Node): boolean => {
  const names = [...new Set([...Object.keys(a.inputs), ...Object.keys(b.inputs)])]
  const content = (run: Journal.Record, node: Node, name: string) =>
    run.finished.get(node.inputs[name] ?? "")?.output.digest
  return names.every((name) => {
    const digest = content(left, a, name)
    return digest !== undefined && digest === content(right, b, name)
  })
}

const compareMetrics = Effect.fnUntraced(function* (left: Journal.Record, a: string, right: Journal.Record, b: string) {
  const store = yield* Store
  const [before, after] = [left.finished.get(a)?.output, right.finished.get(b)?.output]
  if (before?.artifact !== EvaluationReport.name || after?.artifact !== EvaluationReport.name) return []
  const identical = before.digest === after.digest
  const first = yield* store.read(EvaluationReport, before)
  return metricChanges(a, first, identical ? first : yield* store.read(EvaluationReport, after), identical)
})

const sideOf = ({ at, params, pipeline, run, status }: Journal.Record): Side => ({ run, pipeline, at, status, params })

const differences = (a: Json.Json, b: Json.Json, at = ""): ReadonlyArray<Difference> =>
  Json.differences(a, b, Object.is, at).map(({ at, left, right }) => ({ at, a: left ?? null, b: right ?? null }))

const sourceChange = (node: string, { at, kind, left, right }: Key.Change): ReadonlyArray<Difference> =>
  kind === "source" ? [{ at: `${node}/${at}`, a: left ?? null, b: right ?? null }] : []
