/**
 * The hash of the code that a stage or a component runs: its module with every project module that this reaches, and
 * the versions of the packages they use. Comments, white space and types do not count; where the project lies does not
 * either. What cannot be followed: an `import()` of a computed path, and files read at run time (declare those as the
 * stage's `source`).
 */
import { existsSync, readFileSync, realpathSync } from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { Context, Effect, Layer, Schema, Semaphore } from "effect"
import * as Esbuild from "esbuild"
import * as Json from "../../dsl/Json.ts"
import { type Digest, sha256 } from "./ArtifactRef.ts"
import * as Packages from "./internal/packages.ts"

export interface Code {
  readonly digest: Digest
  /** Path in the project -> hash of the module. The path is for people; it does not enter the digest. */
  readonly modules: Readonly<Record<string, Digest>>
  /** Name -> installed version, of the packages imported and of all that they depend on. */
  readonly packages: Readonly<Record<string, string>>
}

/** The code behind a module cannot be determined. */
export class CodeUnreadable extends Schema.TaggedError<CodeUnreadable>()("CodeUnreadable", {
  module: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `cannot hash the code of ${this.module}: ${this.problem}`
  }
}

export class CodeHash extends Context.Service<
  CodeHash,
  {
    /** The code of a module, given as `import.meta.url`. Read once; later edits count from the next process on. */
    readonly of: (moduleUrl: string) => Effect.Effect<Code, CodeUnreadable>
    /** Reads many modules in one go, so that asking for each of them costs nothing. */
    readonly prefetch: (moduleUrls: Iterable<string>) => Effect.Effect<void, CodeUnreadable>
  }
>()("prefline/runtime/CodeHash") {
  static readonly layer: Layer.Layer<CodeHash> = Layer.effect(
    CodeHash,
    Effect.gen(function* () {
      yield* esbuildService
      const known = new Map<string, Code>()
      const modules = new Map<string, Module>()
      const packages = Packages.make()
      const one = yield* Semaphore.make(1)

      const prefetch = (urls: Iterable<string>) =>
        one.withPermit(
          Effect.gen(function* () {
            const unknown = [...new Set(urls)].filter((url) => !known.has(url))
            if (unknown.length === 0) return
            const paths = yield* Effect.forEach(unknown, pathOf)
            const graph = yield* importGraph(paths)
            yield* Effect.forEach(
              [...graph].filter(([path]) => !modules.has(path)),
              ([path, imports]) =>
                Effect.map(readModule(path, imports, packages), (module) => modules.set(path, module)),
              { concurrency: "unbounded", discard: true }
            )
            for (const [i, url] of unknown.entries()) known.set(url, codeOf(paths[i]!, modules))
          })
        )

      return CodeHash.of({
        prefetch,
        of: (url) =>
          Effect.suspend(() => {
            const code = known.get(url)
            return code !== undefined ? Effect.succeed(code) : Effect.map(prefetch([url]), () => known.get(url)!)
          })
      })
    })
  )
}

/** A module of the project: its own hash, the modules it imports in the order of its text, and the packages it needs. */
interface Module {
  readonly hash: Digest
  readonly imports: ReadonlyArray<string>
  readonly packages: ReadonlyArray<Packages.Closure>
}

/** Module -> what it imports, in the order of its text: a file of the project, or a package. */
type ImportGraph = ReadonlyMap<string, ReadonlyArray<Import>>
type Import = { readonly file: string } | { readonly package: string }

/** As Node runs the sources: only what is marked as a type is a type, and no project's settings change that. */
const SETTINGS = { compilerOptions: { verbatimModuleSyntax: true, target: "esnext" } } as const

const importGraph = (paths: ReadonlyArray<string>): Effect.Effect<ImportGraph, CodeUnreadable> =>
  Effect.tryPromise({
    try: () =>
      Esbuild.build({
        // One module that imports them all: many entry points would each be bundled with all that they share.
        stdin: { contents: paths.map((path) => `import ${JSON.stringify(path)}\n`).join(""), resolveDir: ROOT },
        absWorkingDir: ROOT,
        bundle: true,
        write: false,
        metafile: true,
        packages: "external",
        platform: "node",
        format: "esm",
        target: "esnext",
        ignoreAnnotations: true, // a package.json that says "no side effects" must not hide a module
        tsconfigRaw: SETTINGS,
        plugins: [fileUrls],
        logLevel: "silent"
      }),
    catch: (cause) => failure(paths.length === 1 ? paths[0]! : `${paths.length} modules`, cause)
  }).pipe(
    Effect.map(
      ({ metafile }) =>
        new Map(
          Object.entries(metafile.inputs)
            .filter(([path]) => path !== "<stdin>")
            .map(([path, { imports }]) => [
              absolute(path),
              imports.flatMap((imported): ReadonlyArray<Import> => {
                if (imported.external !== true) return [{ file: absolute(imported.path) }]
                const name = Packages.nameOf(imported.path)
                return name === undefined ? [] : [{ package: name }]
              })
            ])
        )
    )
  )

