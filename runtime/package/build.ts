/**
 * `npm pack` runs this first: it compiles the sources into `dist/`, which the package's `exports` point into.
 *
 * Node strips no types below `node_modules`, so what is installed has to be JavaScript: `tsc` writes it module by module,
 * with declarations beside it. What `tsc` leaves as it is, names of modules that are no import (`new URL("./main.ts", …)`)
 * and the imports of declarations, is renamed here, and what is loaded by path is copied. Arguments go to `tsc`.
 */
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Modules from "./modules.ts"

const ROOT = Path.resolve(Path.dirname(fileURLToPath(import.meta.url)), "../..")
const FOLDERS = ["dsl", "stages", "pipelines", "runtime"]

/** Not for users: what builds prefline itself. */
const isLeftOut = (path: string) => /^runtime\/(device\/wasm\/(assembly\/|build\.ts)|bundle\/|package\/)/.test(path)
/** Copied as it is: what `new` writes. */
const isTemplate = (path: string) => path.startsWith("runtime/new/template/")

const main = () => {
  const target = Path.join(ROOT, "dist")
  // Built beside and then put in place, so that a failed build leaves no half of one.
  const building = Fs.mkdtempSync(Path.join(ROOT, ".prefline-dist-"))
  try {
    compile(building)
    Fs.rmSync(Path.join(building, "package.json")) // which `tsc` takes for a module; Node is to find the package's own
    for (const path of FOLDERS.flatMap(filesIn)) if (isCopied(path)) copy(path, building)
    const exists = (path: string) => Fs.existsSync(path)
    for (const path of compiledIn(building)) {
      const text = Fs.readFileSync(path, "utf8")
      const renamed = path.endsWith(".d.ts") ? Modules.inDeclarations(text) : Modules.inCode(path, text, exists)
      if (renamed !== text) Fs.writeFileSync(path, renamed)
    }
    const broken = compiledIn(building).flatMap((path) =>
      Modules.missing(path, Fs.readFileSync(path, "utf8"), exists).map(
        (specifier) => `${Path.relative(building, path)} names ${specifier}, which is not there`
      )
    )
    if (broken.length > 0) throw new Error(broken.join("\n"))
    Fs.chmodSync(Path.join(building, "runtime/cli/start.mjs"), 0o755)
    Fs.chmodSync(building, 0o755)
    Fs.rmSync(target, { recursive: true, force: true })
    Fs.renameSync(building, target)
  } finally {
    Fs.rmSync(building, { recursive: true, force: true })
  }
}

const compile = (folder: string): void => {
  const tsc = Path.join(ROOT, "node_modules/typescript/bin/tsc")
  const settings = Path.join(ROOT, "tsconfig.build.json")
  const compiled = spawnSync(process.execPath, [tsc, "-p", settings, "--outDir", folder, ...process.argv.slice(2)], {
    cwd: ROOT,
    encoding: "utf8"
  })
  if (compiled.status !== 0) throw new Error(`the sources do not compile:\n${compiled.stdout}${compiled.stderr}`)
}

const isCopied = (path: string): boolean => isTemplate(path) || (!path.endsWith(".ts") && !isLeftOut(path))

const filesIn = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(Path.join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => Path.relative(ROOT, Path.join(entry.parentPath, entry.name)).split(Path.sep).join("/"))

const compiledIn = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(m?js|d\.ts)$/.test(path) && !isTemplate(path.split(Path.sep).join("/")))
    .map((path) => Path.join(folder, path))

const copy = (path: string, folder: string): void => {
  Fs.mkdirSync(Path.join(folder, Path.dirname(path)), { recursive: true })
  Fs.copyFileSync(Path.join(ROOT, path), Path.join(folder, path))
}

try {
  main()
} catch (cause) {
  console.error(cause instanceof Error ? cause.message : cause)
  process.exitCode = 1
}
