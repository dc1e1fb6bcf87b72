/** Which nodes of two runs stand for each other. */
import type * as Journal from "../store/Journal.ts"

type Node = Journal.Record["nodes"][number]

export interface Matched {
  readonly pairs: ReadonlyArray<readonly [a: Node, b: Node]>
  readonly onlyA: ReadonlyArray<Node>
  readonly onlyB: ReadonlyArray<Node>
}

/**
 * Pairs nodes, each at most once: first those of one id and stage, then those of one key, then those of one stage that are
 * the same output. Pairs come in the order of A's graph, in which every node stands after its inputs.
 */
export const match = (a: Journal.Record, b: Journal.Record): Matched => {
  const partner = new Map<Node, Node>()
  const taken = new Set<Node>()
  const pairUp = (find: (node: Node) => (other: Node) => boolean) => {
    for (const node of a.nodes) {
      if (partner.has(node)) continue
      const other = b.nodes.find((other) => !taken.has(other) && other.stage === node.stage && find(node)(other))
      if (other === undefined) continue
      partner.set(node, other)
      taken.add(other)
    }
  }
  const keyIn = (run: Journal.Record, { id }: Node) => run.finished.get(id)?.key
  pairUp(
    ({ id }) =>
      (other) =>
        other.id === id
  )
  pairUp((node) => {
    const key = keyIn(a, node)
    return (other) => key !== undefined && keyIn(b, other) === key
  })
  pairUp(({ id }) => {
    const names = Object.keys(a.outputs).filter((name) => a.outputs[name] === id)
    return (other) => names.some((name) => b.outputs[name] === other.id)
  })
  return {
    pairs: a.nodes.flatMap((node) => (partner.has(node) ? [[node, partner.get(node)!] as const] : [])),
    onlyA: a.nodes.filter((node) => !partner.has(node)),
    onlyB: b.nodes.filter((node) => !taken.has(node))
  }
}
