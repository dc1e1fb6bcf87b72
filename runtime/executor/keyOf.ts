/** The cache key of a node, from what it is made of and the content of its inputs. */
import { Effect, Option } from "effect"
import type * as Graph from "../../dsl/Graph.ts"
import type * as Json from "../../dsl/Json.ts"
import type * as Node from "../../dsl/Node.ts"
import type * as Stage from "../../dsl/Stage.ts"
import { Device } from "../device/Device.ts"
import type { ArtifactRef } from "../store/ArtifactRef.ts"
import { CodeHash } from "../store/CodeHash.ts"
import * as Key from "../store/Key.ts"

/** `inputs` are the outputs of the nodes before it, by input name. */
export const keyOf = Effect.fnUntraced(function* (node: Node.Any, inputs: Readonly<Record<string, ArtifactRef>>) {
  const codes = yield* CodeHash
  const { stage } = node
  const code = yield* codes.of(stage.module)
  const components = yield* Effect.forEach(node.components, ({ definition, kind, name }) =>
    Effect.map(codes.of(definition.module), (code) => ({ id: `${kind}/${name}`, code }))
  )
  const handed = yield* Effect.forEach(handedTo(stage, yield* deviceModule), (module) =>
    Effect.map(codes.of(module), (code) => ({ id: "runtime", code }))
  )
  return Key.make({
    stage: stage.name,
    code,
    components: [...components, ...handed],
    params: omit(node.encodedParams, stage.source?.params ?? []),
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, ref]) => [name, ref.digest])),
    seed: node.random ?? null,
    numerics: stage.numerics ? yield* numericsInForce : null,
    source: stage.source === undefined ? null : yield* stage.source.fingerprint(node.params as never)
  })
})

/** The device's contribution to keys; null where no device is held. */
export const numericsInForce: Effect.Effect<Json.JsonObject | null> = Effect.map(
  Effect.serviceOption(Device),
  Option.match({ onNone: () => null, onSome: ({ numerics }) => ({ ...numerics }) })
)

/** The module of the device that is held. */
const deviceModule: Effect.Effect<string | undefined> = Effect.map(
  Effect.serviceOption(Device),
  Option.match({ onNone: () => undefined, onSome: ({ module }) => module })
)

/** What stages are handed by the runtime and do not import: the device's own code, and the random generator. */
const handedTo = (stage: Stage.Any, device: string | undefined): ReadonlyArray<string> => [
  ...(stage.numerics && device !== undefined ? [device] : []),
  ...(stage.random ? [new URL("../../dsl/Rng.ts", import.meta.url).href] : [])
]

/** The modules whose code enters the keys of a graph. */
export const modulesOf = Effect.fnUntraced(function* (graph: Graph.Graph) {
  const device = yield* deviceModule
  return [
    ...new Set(
      graph.nodes.flatMap(({ node }) => [
        node.stage.module,
        ...handedTo(node.stage, device),
        ...node.components.map(({ definition }) => definition.module)
      ])
    )
  ]
})

const omit = (params: Json.JsonObject, names: ReadonlyArray<string>): Json.JsonObject =>
  Object.fromEntries(Object.entries(params).filter(([name]) => !names.includes(name)))
