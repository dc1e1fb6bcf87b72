/** All that has laws: stages, components, and kinds by each of their components. */
import { readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Arbitrary, Effect } from "effect"
import * as Component from "../../../dsl/Component.ts"
import * as Contract from "../../../dsl/Contract.ts"
import type * as Law from "../../../dsl/Law.ts"
import type * as Stage from "../../../dsl/Stage.ts"
import * as Generate from "../../../runtime/check/generate.ts"
import * as Given from "../../../runtime/check/given.ts"
import { run } from "../../../runtime/check/subjects.ts"

export interface Subject {
  /** `stage <name>`, `component <kind>/<name>` or `kind <kind>`; the latter once for each component of the kind. */
  readonly of: string
  /** The component that stands for its kind. */
  readonly by?: string
  /** The addresses of the modules that have to be loaded: what the laws are of, and what states them. */
  readonly entries: ReadonlyArray<string>
  readonly laws: ReadonlyArray<string>
}

export interface Listed {
  readonly subjects: ReadonlyArray<Subject>
  /** Modules that cannot be loaded: what they say of laws is not known. */
  readonly refused: ReadonlyArray<{ readonly url: string; readonly reason: string }>
}

type Module = Readonly<Record<string, unknown>>

const root = new URL("../../../stages/", import.meta.url)
const files = readdirSync(fileURLToPath(root), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
  .sort()
  .map((file) => new URL(file, root).href)

const isStage = (u: unknown): u is { readonly stage: Stage.Any } =>
  typeof u === "function" && "stage" in u && typeof u.stage === "object" && u.stage !== null && "run" in u.stage

const isKind = (u: unknown): u is Component.Kind<string, any> =>
  typeof u === "object" && u !== null && "define" in u && "laws" in u && "kind" in u

const loaded: Array<{ readonly url: string; readonly module: Module }> = []
const refused: Array<Listed["refused"][number]> = []
for (const url of files) {
  await import(url).then(
    (module: Module) => loaded.push({ url, module }),
    (cause: unknown) => refused.push({ url, reason: String(cause) })
  )
}
const components = Component.registered()
const kinds = new Map(
  loaded
    .flatMap(({ module }) => Object.values(module))
    .filter(isKind)
    .map((kind) => [kind.kind, kind])
)

const contractsIn = (module: Module, of: string) =>
  Object.values(module).filter((value): value is Contract.Contract => Contract.isContract(value) && value.of === of)

/** A law with what it is checked on; the second of a name is called `<name> (2)`. */
export interface Stated {
  readonly name: string
  readonly law: Law.Law
  readonly subject: Law.Subject | undefined
}

const stageIn = (modules: ReadonlyArray<Module>, name: string) =>
  modules
    .flatMap((module) => Object.values(module))
    .filter(isStage)
    .find(({ stage }) => stage.name === name)?.stage

/** The laws of what these modules define. Fails where it does not stand in them, or refuses its parameters. */
export const lawsOf = async (
  { by, of }: Pick<Subject, "of" | "by">,
  modules: ReadonlyArray<Module>
): Promise<ReadonlyArray<Stated>> => {
  const own = modules.flatMap((module) => contractsIn(module, of))
  const stated = (laws: ReadonlyArray<Law.Law>, subject?: Law.Subject) =>
    laws.map((law, i): Stated => {
      const before = laws.slice(0, i).filter(({ name }) => name === law.name).length
      return { name: before === 0 ? law.name : `${law.name} (${before + 1})`, law, subject }
    })
  if (of.startsWith("stage ")) {
    const name = of.slice("stage ".length)
    const stage = stageIn(modules, name)
    if (stage === undefined) throw new Error(`there is no stage ${name}`)
    const subject: Law.Subject = {
      // Not every stage has generators, nor needs them.
      get given() {
        return Given.of(stage, byId(own))
      },
      run: (call) => run(stage, call)
    }
    return stated([...stage.laws, ...own.flatMap(({ laws }) => laws)], subject)
  }
  const definition = definitionOf(by ?? of)
  if (by === undefined) return stated([...definition.laws, ...own.flatMap(({ laws }) => laws)])
  const sampled = Arbitrary.sampleEffect(Generate.component(definition, byId([])), { count: 1, seed: 0 })
  const [component] = await Effect.runPromise(sampled)
  return stated(kinds.get(definition.kind)!.laws(component as never))
}

const contracts = loaded.flatMap(({ module }) => Object.values(module)).filter(Contract.isContract)
const byId = (further: ReadonlyArray<Contract.Contract>): ReadonlyMap<string, Contract.Contract> =>
  new Map([...contracts, ...further].map((contract) => [contract.of, contract]))

const definitionOf = (of: string): Component.AnyDefinition => {
  const found = Component.registered().find((definition) => Contract.idOf(definition) === of)
  if (found === undefined) throw new Error(`there is no ${of}`)
  return found
}

/** Every subject with a law, in a fixed order. */
export const subjects = async (): Promise<Listed> => {
  const entriesOf = (of: string, own: string) => {
    const stating = loaded.filter(({ module }) => contractsIn(module, of).length > 0).map(({ url }) => url)
    return [...new Set([own, ...stating])]
  }
  const found: Array<Omit<Subject, "laws">> = []
  const seen = new Set<string>()
  const inFile = loaded.filter(({ url }) => !url.endsWith("/index.ts"))
  for (const { module, url } of inFile) {
    for (const { stage } of Object.values(module).filter(isStage)) {
      const of = `stage ${stage.name}`
      if (!seen.has(of)) found.push({ of, entries: entriesOf(of, url) })
      seen.add(of)
    }
  }
  for (const definition of components) {
    const of = Contract.idOf(definition)
    found.push({ of, entries: entriesOf(of, definition.module) })
  }
  for (const definition of components)
    found.push({ of: `kind ${definition.kind}`, by: Contract.idOf(definition), entries: [definition.module] })
  const byUrl = new Map(loaded.map(({ module, url }) => [url, module]))
  const named = await Promise.all(
    found.map(async (subject) => {
      const laws = await lawsOf(
        subject,
        subject.entries.map((url) => byUrl.get(url)!)
      )
      return { ...subject, laws: laws.map(({ name }) => name) }
    })
  )
  return { subjects: named.filter(({ laws }) => laws.length > 0), refused }
}
