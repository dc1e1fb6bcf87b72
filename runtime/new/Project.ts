/** A user's own project, as `prefline new` writes it. */
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { Effect, Schema } from "effect"
import manifest from "#package.json" with { type: "json" }

/** No project is made: its name cannot be a package's, its folder is taken, or what it depends on is not there. */
export class ProjectRefused extends Schema.TaggedError<ProjectRefused>()("ProjectRefused", {
  name: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `no project ${JSON.stringify(this.name)} is made: ${this.problem}`
  }
}

/** The folder of a project could not be written. */
export class ProjectUnwritable extends Schema.TaggedError<ProjectUnwritable>()("ProjectUnwritable", {
  folder: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `${this.folder} cannot be written: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

export interface Project {
  readonly folder: string
  /** Its files, in alphabetical order. */
  readonly files: ReadonlyArray<string>
  /** What its package.json asks npm for. */
  readonly prefline: string
}

/** Name in the project -> name of the template. npm leaves a `.gitignore` out of packages. */
const TEMPLATES = {
  ".gitignore": "gitignore",
  "README.md": "README.md",
  "experiment.ts": "experiment.ts",
  "reward.ts": "reward.ts",
  "stage.ts": "stage.ts",
  "tsconfig.json": "tsconfig.json"
} as const

/**
 * Writes a project into a new folder `name` of `parent`: all of it, or nothing. `prefline` is what npm is to install: a
 * version, a URL, or the path of a package or folder, as seen from `parent`.
 */
export const make = Effect.fn("Project.make")(function* (
  name: string,
  { parent, prefline }: { readonly parent: string; readonly prefline: string | undefined }
) {
  const problem = problemOf(name)
  if (problem !== undefined) return yield* new ProjectRefused({ name, problem })
  const folder = Path.join(parent, name)
  const unwritable = (cause: unknown) => new ProjectUnwritable({ folder, cause })
  if (yield* Effect.tryPromise({ try: () => isTaken(folder), catch: unwritable }))
    return yield* new ProjectRefused({ name, problem: `${folder} is there already, and is not empty` })
  const spec = yield* specOf(name, prefline, parent)
  const texts = yield* Effect.tryPromise({ try: () => textsOf(name, spec), catch: unwritable })
  yield* Effect.tryPromise({ try: () => write(folder, texts), catch: unwritable })
  const project: Project = { folder, files: Object.keys(texts).sort(), prefline: spec }
  return project
})

/** What npm takes as the name of a package, less what would hide one that the project depends on. */
const problemOf = (name: string): string | undefined => {
  if (!/^[a-z0-9][a-z0-9._-]*$/.test(name))
    return 'a name has lower-case letters, digits, ".", "_" and "-", and begins with a letter or a digit'
  if (name.length > 214) return "a name has at most 214 characters"
  if (name === "node_modules" || name in dependencies("")) return "that is the name of something it needs"
  return undefined
}

const dependencies = (prefline: string) => ({ effect: manifest.dependencies.effect, prefline })

const isTaken = async (folder: string): Promise<boolean> => {
  const found = await Fs.stat(folder).catch(absent)
  return found !== undefined && (!found.isDirectory() || (await Fs.readdir(folder)).length > 0)
}

const absent = (cause: NodeJS.ErrnoException): undefined => {
  if (cause.code !== "ENOENT") throw cause
}

/** A path is made relative to the project, so that the two can move together. */
const specOf = Effect.fnUntraced(function* (name: string, prefline: string | undefined, parent: string) {
  if (prefline === undefined) return manifest.version
  const isPath = /^(\.{0,2}\/|~\/|[A-Za-z]:\\|file:)|\.tgz$/.test(prefline) && !/^https?:/.test(prefline)
  if (!isPath) return prefline
  const path = Path.resolve(parent, prefline.replace(/^file:/, ""))
  const found = yield* Effect.promise(() => Fs.stat(path).catch(() => undefined))
  if (found === undefined) return yield* new ProjectRefused({ name, problem: `--prefline: there is no ${path}` })
  return `file:${Path.relative(Path.join(parent, name), path).split(Path.sep).join("/")}`
})

const textsOf = async (name: string, prefline: string): Promise<Readonly<Record<string, string>>> => {
  const read = async (template: string) =>
    (await Fs.readFile(new URL(`template/${template}`, import.meta.url), "utf8")).replaceAll("{{name}}", name)
  const files = Object.entries(TEMPLATES).map(async ([file, template]) => [file, await read(template)] as const)
  return {
    "package.json": `${JSON.stringify(packageOf(name, prefline), null, 2)}\n`,
    ...Object.fromEntries(await Promise.all(files))
  }
}

const packageOf = (name: string, prefline: string) => ({
  name,
  version: "0.0.0",
  private: true,
  type: "module",
  scripts: { start: "prefline run experiment.ts", check: "prefline check experiment.ts", types: "tsc" },
  // npm runs install scripts of these packages only; the others' are not needed.
  allowScripts: manifest.allowScripts,
  dependencies: dependencies(prefline),
  devDependencies: {
    "@types/node": manifest.devDependencies["@types/node"],
    typescript: manifest.devDependencies.typescript
  }
})

/** Beside its place and then into it: an interrupted command leaves no half of a project under its name. */
const write = async (folder: string, texts: Readonly<Record<string, string>>): Promise<void> => {
  const building = await Fs.mkdtemp(Path.join(Path.dirname(folder), ".prefline-new-"))
  try {
    for (const [file, text] of Object.entries(texts)) await Fs.writeFile(Path.join(building, file), text)
    await Fs.chmod(building, 0o755)
    await Fs.rename(building, folder)
  } catch (cause) {
    await Fs.rm(building, { recursive: true, force: true })
    throw cause
  }
}
