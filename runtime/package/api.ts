/**
 * `npm run api`: writes `docs/api.md`, every name that `prefline/dsl` and `prefline/stages` export with the first sentence
 * of its documentation, from the sources. Examples in the documentation are found here too.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

const ROOT = Path.resolve(Path.dirname(fileURLToPath(import.meta.url)), "../..")
export const ENTRIES = ["dsl/index.ts", "stages/index.ts"] as const

export interface Exported {
  readonly name: string
  readonly kind: "value" | "type" | "namespace"
  /** The file that declares it; for a namespace, the module. */
  readonly file: string
  /** The text of its documentation, without stars; empty where there is none. */
  readonly documentation: string
  /** What a namespace holds. */
  readonly members: ReadonlyArray<Exported>
}

/** What a module exports, in the order of its text; names that it passes on are followed to where they are declared. */
export const exportsOf = (file: string): ReadonlyArray<Exported> => {
  const text = Fs.readFileSync(Path.join(ROOT, file), "utf8")
  const at = (specifier: string) => Path.posix.join(Path.posix.dirname(file), specifier)
  return [...text.matchAll(EXPORT)].flatMap(({ groups = {}, index }): ReadonlyArray<Exported> => {
    const { all, declared, kind, names, passed, space } = groups
    if (space !== undefined) return [namespace(space, at(passed!))]
    if (all !== undefined) return exportsOf(at(passed!))
    if (names !== undefined) return namesIn(names).map(({ as, name }) => ({ ...memberOf(at(passed!), name), name: as }))
    const found: Exported = {
      name: declared!,
      kind: kind === "interface" || kind === "type" ? "type" : "value",
      file,
      documentation: before(text, index) || descriptionAfter(text, index),
      members: []
    }
    return [found]
  })
}

/** An export at the start of a line: a module under a name, all of a module, names of a module, a declaration. */
const EXPORT = new RegExp(
  [
    /^export (?:type )?\* as (?<space>\w+) from "(?<passed>\.[^"]+)"/,
    /^export (?<all>\*) from "(?<passed>\.[^"]+)"/,
    /^export (?:type )?\{(?<names>[^}]*)\} from "(?<passed>\.[^"]+)"/,
    /^export (?:abstract |async )?(?<kind>const|function|class|interface|type) (?<declared>\w+)/
  ]
    .map(({ source }) => source)
    .join("|"),
  "gm"
)

const namespace = (name: string, file: string): Exported => ({
  name,
  kind: "namespace",
  file,
  documentation: before(Fs.readFileSync(Path.join(ROOT, file), "utf8"), undefined),
  members: mergedByName(exportsOf(file))
})

const namesIn = (list: string) =>
  list
    .split(",")
    .map((entry) => entry.trim().replace(/^type /, ""))
    .filter((entry) => entry !== "")
    .map((entry) => {
      const [name, as = name] = entry.split(" as ")
      return { name: name!, as: as! }
    })

const memberOf = (file: string, name: string): Exported => {
  const found = mergedByName(exportsOf(file)).find((exported) => exported.name === name)
  if (found === undefined) throw new Error(`${file} exports no ${name}`)
  return found
}

/** A schema and its type share a name: one entry, documented by whichever is. */
const mergedByName = (all: ReadonlyArray<Exported>): ReadonlyArray<Exported> => {
  const merged = new Map<string, Exported>()
  for (const exported of all) {
    const known = merged.get(exported.name)
    if (known === undefined) merged.set(exported.name, exported)
    else if (known.documentation === "") merged.set(exported.name, { ...known, documentation: exported.documentation })
  }
  return [...merged.values()]
}

/** The documentation that ends where a declaration begins; without one, that of the module, at the top of its text. */
const before = (text: string, index: number | undefined): string => {
  const comment =
    index === undefined ? /^\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n/.exec(text) : COMMENT.exec(text.slice(0, index))
  const lines = (comment?.[1] ?? "").split("\n").map((line) => line.replace(/^\s*\* ?/, ""))
  return lines.join("\n").trim()
}
const COMMENT = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n$/

/** What a stage or component says of itself. */
const descriptionAfter = (text: string, index: number): string =>
  /^[^\n]*(?:Stage\.make|\.define)\([\s\S]*?description: "([^"]*)"/.exec(text.slice(index, index + 600))?.[1] ?? ""

/** Up to the first full stop that ends a sentence. */
export const firstSentence = (documentation: string): string => {
  const text = documentation
    .split(/\n\s*@|\*\*Details\*\*|\*\*Gotchas\*\*/)[0]!
    .replaceAll(/\s+/g, " ")
    .trim()
  return (/^.*?[^.…](?=[.:;] [A-Z`]|[.:]$)/.exec(text)?.[0] ?? text).replace(/\.$/, "")
}

/** The TypeScript of `@example` in a documentation. */
export const examplesIn = (documentation: string): ReadonlyArray<string> =>
  [...documentation.matchAll(/@example\s*```ts\n([\s\S]*?)```/g)].map(([, code]) => code!)

/** Every export, those inside namespaces too. */
export const everything = (): ReadonlyArray<Exported> =>
  ENTRIES.flatMap((entry) => mergedByName(exportsOf(entry))).flatMap((exported) => [exported, ...exported.members])

export const index = (): string => {
  const sections = ENTRIES.map((entry) => {
    const all = mergedByName(exportsOf(entry))
    const singles = all.filter(({ kind }) => kind !== "namespace")
    const spaces = all.filter(({ kind }) => kind === "namespace")
    return [
      `## \`prefline/${Path.posix.dirname(entry)}\`\n\n${table(singles)}`,
      ...spaces.map((space) => `### ${space.name}\n\n${paragraph(space)}${table(space.members)}`)
    ].join("\n\n")
  })
  return `# What prefline exports\n\nWritten by \`npm run api\` from the sources; do not edit it: a test holds it to them. Types are set in italics.\n\n${sections.join("\n\n")}\n`
}

const paragraph = ({ documentation }: Exported) => {
  const sentence = firstSentence(documentation)
  return sentence === "" ? "" : `${sentence}.\n\n`
}

const table = (all: ReadonlyArray<Exported>): string =>
  ["| name | is |", "|---|---|", ...all.map((exported) => `| ${nameOf(exported)} | ${cell(exported)} |`)].join("\n")

const nameOf = ({ kind, name }: Exported) => (kind === "type" ? `*${name}*` : `\`${name}\``)
const cell = ({ documentation }: Exported) => firstSentence(documentation).replaceAll("|", "\\|")

if (import.meta.main) Fs.writeFileSync(Path.join(ROOT, "docs/api.md"), index())
