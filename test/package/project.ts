/** Packs prefline and makes a user's project with it, in a folder of its own. */
import { execFile, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import manifest from "#package.json" with { type: "json" }

export const ROOT = fileURLToPath(new URL("../../", import.meta.url))

/**
 * How the project gets its packages: `npm` installs the packed file as users do; `linked` unpacks it and links the
 * clone's other packages, which needs no network and no time.
 */
export type Install = "npm" | "linked"
export const INSTALL: Install = process.env["PREFLINE_INSTALL"] === "npm" ? "npm" : "linked"

const OFFLINE = "--prefer-offline --no-audit --no-fund --loglevel error"

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export const sh = (command: string, cwd: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  new Promise((resolve) => {
    const options = { cwd, maxBuffer: 2 ** 26, env: { ...surroundings(), ...env } }
    execFile("sh", ["-c", command], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr })
    })
  })

/** Those of a user's shell: not what npm and the test runner tell the processes that they start. */
const surroundings = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|VITEST|NODE_ENV|PREFLINE_|INIT_CWD)/.test(name))
  )

export interface Packed {
  /** The packed file. */
  readonly file: string
  readonly bytes: number
  readonly files: ReadonlyArray<{ readonly path: string; readonly size: number }>
  /** Where it is unpacked, with the clone's packages beside it. */
  readonly folder: string
}

/** Whether npm finds this version of `effect`, which every project needs, in its registry. */
export const isRegistryThere = (): boolean => {
  const asked = ["view", `effect@${manifest.dependencies.effect}`, "version", "--prefer-online", "--fetch-retries", "0"]
  const { status, stdout } = spawnSync("npm", asked, { encoding: "utf8", timeout: 60_000 })
  return status === 0 && stdout.trim() !== ""
}

/** `npm pack`, with all that it compiles. */
export const pack = (parent: string): Packed => {
  const packed = spawnSync("npm", ["pack", "--json", "--pack-destination", parent], { cwd: ROOT, encoding: "utf8" })
  if (packed.status !== 0) throw new Error(`npm pack failed:\n${packed.stderr}`)
  const [{ filename, files, size }] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf("[\n")))
  const file = Path.join(parent, filename)
  return { file, bytes: size, files, folder: unpack(file, Path.join(parent, "unpacked")) }
}

/** The package as npm would lay it out, every other package a link into the clone. */
const unpack = (file: string, parent: string): string => {
  const modules = Path.join(parent, "node_modules")
  const folder = Path.join(modules, "prefline")
  Fs.mkdirSync(folder, { recursive: true })
  const tar = spawnSync("tar", ["-xzf", file, "-C", folder, "--strip-components", "1"], { encoding: "utf8" })
  if (tar.status !== 0) throw new Error(`tar failed: ${tar.stderr}`)
  const installed = Path.join(ROOT, "node_modules")
  for (const name of Fs.readdirSync(installed)) {
    if (name.startsWith(".")) continue
    Fs.symlinkSync(Path.join(installed, name), Path.join(modules, name))
  }
  Fs.cpSync(Path.join(installed, ".bin"), Path.join(modules, ".bin"), { recursive: true, verbatimSymlinks: true })
  Fs.symlinkSync("../prefline/dist/runtime/cli/start.mjs", Path.join(modules, ".bin/prefline"))
  return folder
}

/** The commands of the block of shell in a document that begins with a new project; none where there is no such block. */
export const commandsOf = (document: string): ReadonlyArray<string> =>
  (/```sh\n(npx prefline new [\s\S]*?)```/.exec(document)?.[1] ?? "")
    .split("\n")
    .map((line) => line.replace(/\s+#.*$/, "").trim())
    .filter((line) => line !== "")

/**
 * Runs a document's commands as a reader would, in `parent`; the packed file stands in for the registry's prefline, and
 * `settings` make the run short. Returns where they led, and what the last one said.
 */
export const follow = async (
  commands: ReadonlyArray<string>,
  { packed, parent, settings }: { readonly packed: Packed; readonly parent: string; readonly settings: string }
): Promise<{ readonly folder: string; readonly last: Ended }> => {
  let folder = parent
  let last: Ended = { code: 0, stdout: "", stderr: "" }
  for (const command of commands) {
    if (command.startsWith("cd ")) folder = Path.join(folder, command.slice("cd ".length))
    else if (command === "npm install" && INSTALL === "linked")
      Fs.symlinkSync(Path.dirname(packed.folder), Path.join(folder, "node_modules"))
    else last = await sh(shortened(command, packed, settings), folder)
    if (last.code !== 0) throw new Error(`${command}: ${last.stdout}${last.stderr}`)
  }
  return { folder, last }
}

/** npx keeps what it installs: not that of a packed file which is gone with the test. */
export const forget = ({ file }: Packed): void => {
  const kept = Path.join(spawnSync("npm", ["config", "get", "cache"], { encoding: "utf8" }).stdout.trim(), "_npx")
  if (!Fs.existsSync(kept)) return
  for (const folder of Fs.readdirSync(kept).map((name) => Path.join(kept, name))) {
    const manifest = Path.join(folder, "package.json")
    if (Fs.existsSync(manifest) && Fs.readFileSync(manifest, "utf8").includes(Path.basename(Path.dirname(file))))
      Fs.rmSync(folder, { recursive: true, force: true })
  }
}

const shortened = (command: string, { file, folder }: Packed, settings: string): string => {
  const unpublished =
    INSTALL === "npm" ? `npx --yes ${OFFLINE} --package ${file} prefline` : `${folder}/dist/runtime/cli/start.mjs`
  return command
    .replace(/^npx prefline new (.*)$/, `${unpublished} new $1 --prefline ${file}`)
    .replace(/^npm install$/, `npm install ${OFFLINE}`)
    .replace(/^(npx prefline run .*)$/, `$1 ${settings}`)
}
