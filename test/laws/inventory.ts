/** Everything under `stages/`, found by looking: a stage or a component that nobody lists is still held to the laws. */
import { readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Component from "../../dsl/Component.ts"
import type { Constructor } from "../../runtime/executor/stageLaws.ts"

const root = fileURLToPath(new URL("../../stages/", import.meta.url))

const modules = await Promise.all(
  readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
    .sort()
    .map((file) => import(new URL(file, `file://${root}`).href) as Promise<Record<string, unknown>>)
)

const isConstructor = (u: unknown): u is Constructor =>
  typeof u === "function" && "stage" in u && typeof u.stage === "object" && u.stage !== null && "run" in u.stage

const isKind = (u: unknown): u is Component.Kind<string, unknown> =>
  typeof u === "object" && u !== null && "define" in u && "laws" in u && "kind" in u

const exported = modules.flatMap((module) => Object.values(module))

/** Stage name -> constructor. */
export const stages: ReadonlyMap<string, Constructor> = new Map(
  exported.filter(isConstructor).map((constructor) => [constructor.stage.name, constructor])
)

/** Kind -> what it says of all its members. */
export const kinds: ReadonlyMap<string, Component.Kind<string, any>> = new Map(
  exported.filter(isKind).map((kind) => [kind.kind, kind])
)

export const components: ReadonlyArray<Component.AnyDefinition> = Component.registered().filter(({ module }) =>
  module.startsWith(`file://${root}`)
)
