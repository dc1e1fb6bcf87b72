/** Graphs that are too large to read, made small: nodes that do the same at different settings are drawn as one. */

export interface Plain {
  readonly id: string
  readonly stage: string
  readonly inputs: Readonly<Record<string, string>>
}

/** What is drawn as one node: its members in graph order. */
export interface Group<N extends Plain> {
  readonly id: string
  readonly members: ReadonlyArray<N>
  /** Input name -> group; the names of several inputs from one group are joined. */
  readonly inputs: Readonly<Record<string, string>>
}

/** As many nodes as a page shows readably. */
export const READABLE = 80

/**
 * The graph in at most some `limit` groups, by the first of these that is enough: every node for itself; nodes of the same
 * stage and label whose inputs are, name by name, in the same groups (the copies that a sweep makes); nodes of the same stage
 * and label, whatever they come from; nodes of the same stage. A graph with more stages than `limit` stays larger.
 */
export const condense = <N extends Plain>(nodes: ReadonlyArray<N>, limit = READABLE): ReadonlyArray<Group<N>> => {
  const byLabel = labelsOf(nodes)
  const ways: ReadonlyArray<(node: N, groupOf: (id: string) => string) => string> = [
    ({ id }) => id,
    (node, groupOf) => {
      const inputs = Object.entries(node.inputs).map(([name, input]) => [name, groupOf(input)])
      return JSON.stringify([node.stage, byLabel.get(node.id), inputs])
    },
    (node) => JSON.stringify([node.stage, byLabel.get(node.id)]),
    ({ stage }) => stage
  ]
  let groups: ReadonlyArray<Group<N>> = []
  for (const way of ways) {
    groups = grouped(nodes, way)
    if (groups.length <= limit) break
  }
  return groups
}

/** Nodes stand after their inputs, so an input's group is known by the time it is asked for. */
const grouped = <N extends Plain>(
  nodes: ReadonlyArray<N>,
  signature: (node: N, groupOf: (id: string) => string) => string
): ReadonlyArray<Group<N>> => {
  const groupOf = new Map<string, string>()
  const bySignature = new Map<string, { readonly id: string; readonly members: Array<N> }>()
  for (const node of nodes) {
    const text = signature(node, (id) => groupOf.get(id) ?? id)
    const group = bySignature.get(text) ?? { id: node.id, members: [] }
    bySignature.set(text, group)
    group.members.push(node)
    groupOf.set(node.id, group.id)
  }
  return [...bySignature.values()].map(({ id, members }) => {
    const inputs = new Map<string, string>()
    for (const { inputs: own } of members)
      for (const [name, input] of Object.entries(own)) {
        const from = groupOf.get(input) ?? input
        if (from !== id) inputs.set(`${name} ${from}`, from)
      }
    return { id, members, inputs: Object.fromEntries(inputs) }
  })
}

/** Ids without the number that tells copies apart: `policy-3` is `policy`, where there is a `policy` of that stage. */
export const labelsOf = (nodes: ReadonlyArray<Plain>): ReadonlyMap<string, string> => {
  const stages = new Map(nodes.map(({ id, stage }) => [id, stage]))
  return new Map(
    nodes.map(({ id, stage }) => {
      const base = /^(.*)-\d+$/.exec(id)?.[1]
      return [id, base !== undefined && stages.get(base) === stage ? base : id]
    })
  )
}

/** The parts of a graph that nothing connects, the largest first. */
export const components = <N extends { readonly id: string; readonly inputs: Readonly<Record<string, string>> }>(
  nodes: ReadonlyArray<N>
): ReadonlyArray<ReadonlyArray<N>> => {
  const parent = new Map(nodes.map(({ id }) => [id, id]))
  const root = (id: string): string => {
    let at = id
    while (parent.get(at) !== at) {
      parent.set(at, parent.get(parent.get(at)!)!)
      at = parent.get(at)!
    }
    return at
  }
  for (const { id, inputs } of nodes)
    for (const input of Object.values(inputs)) if (parent.has(input)) parent.set(root(input), root(id))
  return [...Map.groupBy(nodes, ({ id }) => root(id)).values()].toSorted((a, b) => b.length - a.length)
}
