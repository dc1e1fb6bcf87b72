/**
 * Keys: two computations have the same key exactly if they are the same stage, code, parameters, input contents, random
 * stream and numerics. The parts of a key are kept beside it, so that people can be told what changed.
 */
import * as Json from "../../dsl/Json.ts"
import { type Digest, sha256 } from "./ArtifactRef.ts"
import type { Code } from "./CodeHash.ts"

export interface Ingredients {
  readonly stage: string
  readonly code: Code
  /** The code of the components among the parameters; their order does not matter. */
  readonly components: ReadonlyArray<{ readonly id: string; readonly code: Code }>
  readonly params: Json.JsonObject
  /** Input name -> digest of its content. */
  readonly inputs: Readonly<Record<string, string>>
  readonly seed: { readonly seed: number; readonly stream: string } | null
  readonly numerics: Json.Json | null
  /** The fingerprint of what the stage reads from outside. */
  readonly source: Json.Json | null
}

export interface Keyed {
  readonly key: Digest
  /** What `explain` needs: as the key, with the code spelled out by module and package. Made when it is asked for. */
  readonly parts: Json.JsonObject
}

/** Enters every key: raised when the text below changes its meaning. */
const VERSION = 1

export const make = (of: Ingredients): Keyed => {
  const { inputs, numerics, params, source, stage } = of
  const seed = of.seed === null ? null : { seed: of.seed.seed, stream: of.seed.stream }
  const components = of.components.map(({ code, id }) => [id, code.digest]).sort(byText)
  const shared = { version: VERSION, stage, params, inputs, seed, numerics, source }
  const key = sha256(Json.canonicalUnsafe({ ...shared, code: of.code.digest, components }))
  return {
    key,
    get parts() {
      return { ...shared, code: detail([of.code, ...of.components.map(({ code }) => code)]) }
    }
  }
}

const byText = (a: ReadonlyArray<string>, b: ReadonlyArray<string>) => {
  const [left, right] = [a.join("\n"), b.join("\n")]
  return left < right ? -1 : left > right ? 1 : 0
}

/** The union of the modules (their hashes shortened: these are for people) and packages of several pieces of code. */
const detail = (codes: ReadonlyArray<Code>) => {
  const modules: Record<string, string> = {}
  const packages: Record<string, string> = {}
  for (const code of new Set(codes)) {
    for (const [path, hash] of Object.entries(code.modules)) join(modules, path, hash.slice(0, 12))
    for (const [name, version] of Object.entries(code.packages)) join(packages, name, version)
  }
  return { digests: [...new Set(codes.map(({ digest }) => digest.slice(0, 12)))].sort(), modules, packages }
}

/** Two projects may have different modules at one path: both count. */
const join = (into: Record<string, string>, name: string, value: string) => {
  const known = Object.hasOwn(into, name) ? into[name]!.split(", ") : []
  if (!known.includes(value)) into[name] = [...known, value].sort().join(", ")
}

/**
 * One part in which two keys differ; `left` is what it was, `right` what it is, absent where there is none. `at` names the
 * part: a path into the parameters, the numerics or the source, a module by its path in the project, a package, an input.
 */
export interface Change {
  /** `new`: there is nothing to compare with. `order`: the same modules, reached otherwise. `version`: of keys themselves. */
  readonly kind:
    | "new"
    | "version"
    | "stage"
    | "params"
    | "module"
    | "package"
    | "order"
    | "input"
    | "draws"
    | "seed"
    | "numerics"
    | "source"
  readonly at: string
  readonly left?: Json.Json
  readonly right?: Json.Json
}

/** What changed from the parts of one key to those of another; nothing where they are the same. */
export const changes = (before: Json.Json | undefined, after: Json.Json): ReadonlyArray<Change> => {
  if (before === undefined) return [{ kind: "new", at: "" }]
  const [left, right] = [member(before, "version"), member(after, "version")]
  if (left !== right) return [change("version", { at: "version", left, right })]
  const leaves = (name: "stage" | "params" | "numerics" | "source") =>
    Json.differences(member(before, name), member(after, name), Object.is, name).map((leaf) => change(name, leaf))
  return [
    ...leaves("stage"),
    ...leaves("params"),
    ...codeChanges(member(before, "code"), member(after, "code")),
    ...members(member(before, "inputs"), member(after, "inputs")).map((input) => change("input", input)),
    ...seedChanges(member(before, "seed"), member(after, "seed")),
    ...leaves("numerics"),
    ...leaves("source")
  ]
}

const change = (kind: Change["kind"], { at, left, right }: Json.Difference): Change => ({
  kind,
  at,
  ...(left === undefined ? {} : { left }),
  ...(right === undefined ? {} : { right })
})

const codeChanges = (before: Json.Json | undefined, after: Json.Json | undefined): ReadonlyArray<Change> => {
  const of = (kind: "module" | "package", name: string) =>
    members(member(before, name), member(after, name)).map((difference) => change(kind, difference))
  const code = [...of("module", "modules"), ...of("package", "packages")]
  if (code.length > 0) return code
  const same = Json.differences(member(before, "digests"), member(after, "digests")).length === 0
  return same ? [] : [{ kind: "order", at: "code" }]
}

const seedChanges = (before: Json.Json | undefined, after: Json.Json | undefined): ReadonlyArray<Change> => {
  if (before === null || after === null) {
    return before === after ? [] : [change("draws", { at: "seed", left: before !== null, right: after !== null })]
  }
  return Json.differences(before, after).map((difference) => change("seed", difference))
}

/** Differences between the members of two objects, `at` being the member's bare name. */
const members = (before: Json.Json | undefined, after: Json.Json | undefined): ReadonlyArray<Json.Difference> => {
  const [left, right] = [asObject(before), asObject(after)]
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((at) => {
    const [a, b] = [member(left, at), member(right, at)]
    return Json.differences(a, b).length === 0 ? [] : [{ at, left: a, right: b }]
  })
}

/** A change as one line for people. */
export const describeChange = ({ at, kind, left, right }: Change): string => {
  switch (kind) {
    case "new":
      return "never computed before"
    case "version":
      return "keys are made in another way since"
    case "module":
      return `code: ${at} ${left === undefined ? "is now reached" : right === undefined ? "is no longer reached" : "changed"}`
    case "package":
      if (left === undefined) return `code: package ${at} ${right} is now used`
      return right === undefined
        ? `code: package ${at} ${left} is no longer used`
        : `code: package ${at} ${left} -> ${right}`
    case "order":
      return "code: modules are the same but reached in another order, or by other components"
    case "input":
      return `input ${at}: ${left === undefined ? "is new" : right === undefined ? "is gone" : "other content"}`
    case "draws":
      return `seed: ${right === true ? "draws now" : "draws no longer"}`
    default:
      return `${at}: ${text(left)} -> ${text(right)}`
  }
}

/** What changed from the parts of one key to those of another, a line each; nothing where they are the same. */
export const explain = (before: Json.Json | undefined, after: Json.Json): ReadonlyArray<string> =>
  changes(before, after).map(describeChange)

const text = (value: Json.Json | undefined) => {
  const whole = value === undefined ? "absent" : Json.canonicalUnsafe(value)
  return whole.length <= 80 ? whole : `${whole.slice(0, 79)}…`
}

const asObject = (json: Json.Json | undefined): Json.JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json) ? (json as Json.JsonObject) : {}

const member = (json: Json.Json | undefined, name: string): Json.Json | undefined => {
  const object = asObject(json)
  return Object.hasOwn(object, name) ? object[name] : undefined
}
