/** What `show` is asked for: a run, a node of a run, or an artifact by the first digits of its digest. */
import { Effect, Option, Schema } from "effect"
import type { ArtifactRef } from "../store/ArtifactRef.ts"
import * as Journal from "../store/Journal.ts"
import { Store } from "../store/Store.ts"
import * as Format from "./format.ts"
import { guess } from "./nearest.ts"
import * as RunView from "./RunView.ts"

export type Target =
  | { readonly _tag: "Run"; readonly run: RunView.RunView }
  | { readonly _tag: "Node"; readonly run: RunView.RunView; readonly node: RunView.NodeView }
  | {
      readonly _tag: "Artifact"
      readonly ref: ArtifactRef
      readonly madeBy: ReadonlyArray<{ readonly run: string; readonly node: string }>
    }

/** So many names are told even where one of them seems to be meant. */
const FEW = 12

/** A run that has no such node. */
export class NodeUnknown extends Schema.TaggedError<NodeUnknown>()("NodeUnknown", {
  run: Schema.String,
  node: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    const meant = guess(this.node, this.known)
    const has = meant === "" || this.known.length <= FEW ? `; it has nodes and outputs ${this.known.join(", ")}` : ""
    return `run ${this.run} has no node ${JSON.stringify(this.node)}${meant}${has}`
  }
}

/** No run of the store (whose journal can be read) made an artifact whose digest begins like this. */
export class ArtifactUnknown extends Schema.TaggedError<ArtifactUnknown>()("ArtifactUnknown", {
  prefix: Schema.String,
  root: Schema.String
}) {
  override get message() {
    return `no artifact of a run in ${this.root} has a digest that begins with ${this.prefix}`
  }
}

/** Several artifacts have digests that begin like this. */
export class ArtifactAmbiguous extends Schema.TaggedError<ArtifactAmbiguous>()("ArtifactAmbiguous", {
  prefix: Schema.String,
  digests: Schema.Array(Schema.String)
}) {
  override get message() {
    return `several digests begin with ${this.prefix}: ${this.digests.map(Format.short).join(", ")}; give more digits`
  }
}

/** Shorter ones would often be the beginning of a pipeline's name. */
const PREFIX = /^[0-9a-f]{6,64}$/

export const find = Effect.fn("Target.find")(function* (asked: Option.Option<string>) {
  const text = Option.getOrElse(asked, () => "")
  if (PREFIX.test(text)) return yield* artifact(text)
  const slash = text.indexOf("/")
  if (slash < 0) return { _tag: "Run", run: yield* load(asked) } satisfies Target as Target
  const run = yield* load(Option.some(text.slice(0, slash)))
  const wanted = text.slice(slash + 1)
  const called = (name: string | undefined) => run.nodes.find(({ id }) => id === name)
  const node = called(wanted) ?? called(run.outputs[wanted])
  if (node === undefined) {
    return yield* new NodeUnknown({ run: run.run, node: wanted, known: namesIn(run) })
  }
  return { _tag: "Node", run, node } satisfies Target as Target
})

/** Nodes go by their ids, and, where no node has that id, by the names of the outputs that they are. */
const namesIn = ({ nodes, outputs }: RunView.RunView) => [
  ...new Set([...nodes.map(({ id }) => id), ...Object.keys(outputs)])
]

const load = (asked: Option.Option<string>) => Effect.flatMap(RunView.findId(asked), RunView.load)

const artifact = Effect.fnUntraced(function* (prefix: string) {
  const { root } = yield* Store
  const madeBy = new Map<string, Array<{ readonly run: string; readonly node: string }>>()
  const refs = new Map<string, ArtifactRef>()
  for (const { run } of yield* Journal.list(root)) {
    const events = yield* Effect.catchTag(Journal.read(root, run), "JournalDamaged", () => Effect.succeed([]))
    for (const event of events) {
      if (event._tag !== "NodeFinished" || !event.output.digest.startsWith(prefix)) continue
      const { digest } = event.output
      refs.set(digest, event.output)
      madeBy.set(digest, [...(madeBy.get(digest) ?? []), { run, node: event.node }])
    }
  }
  const [ref, ...others] = refs.values()
  if (ref === undefined) return yield* new ArtifactUnknown({ prefix, root })
  if (others.length > 0) return yield* new ArtifactAmbiguous({ prefix, digests: [...refs.keys()] })
  return { _tag: "Artifact", ref, madeBy: madeBy.get(ref.digest)! } satisfies Target as Target
})
