/** A pipeline with plain DPO in place of its method: what its checks must be able to tell from the method. */
import { Schema } from "effect"
import type { Pairs } from "../../dsl/artifacts.ts"
import * as Component from "../../dsl/Component.ts"
import type { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import type * as Json from "../../dsl/Json.ts"
import * as Node from "../../dsl/Node.ts"
import type * as Pipeline from "../../dsl/Pipeline.ts"
import type * as Stage from "../../dsl/Stage.ts"
import { dpo, logProbs, type Objective } from "../../stages/index.ts"

/** What turns a method off that is no objective: parameters of its stages, by their names. */
export type Off = Readonly<Record<string, Json.JsonObject>>

export interface Swapped {
  readonly pipeline: Pipeline.Pipeline
  /** Whether an output, in the graphs that were built so far, has come to depend on what was swapped. */
  readonly isTouched: (output: string) => boolean
}

/**
 * The pipeline whose nodes have `dpo` for every objective of a policy, at the objective's own beta, else the pipeline's,
 * else 0.1; a node without a reference gets the policy that it, or the policy that it looks at, was trained from.
 * **Details** Objectives that read a head are those of reward and preference models: they stay, but for the one that has a
 * head beside the policy (`with-degree`). What nothing of this touches is the same node as before.
 */
export const withPlainDpo = (pipeline: Pipeline.Pipeline, off: Off = {}): Swapped => {
  const touched = new Set<string>()
  const outputs: Pipeline.Pipeline["outputs"] = (params) => {
    const made = new Map<Node.Any, Node.Any>()
    const beta = numberIn(params, "beta") ?? 0.1
    const swap = (node: Node.Any): Node.Any => {
      const known = made.get(node)
      if (known !== undefined) return known
      const swapped = swapNode(
        node,
        Object.entries(node.inputs).map(([name, input]) => [name, swap(input)] as const)
      )
      made.set(node, swapped)
      return swapped
    }
    const swapNode = (node: Node.Any, inputs: ReadonlyArray<readonly [string, Node.Any]>): Node.Any => {
      const given = Object.fromEntries(inputs)
      const told = off[node.stage.name]
      const own = told === undefined ? node.params : decoded(node, { ...node.encodedParams, ...told })
      const replaced = withoutObjectives(own, beta)
      if (replaced === node.params && inputs.every(([name, input]) => input === node.inputs[name])) return node
      return rebuilt(node, replaced, replaced === own ? given : referenced(node, given))
    }
    return Object.fromEntries(
      Object.entries(pipeline.outputs(params) as Pipeline.Outputs).map(([name, node]) => {
        const swapped = swap(node)
        if (swapped !== node) touched.add(name)
        return [name, swapped]
      })
    )
  }
  return { pipeline: { ...pipeline, outputs }, isTouched: (output) => touched.has(output) }
}

const numberIn = (value: unknown, name: string): number | undefined => {
  const found = typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : value
  return typeof found === "number" ? found : undefined
}

/** The objective's own beta, or that of the objective inside it. */
const betaOf = ({ decodedParams }: Component.Any): number | undefined => {
  const inner = Object.values(decodedParams as object).find(Component.isComponent)
  return numberIn(decodedParams, "beta") ?? (inner && betaOf(inner))
}

/** The same value where there is nothing to replace. */
const withoutObjectives = (value: unknown, beta: number): unknown => {
  if (Component.isComponent(value)) {
    if (value.kind !== "objective" || value.name === "dpo") return value
    const { reads } = value.implementation as Objective
    const isModel = reads.heads > 0 && !reads.roles.includes("degradedChosen")
    return isModel ? value : dpo({ beta: betaOf(value) ?? beta })
  }
  if (typeof value !== "object" || value === null) return value
  const entries = Object.entries(value).map(([name, held]) => [name, withoutObjectives(held, beta)] as const)
  if (entries.every(([name, held]) => held === (value as Readonly<Record<string, unknown>>)[name])) return value
  return Array.isArray(value) ? entries.map(([, held]) => held) : Object.fromEntries(entries)
}

/** The inputs with a reference where the stage takes one, and without the guide's annotations, which DPO does not read. */
const referenced = (node: Node.Any, inputs: Node.Any["inputs"]): Node.Any["inputs"] => {
  const { guideLogProbs: _, ...rest } = inputs
  const reference = rest["from"] ?? (rest["policy"] && startOf(rest["policy"]))
  if (reference === undefined) return rest
  const lacks = (name: string) => Object.hasOwn(node.stage.inputs, name) && rest[name] === undefined
  if (lacks("reference")) return { ...rest, reference }
  if (!lacks("referenceLogProbs")) return rest
  const [pairs, policy] = [rest["input"] as Node.Node<typeof Pairs>, reference as Node.Node<typeof CheckpointFolder>]
  return { ...rest, referenceLogProbs: pairs.pipe(logProbs({ policy })) }
}

/** What a trained policy was compared with while it was trained, or started from; itself where it was not trained. */
const startOf = (policy: Node.Any): Node.Any =>
  policy.inputs["reference"] ?? policy.inputs["referenceLogProbs"]?.inputs["policy"] ?? policy.inputs["from"] ?? policy

const decoded = ({ stage }: Node.Any, encoded: Json.JsonObject): unknown =>
  Schema.decodeUnknownSync(codecOf(stage))(encoded)

const codecOf = (stage: Stage.Any) => Schema.toCodecJson(stage.params) as unknown as Schema.Codec<unknown>

const rebuilt = (node: Node.Any, params: unknown, inputs: Node.Any["inputs"]): Node.Any =>
  Node.make({
    stage: node.stage,
    artifact: node.artifact,
    params,
    encodedParams: Schema.encodeUnknownSync(codecOf(node.stage))(params) as Json.JsonObject,
    components: componentsIn(params),
    inputs,
    random: node.random,
    label: node.label
  })

/** Every component inside parameters, those inside components included. */
const componentsIn = (value: unknown): ReadonlyArray<Component.Any> => {
  if (typeof value !== "object" || value === null) return []
  if (Component.isComponent(value)) return [value, ...componentsIn(value.decodedParams)]
  return Object.values(value).flatMap(componentsIn)
}
