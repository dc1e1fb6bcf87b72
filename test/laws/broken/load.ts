/**
 * Loads modules anew with one of them changed, beside the originals: the changed one and all that import it get a query of
 * their own. Has to be imported before any of our modules.
 */
import { registerHooks } from "node:module"
import type { AnyDefinition } from "../../../dsl/Component.ts"
import { dependentsOf } from "./graph.ts"

interface Broken {
  readonly query: string
  readonly file: string
  readonly source: string
  readonly dependents: ReadonlySet<string>
}

const COMPONENTS = new URL("../../../dsl/Component.ts", import.meta.url).href
const brokenBy = new Map<string, Broken>()
let count = 0

registerHooks({
  resolve: (specifier, context, next) => {
    const resolved = next(specifier, context)
    const broken = brokenBy.get(queryOf(context.parentURL))
    return broken?.dependents.has(resolved.url) ? { ...resolved, url: resolved.url + broken.query } : resolved
  },
  load: (url, context, next) => {
    const query = queryOf(url)
    const broken = brokenBy.get(query)
    if (broken !== undefined && url === broken.file + query)
      return { format: "module-typescript", source: broken.source, shortCircuit: true }
    const loaded = next(url, context)
    if (url !== COMPONENTS) return loaded
    // What is registered has to be put back after each change.
    return { ...loaded, source: `${sourceOf(loaded.source)}\nglobalThis[Symbol.for("broken")] = registry\n` }
  }
})

const queryOf = (url: string | undefined) => /\?broken=\d+$/.exec(url ?? "")?.[0] ?? ""

const sourceOf = (source: unknown): string =>
  typeof source === "string" ? source : new TextDecoder().decode(source as Uint8Array)

/** Imports `entries` with `file` changed to `source`, and uses them; then what they registered is forgotten. */
export const withBroken = async <A>(
  {
    entries,
    file,
    source
  }: { readonly entries: ReadonlyArray<string>; readonly file: string; readonly source: string },
  use: (modules: ReadonlyArray<Readonly<Record<string, unknown>>>) => Promise<A>
): Promise<A> => {
  const registry = (globalThis as Record<symbol, unknown>)[Symbol.for("broken")] as Map<string, AnyDefinition>
  const before = new Map(registry)
  const query = `?broken=${count++}`
  const dependents = dependentsOf(file, entries)
  brokenBy.set(query, { query, file, source, dependents })
  for (const [id, { module }] of before) if (dependents.has(module)) registry.delete(id)
  try {
    const loaded: Array<Record<string, unknown>> = []
    for (const entry of entries) loaded.push(await import(dependents.has(entry) ? entry + query : entry))
    return await use(loaded)
  } finally {
    registry.clear()
    for (const [id, definition] of before) registry.set(id, definition)
  }
}
