import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import type { ArtifactRef } from "../../store/ArtifactRef.ts"
import { Store } from "../../store/Store.ts"
import { existingStoreAt } from "../environment.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { Output, print, printJson, type Style } from "../Output.ts"
import * as Preview from "../preview.ts"
import type { NodeView, RunView } from "../RunView.ts"
import * as Target from "../Target.ts"

export const show = Command.make(
  "show",
  {
    what: Argument.String("what").pipe(
      Argument.withDescription(
        "A run (its id, or a pipeline's name for its newest), a node of it (run/node), or the first digits of a digest"
      ),
      Argument.optional
    ),
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.show")(
    function* ({ json, what }) {
      const target = yield* Target.find(what)
      switch (target._tag) {
        case "Run":
          return yield* json ? printJson(runJson(target.run)) : showRun(target.run)
        case "Node":
          return yield* json ? nodeJson(target.run, target.node) : showNode(target.run, target.node)
        case "Artifact":
          return yield* json ? artifactJson(target) : showArtifact(target)
      }
    },
    (effect, { store }) => Effect.provide(effect, existingStoreAt(store))
  )
).pipe(
  Command.withDescription("A run, one of its nodes, or an artifact: parameters, versions, keys, contents"),
  Command.withExamples([
    { command: "npm run prefline -- show", description: "The newest run" },
    { command: "npm run prefline -- show dpo/report", description: "A node of a pipeline's newest run" },
    { command: "npm run prefline -- show 3f1a9c", description: "The artifact whose digest begins with these digits" }
  ])
)

const showRun = Effect.fnUntraced(function* (run: RunView) {
  const { style } = (yield* Output).stdout
  const { effect, node, prefline } = run.versions
  const facts = [
    ["run", run.run],
    ["pipeline", style.bold(run.pipeline)],
    ["parameters", Format.settings(run.params)],
    ["status", run.status],
    ["begun", run.at],
    ["took", run.ms === undefined ? "" : Format.duration(run.ms)],
    ["versions", `prefline ${prefline}, node ${node}, effect ${effect}`],
    ["numerics", run.numerics === null ? "no device" : JSON.stringify(run.numerics)],
    ["module", run.source.module]
  ]
  yield* print(Format.table(facts))
  yield* print(`\n${style.bold("nodes")}\n${Format.table(run.nodes.map((node) => nodeRow(node, style)))}`)
  const made = new Set(run.nodes.filter(({ output }) => output !== undefined).map(({ id }) => id))
  const outputs = Object.entries(run.outputs).map(([name, node]) =>
    made.has(node) ? [name, `${run.run}/${node}`] : [name, style.dim(`not made: ${node} was not finished`)]
  )
  yield* print(`\n${style.bold("outputs")}\n${Format.table(outputs)}`)
})

const nodeRow = ({ error, id, ms, output, stage, status }: NodeView, style: Style) => [
  id,
  stage,
  status === "failed" ? style.red(status) : status,
  ms === undefined ? "" : Format.duration(ms),
  output === undefined ? Format.oneLine(Format.visible(error ?? ""), 100) : output.artifact,
  output === undefined ? "" : style.dim(Format.short(output.digest))
]

/** What the node's key was made of; the action table keeps it. */
const partsOf = Effect.fnUntraced(function* ({ key }: NodeView) {
  if (key === undefined) return undefined
  const action = yield* (yield* Store).lookup(key)
  return Option.getOrUndefined(Option.map(action, ({ parts }) => parts))
})

const showNode = Effect.fnUntraced(function* (run: RunView, node: NodeView) {
  const { style } = (yield* Output).stdout
  const inputs = Object.entries(node.inputs).map(([name, input]) => (name === input ? name : `${name} = ${input}`))
  const facts = [
    ["node", style.bold(node.id)],
    ["run", `${run.run}  ${run.pipeline}`],
    ["stage", node.stage],
    ["inputs", inputs.join(", ") || "none"],
    ["status", node.status],
    ["took", node.ms === undefined ? "" : Format.duration(node.ms)],
    ["key", node.key ?? ""],
    ...(node.error === undefined ? [] : [["error", Format.visible(node.error)]])
  ]
  yield* print(Format.table(facts))
  const parts = yield* partsOf(node)
  if (parts !== undefined) {
    const lines = JSON.stringify(parts, null, 2)
      .split("\n")
      .map((line) => `  ${line}`)
    yield* print(`\n${style.bold("the key is made of")}\n${lines.join("\n")}`)
  }
  if (node.output !== undefined) yield* showOutput(node.output)
})

const showArtifact = Effect.fnUntraced(function* ({ madeBy, ref }: Extract<Target.Target, { _tag: "Artifact" }>) {
  yield* print(Format.table([["made by", madeBy.map(({ node, run }) => `${run}/${node}`).join(", ")]]))
  yield* showOutput(ref)
})

const showOutput = Effect.fnUntraced(function* (ref: ArtifactRef) {
  const { columns, style } = (yield* Output).stdout
  yield* print(`\n${style.bold(ref.artifact)}  ${ref.digest}`)
  yield* print(Format.table(ref.files.map(({ bytes, digest, name }) => [name, Format.bytes(bytes), style.dim(digest)])))
  const text = Preview.render(yield* Preview.read(ref), style, columns())
  if (text !== "") yield* print(`\n${text}`)
})

const runJson = ({ nodes, ms, ...run }: RunView) => ({
  ...run,
  ms: ms ?? null,
  nodes: nodes.map(nodeFacts)
})

const nodeFacts = ({ error, key, ms, output, ...node }: NodeView) => ({
  ...node,
  key: key ?? null,
  ms: ms ?? null,
  output: output ?? null,
  error: error ?? null
})

const nodeJson = Effect.fnUntraced(function* (run: RunView, node: NodeView) {
  const preview = node.output === undefined ? null : yield* Preview.read(node.output)
  yield* printJson({
    run: run.run,
    pipeline: run.pipeline,
    ...nodeFacts(node),
    parts: (yield* partsOf(node)) ?? null,
    preview
  })
})

const artifactJson = Effect.fnUntraced(function* ({ madeBy, ref }: Extract<Target.Target, { _tag: "Artifact" }>) {
  yield* printJson({ output: ref, madeBy, preview: yield* Preview.read(ref) })
})
