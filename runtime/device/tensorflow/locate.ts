/** Finds the native packages: as npm installs them, or as `build-node.ts` builds them. */
import { existsSync, realpathSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, isAbsolute, join } from "node:path"
import { fileURLToPath } from "node:url"

export type Kind = "node" | "node-gpu"

export const packageOf = { node: "@tensorflow/tfjs-node", "node-gpu": "@tensorflow/tfjs-node-gpu" } as const

/** Where the build puts its packages unless told, and where they are looked for. Not in a store, which owns its folder. */
export const BUILD_FOLDER = fileURLToPath(new URL("../../../.tensorflow", import.meta.url))

/** The native part of a package, from its folder. Node 8 to 24 and later offer version 8 of the interface. */
export const BINDING = "lib/napi-v8/tfjs_binding.node"

export const inBuild = (folder: string, kind: Kind): string => join(folder, "node_modules", packageOf[kind])

/**
 * The folder of a kind's package, complete with its native part.
 * **Details** Looked for in the folder that `PREFLINE_TFJS_NODE` names (of a build; absolute), then among the installed
 * packages, then in the default build folder. Throws with what was found where, and with what would help.
 */
export const locate = (
  kind: Kind,
  named: string | undefined = process.env["PREFLINE_TFJS_NODE"],
  fallback: string = BUILD_FOLDER
): string => {
  if (named && !isAbsolute(named)) throw new Error("PREFLINE_TFJS_NODE has to be an absolute path")
  const candidates = [
    ...(named ? [{ where: "the folder that PREFLINE_TFJS_NODE names", folder: inBuild(named, kind) }] : []),
    { where: "node_modules", folder: installed(packageOf[kind]) },
    { where: "the build folder", folder: inBuild(fallback, kind) }
  ]
  const found = candidates.find(({ folder }) => stateOf(folder) === "complete")
  if (found?.folder !== undefined) return realpathSync(found.folder)
  const states = candidates.map(({ folder, where }) => `${where}: ${stateOf(folder)}`)
  throw new Error(`${packageOf[kind]} is not there (${states.join("; ")}). ${why(kind)} ${help(kind)}`)
}

const stateOf = (folder: string | undefined) => {
  if (folder === undefined || !existsSync(join(folder, "package.json"))) return "missing"
  return existsSync(join(folder, BINDING)) ? "complete" : `without ${BINDING}`
}

const installed = (name: string): string | undefined => {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`))
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "MODULE_NOT_FOUND") return undefined
    throw cause
  }
}

const why = (kind: Kind) =>
  kind === "node-gpu"
    ? "It is an optional dependency: its install script downloads libtensorflow from Google's storage, and npm leaves the package out where that fails."
    : "It is none of prefline's dependencies: its install script downloads libtensorflow from Google's storage."

const help = (kind: Kind) =>
  `Either install it with access to that storage, or build it: \`npm run build:node${kind === "node-gpu" ? " -- --gpu" : ""}\` (Linux; needs g++ and pip) takes the library from TensorFlow's Python package. PREFLINE_TFJS_NODE names a folder built elsewhere.`
