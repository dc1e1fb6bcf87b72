/** Installed packages: their versions, and those of all that they depend on, found as Node finds them. */
import * as Fs from "node:fs"
import { isBuiltin } from "node:module"
import * as Path from "node:path"
import { Schema } from "effect"
import { sha256 } from "../ArtifactRef.ts"
import * as Layout from "./layout.ts"

/** Name -> versions, of a package and of everything that it depends on. */
export type Closure = ReadonlyMap<string, ReadonlySet<string>>

export interface Packages {
  /** The closure of a package as a file would import it; one object for one installed package. */
  readonly closure: (name: string, from: string) => Closure
}

const Dependencies = Schema.Record(Schema.String, Schema.String)
const Manifest = Schema.fromJsonString(
  Schema.Struct({
    name: Schema.optional(Schema.String),
    version: Schema.optional(Schema.String),
    exports: Schema.optional(Schema.Unknown),
    dependencies: Schema.optional(Dependencies),
    optionalDependencies: Schema.optional(Dependencies),
    peerDependencies: Schema.optional(Dependencies)
  })
)
const decodeManifest = Schema.decodeUnknownSync(Manifest)

/** The package that an import speaks of: `undefined` for what Node has built in. */
export const nameOf = (specifier: string): string | undefined => {
  if (isBuiltin(specifier)) return undefined
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")
}

/** The nearest folder, from that of `path` upwards, which has the file. */
export const folderAbove = (path: string, file: string): string | undefined => {
  for (let folder = Path.dirname(path); ; folder = Path.dirname(folder)) {
    if (Fs.existsSync(Path.join(folder, file))) return folder
    if (Path.dirname(folder) === folder) return undefined
  }
}

/** The name under which a file can import its own package, which Node looks at before any installed one. */
export const selfAt = (path: string): string | undefined => {
  const folder = folderAbove(path, "package.json")
  if (folder === undefined) return undefined
  const { exports, name } = decodeManifest(Fs.readFileSync(Path.join(folder, "package.json"), "utf8"))
  return exports === undefined || exports === null ? undefined : name
}

interface Installed {
  readonly name: string
  readonly version: string
  readonly dependencies: ReadonlyArray<string>
  /** Optional and peer dependencies: they count where they are installed. */
  readonly others: ReadonlyArray<string>
}

/** Every package is read once. */
export const make = (): Packages => {
  const located = new Map<string, string | undefined>()
  const read = new Map<string, Installed>()

  const locate = (name: string, folder: string): string | undefined => {
    const id = `${folder}\n${name}`
    if (!located.has(id)) {
      const holder = folderAbove(Path.join(folder, "_"), Path.join("node_modules", name, "package.json"))
      located.set(id, holder && Fs.realpathSync(Path.join(holder, "node_modules", name)))
    }
    return located.get(id)
  }
  const installed = (folder: string): Installed => {
    const known = read.get(folder)
    if (known !== undefined) return known
    const manifest = decodeManifest(Fs.readFileSync(Path.join(folder, "package.json"), "utf8"))
    const optional = Object.keys(manifest.optionalDependencies ?? {})
    const found = {
      name: manifest.name ?? Path.basename(folder),
      version: versionOf(folder, manifest.version),
      dependencies: Object.keys(manifest.dependencies ?? {}).filter((name) => !optional.includes(name)),
      others: [...optional, ...Object.keys(manifest.peerDependencies ?? {})]
    }
    read.set(folder, found)
    return found
  }

  const walk = (start: string): Closure => {
    const versions = new Map<string, Set<string>>()
    const add = (name: string, version: string) =>
      versions.set(name, (versions.get(name) ?? new Set<string>()).add(version))
    const visited = new Set<string>()
    const waiting = [start]
    while (waiting.length > 0) {
      const home = waiting.pop()!
      if (visited.has(home)) continue
      visited.add(home)
      const { dependencies, name, others, version } = installed(home)
      add(name, version)
      for (const [i, dependency] of [...dependencies, ...others].entries()) {
        const found = locate(dependency, home)
        if (found !== undefined) waiting.push(found)
        else if (i < dependencies.length) add(dependency, ABSENT)
      }
    }
    return versions
  }
  const closures = new Map<string, Closure>()
  return {
    closure: (name, from) => {
      const home = locate(name, Path.dirname(from))
      const id = home ?? `\n${name}`
      const closure = closures.get(id) ?? (home === undefined ? new Map([[name, new Set([ABSENT])]]) : walk(home))
      closures.set(id, closure)
      return closure
    }
  }
}

/** Stands for the version of what is imported, perhaps only on some machines, but is not there. */
const ABSENT = "not installed"

/**
 * A package that is linked to a working copy changes without its version doing so: there its content counts as well.
 */
const versionOf = (folder: string, version: string | undefined): string => {
  const stated = version ?? "without version"
  if (folder.split(Path.sep).includes("node_modules")) return stated
  const files = Fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => Path.relative(folder, Path.join(entry.parentPath, entry.name)))
    .filter((path) => !path.split(Path.sep).some((part) => part === "node_modules" || part === ".git"))
    .sort()
  const content = files.map((path) => [path, sha256(Layout.readIfThere(Path.join(folder, path)) ?? "")])
  return `${stated} (linked, ${sha256(JSON.stringify(content)).slice(0, 12)})`
}