/** `import "file:///…"`, which esbuild would take for a package. */
const fileUrls: Esbuild.Plugin = {
  name: "file-urls",
  setup: (build) => build.onResolve({ filter: /^file:/ }, ({ path }) => ({ path: fileURLToPath(path) }))
}

/** Paths in esbuild's answer are relative to where it works. From the root of the file system they have no `..`. */
const ROOT = Path.parse(process.cwd()).root
const absolute = (path: string) => Path.resolve(ROOT, path)

const readModule = (path: string, imports: ReadonlyArray<Import>, packages: Packages.Packages) =>
  Effect.tryPromise({
    try: async (): Promise<Module> => {
      const names = new Set(imports.flatMap((imported) => ("package" in imported ? [imported.package] : [])))
      const own = Packages.selfAt(path)
      if (own !== undefined && names.has(own))
        throw new Error(`it imports its own package by the name ${own}, which is not followed; give the file's path`)
      return {
        hash: sha256(await withoutComments(path, readFileSync(path, "utf8"))),
        imports: imports.flatMap((imported) => ("file" in imported ? [imported.file] : [])),
        packages: [...names].map((name) => packages.closure(name, path))
      }
    },
    catch: (cause) => failure(path, cause)
  })

const withoutComments = async (path: string, text: string): Promise<string> => {
  const loader = LOADERS[Path.extname(path)]
  if (loader === undefined) return text
  if (loader === "json") return JSON.stringify(JSON.parse(text))
  const { code } = await Esbuild.transform(text, {
    loader,
    minifyWhitespace: true,
    legalComments: "none",
    target: "esnext",
    tsconfigRaw: SETTINGS,
    logLevel: "silent"
  })
  return code
}

const LOADERS: Readonly<Record<string, Esbuild.Loader>> = {
  ".ts": "ts",
  ".mts": "ts",
  ".cts": "ts",
  ".tsx": "tsx",
  ".js": "js",
  ".mjs": "js",
  ".cjs": "js",
  ".jsx": "jsx",
  ".json": "json"
}

const codeOf = (entry: string, modules: ReadonlyMap<string, Module>): Code => {
  const order = depthFirst(entry, modules)
  const project = Packages.folderAbove(entry, "package.json") ?? Path.dirname(entry)
  const reached = [...order.keys()].map((path) => [path, modules.get(path)!] as const)
  const packages = versionsIn(new Set(reached.flatMap(([, module]) => module.packages)))
  // Which module stands behind each import is said by its place in the order: names on disk do not enter.
  const shape = reached.map(([, { hash, imports }]) => [hash, imports.map((path) => order.get(path)!)])
  return {
    digest: sha256(Json.canonicalUnsafe({ version: 1, modules: shape, packages })),
    modules: Object.fromEntries(
      reached.map(([path, { hash }]) => [Path.relative(project, path).split(Path.sep).join("/"), hash])
    ),
    packages
  }
}

/** Module -> its place in the order in which a walk along the imports first meets it. */
const depthFirst = (entry: string, modules: ReadonlyMap<string, Module>): ReadonlyMap<string, number> => {
  const order = new Map<string, number>()
  const stack = [entry]
  while (stack.length > 0) {
    const path = stack.pop()!
    if (order.has(path)) continue
    order.set(path, order.size)
    stack.push(...modules.get(path)!.imports.toReversed())
  }
  return order
}

const versionsIn = (closures: Iterable<Packages.Closure>): Readonly<Record<string, string>> => {
  const all = new Map<string, Set<string>>()
  for (const closure of closures) {
    for (const [name, versions] of closure) {
      const known = all.get(name) ?? new Set()
      for (const version of versions) known.add(version)
      all.set(name, known)
    }
  }
  const names = [...all.keys()].sort()
  return Object.fromEntries(names.map((name) => [name, [...all.get(name)!].sort().join(", ")]))
}

const pathOf = (url: string): Effect.Effect<string, CodeUnreadable> =>
  Effect.suspend(() => {
    const problem = (problem: string) => Effect.fail(new CodeUnreadable({ module: url, problem }))
    if (!URL.canParse(url) || new URL(url).protocol !== "file:") {
      return problem("it is no file: URL; a stage passes `module: import.meta.url`")
    }
    const path = fileURLToPath(url)
    return existsSync(path) ? Effect.succeed(realpathSync(path)) : problem("there is no such file")
  })

const failure = (module: string, cause: unknown) => {
  const first = (cause as Partial<Esbuild.BuildFailure> | undefined)?.errors?.[0]
  if (first === undefined)
    return new CodeUnreadable({ module, problem: cause instanceof Error ? cause.message : String(cause) })
  const { location, text } = first
  const where = location === null ? "" : `${absolute(location.file)}, line ${location.line}: `
  return new CodeUnreadable({ module, problem: `${where}${text}` })
}

let users = 0

/** esbuild works in a process of its own, one for all; it ends with the last scope that uses it. */
const esbuildService = Effect.acquireRelease(
  Effect.sync(() => {
    users++
  }),
  () => Effect.promise(async () => (--users === 0 ? Esbuild.stop() : undefined))
)
