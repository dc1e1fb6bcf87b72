/** What there is to check: the stages, kinds, components and contracts that modules export. */
import { existsSync, readdirSync } from "node:fs"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Effect, Option, Schema } from "effect"
import * as Component from "../../dsl/Component.ts"
import * as Contract from "../../dsl/Contract.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import type { Constructor } from "../executor/stageLaws.ts"
import type { Contracts } from "./generate.ts"

export interface Inventory {
  readonly stages: ReadonlyArray<Constructor>
  /** Kind -> what it says of all its members. */
  readonly kinds: ReadonlyMap<string, Component.Kind<string, any>>
  readonly components: ReadonlyArray<Component.AnyDefinition>
  readonly contracts: Contracts
}

/** A file whose exports were to be checked cannot be imported. */
export class ModuleUnusable extends Schema.TaggedError<ModuleUnusable>()("ModuleUnusable", {
  file: Schema.String,
  problem: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message() {
    return `${this.file}: ${this.problem}`
  }
}

const STAGES = new URL("../../stages/", import.meta.url)
/** Of this file: the sources are TypeScript, an installed package is JavaScript. */
const ENDING = /\.[^.]+$/.exec(import.meta.url)![0]

/** Everything under `stages/`, found by looking: a stage or a component that nobody lists is held to the laws too. */
export const shipped: Effect.Effect<Inventory, ModuleUnusable> = Effect.gen(function* () {
  const files = readdirSync(STAGES, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(ENDING) && !file.endsWith(".d.ts"))
    .sort()
  const modules = yield* Effect.forEach(files, (file) => load(new URL(file, STAGES).href))
  const found = collect(modules)
  return {
    ...found,
    components: Component.registered().filter(({ module }) => module.startsWith(STAGES.href)),
    contracts: new Map(contractsIn(modules).map((contract) => [contract.of, contract]))
  }
})

/**
 * What a file exports, with the contracts beside it, and what its pipelines use of the folder that it is in. Generators and
 * kinds are those of the shipped stages and of the file.
 */
export const ofFile = Effect.fn("check.ofFile")(function* (file: string) {
  const base = yield* shipped
  const url = pathToFileURL(file).href
  const module = yield* load(url)
  const pipelines = Object.values(module).filter(Pipeline.isPipeline)
  // A pipeline with a parameter that has no default cannot be laid out here; its stages are checked where they are exported.
  const built = yield* Effect.forEach(pipelines, (pipeline) => Effect.option(Pipeline.build(pipeline)))
  const nodes = built.flatMap((one) => (Option.isSome(one) ? one.value.graph.nodes : [])).map(({ node }) => node)
  const folder = new URL(".", url).href
  const near = [
    ...new Set(nodes.flatMap(({ components, stage }) => [stage.module, ...components.map(moduleOf)]))
  ].filter((other) => other !== url && other.startsWith(folder) && !other.includes("/node_modules/"))
  const modules = yield* Effect.forEach(
    [url, ...near].flatMap((one) => [one, ...beside(one)]),
    load
  )
  const found = collect(modules)
  const own: Inventory = {
    stages: found.stages,
    kinds: new Map([...base.kinds, ...found.kinds]),
    components: Component.registered().filter(({ module }) => module === url || near.includes(module)),
    contracts: new Map([...base.contracts, ...contractsIn(modules).map((contract) => [contract.of, contract] as const)])
  }
  const layer = module["layer"]
  return { inventory: own, layer }
})

const moduleOf = ({ definition }: Component.Any) => definition.module

/** `x.laws.ts` for `x.ts`, where there is one. */
const beside = (url: string): ReadonlyArray<string> => {
  const laws = url.replace(/\.([^./]+)$/, ".laws.$1")
  return existsSync(fileURLToPath(laws)) ? [laws] : []
}

const load = (url: string): Effect.Effect<Readonly<Record<string, unknown>>, ModuleUnusable> =>
  Effect.tryPromise({
    try: () => import(url) as Promise<Readonly<Record<string, unknown>>>,
    catch: (cause) =>
      new ModuleUnusable({
        file: fileURLToPath(url),
        problem: cause instanceof Error ? cause.message.split("\n")[0]! : String(cause),
        cause
      })
  })

const collect = (modules: ReadonlyArray<Readonly<Record<string, unknown>>>) => {
  const exported = modules.flatMap((module) => Object.values(module))
  const stages = new Map(exported.filter(isConstructor).map((constructor) => [constructor.stage.name, constructor]))
  return {
    stages: [...stages.values()].toSorted((a, b) => (a.stage.name < b.stage.name ? -1 : 1)),
    kinds: new Map(exported.filter(isKind).map((kind) => [kind.kind, kind] as const))
  }
}

const contractsIn = (modules: ReadonlyArray<Readonly<Record<string, unknown>>>): ReadonlyArray<Contract.Contract> =>
  modules.flatMap((module) => Object.values(module).flat().filter(Contract.isContract))

const isConstructor = (u: unknown): u is Constructor =>
  typeof u === "function" && "stage" in u && typeof u.stage === "object" && u.stage !== null && "run" in u.stage

const isKind = (u: unknown): u is Component.Kind<string, any> =>
  typeof u === "object" && u !== null && "define" in u && "laws" in u && "kind" in u
