/**
 * The nodes that a record of outputs reaches, each structurally distinct node once, in an order in which every node
 * stands after its inputs. Two nodes are the same when stage, parameters, components' code names, random stream and
 * inputs are the same.
 */
import * as Json from "./Json.ts"
import type * as Node from "./Node.ts"
import { StageMisused } from "./Stage.ts"

/** A node with its place in a graph. */
export interface GraphNode {
  /** Unique in the graph and the same whenever the same pipeline is built again with the same parameters. */
  readonly id: string
  readonly node: Node.Any
  readonly inputs: Readonly<Record<string, string>>
}

/** Nodes, each after its inputs, and the outputs among them. */
export interface Graph {
  readonly nodes: ReadonlyArray<GraphNode>
  readonly byId: ReadonlyMap<string, GraphNode>
  /** Output name -> node id. */
  readonly outputs: Readonly<Record<string, string>>
}

/** Throws `StageMisused` where two stages of one module have one name: neither graphs nor keys could tell them apart. */
export const fromOutputs = (outputs: Readonly<Record<string, Node.Any>>): Graph => {
  const nodes: Array<GraphNode> = []
  const byShape = new Map<string, GraphNode>()
  const placed = new Map<Node.Any, GraphNode>()
  const names = new Names()

  const place = (node: Node.Any) => {
    const inputs = Object.fromEntries(Object.entries(node.inputs).map(([name, input]) => [name, placed.get(input)!.id]))
    const shape = Json.canonicalUnsafe({
      stage: node.stage.name,
      module: node.stage.module,
      params: node.encodedParams,
      random: node.random ?? null,
      inputs
    })
    const existing = byShape.get(shape)
    if (existing !== undefined) {
      if (existing.node.stage !== node.stage)
        throw new StageMisused({ stage: node.stage.name, problem: `two stages in ${node.stage.module} have this name` })
      return void placed.set(node, existing)
    }
    const made = { id: names.take(node.label ?? node.stage.name), node, inputs }
    byShape.set(shape, made)
    placed.set(node, made)
    nodes.push(made)
  }

  for (const output of Object.values(outputs)) inDependencyOrder(output, placed, place)
  return {
    nodes,
    byId: new Map(nodes.map((node) => [node.id, node])),
    outputs: Object.fromEntries(Object.entries(outputs).map(([name, node]) => [name, placed.get(node)!.id]))
  }
}

/** The part of a graph that these of its outputs need; ids stay as they are. */
export const restrict = ({ nodes, outputs }: Graph, names: Iterable<string>): Graph => {
  const kept = Object.fromEntries([...names].map((name) => [name, outputs[name]!] as const))
  const needed = new Set(Object.values(kept))
  for (const { id, inputs } of nodes.toReversed()) {
    if (needed.has(id)) for (const input of Object.values(inputs)) needed.add(input)
  }
  const reached = nodes.filter(({ id }) => needed.has(id))
  return { nodes: reached, byId: new Map(reached.map((node) => [node.id, node])), outputs: kept }
}

/** The ids of all nodes that depend on `id`, itself excluded, in graph order. */
export const dependants = (graph: Graph, id: string): ReadonlyArray<string> => {
  const reached = new Set([id])
  for (const node of graph.nodes) {
    if (Object.values(node.inputs).some((input) => reached.has(input))) reached.add(node.id)
  }
  reached.delete(id)
  return [...reached]
}

/** Depth first without recursion: an unrolled loop of ten thousand rounds must not exhaust the stack. */
const inDependencyOrder = (root: Node.Any, done: ReadonlyMap<Node.Any, unknown>, visit: (node: Node.Any) => void) => {
  const stack: Array<{ readonly node: Node.Any; readonly inputs: ReadonlyArray<Node.Any>; next: number }> = []
  const enter = (node: Node.Any) => stack.push({ node, inputs: Object.values(node.inputs), next: 0 })
  if (!done.has(root)) enter(root)
  while (stack.length > 0) {
    const top = stack[stack.length - 1]!
    const input = top.inputs[top.next++]
    if (input === undefined) {
      if (!done.has(top.node)) visit(top.node)
      stack.pop()
    } else if (!done.has(input)) enter(input)
  }
}

class Names {
  private readonly taken = new Map<string, number>()
  private readonly used = new Set<string>()
  take(base: string): string {
    let count = (this.taken.get(base) ?? 0) + 1
    while (this.used.has(count === 1 ? base : `${base}-${count}`)) count++
    this.taken.set(base, count)
    const name = count === 1 ? base : `${base}-${count}`
    this.used.add(name)
    return name
  }
}
