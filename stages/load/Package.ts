/** Data files inside an installed npm package, found as Node finds the package itself. */
import { readdir, readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { Effect, Schema } from "effect"

/** A package that holds data is not installed, or not as this project knows it. */
export class PackageMissing extends Schema.TaggedError<PackageMissing>()("PackageMissing", {
  package: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `the npm package ${this.package} ${this.problem}; install it with \`npm install ${this.package}\``
  }
}

export interface Package {
  readonly name: string
  readonly version: string
  readonly folder: string
}

const Manifest = Schema.fromJsonString(Schema.Struct({ version: Schema.NonEmptyString }))
const require = createRequire(import.meta.url)

/** Where a package lies and which version of it. */
export const find = Effect.fnUntraced(function* (name: string): Effect.fn.Return<Package, PackageMissing> {
  const manifest = yield* Effect.try({
    try: () => require.resolve(`${name}/package.json`),
    catch: () => new PackageMissing({ package: name, problem: "is not installed" })
  })
  const { version } = yield* attempt(name, "package.json", () => readFile(manifest, "utf8")).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(Manifest)),
    Effect.mapError(
      (cause) => new PackageMissing({ package: name, problem: `has a bad package.json: ${cause.message}` })
    )
  )
  return { name, version, folder: dirname(manifest) }
})

/** For `Stage.make`'s `source`: `name@version`, since what a package holds is fixed by its version. */
export const fingerprint = (name: string): Effect.Effect<string, PackageMissing> =>
  Effect.map(find(name), ({ version }) => `${name}@${version}`)

/** The UTF-8 text of one file. */
export const text = (from: Package, path: string): Effect.Effect<string, PackageMissing> =>
  attempt(from.name, path, () => readFile(join(from.folder, path), "utf8"))

/** The names in a package's folder in code unit order. */
export const names = (from: Package): Effect.Effect<ReadonlyArray<string>, PackageMissing> =>
  Effect.map(
    attempt(from.name, ".", () => readdir(from.folder)),
    (names) => names.sort()
  )

const attempt = <A>(name: string, path: string, read: () => Promise<A>): Effect.Effect<A, PackageMissing> =>
  Effect.tryPromise({
    try: read,
    catch: (cause) => new PackageMissing({ package: name, problem: `lacks ${path}: ${(cause as Error).message}` })
  })
