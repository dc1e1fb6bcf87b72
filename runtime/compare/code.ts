/** The code that differs between two runs: modules and packages, with the nodes that they matter to. */
import type * as Key from "../store/Key.ts"

export interface CodeChange {
  readonly kind: "module" | "package"
  /** The module's path in its project, or the package's name. */
  readonly name: string
  /** The module's hash (its first digits) or the package's version; null where that run did not reach it. */
  readonly a: string | null
  readonly b: string | null
  /** Stages whose keys it changed, in the order of the graph. */
  readonly stages: ReadonlyArray<string>
}

interface Explained {
  readonly stage: string
  readonly changes: ReadonlyArray<Key.Change> | null
}

/** Modules first, then packages, each by name. */
export const codeChanges = (nodes: ReadonlyArray<Explained>): ReadonlyArray<CodeChange> => {
  const found = new Map<string, CodeChange & { readonly stages: Array<string> }>()
  for (const { changes, stage } of nodes) {
    for (const { at, kind, left, right } of changes ?? []) {
      if (kind !== "module" && kind !== "package") continue
      const [a, b] = [textOr(left), textOr(right)]
      const id = JSON.stringify([kind, at, a, b])
      const known = found.get(id) ?? { kind, name: at, a, b, stages: [] }
      if (!known.stages.includes(stage)) known.stages.push(stage)
      found.set(id, known)
    }
  }
  return [...found.values()].sort((x, y) => order(x, y))
}

const order = (x: CodeChange, y: CodeChange) =>
  x.kind === y.kind ? (x.name < y.name ? -1 : x.name > y.name ? 1 : 0) : x.kind === "module" ? -1 : 1

const textOr = (value: unknown): string | null => (typeof value === "string" ? value : null)
