/** What prefline finds around it: Node, packages, the store's folder, the machine. */
import { accessSync, constants, existsSync, readdirSync, realpathSync, statfsSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { availableParallelism, cpus, freemem, totalmem } from "node:os"
import { dirname, join, resolve } from "node:path"
import * as Versions from "../../Versions.ts"
import { versionOf } from "./needs.ts"

export interface Facts {
  readonly prefline: string
  readonly node: Node
  readonly packages: Readonly<Record<string, string | null>>
  readonly store: StoreFolder
  readonly data: Data
  readonly machine: Machine
}

/** Looks, and changes nothing. */
export const find = (store: string): Facts => ({
  prefline: Versions.current.prefline,
  node: node(),
  packages: packages(),
  store: storeFolder(store),
  data: data(),
  machine: machine()
})

export interface Node {
  readonly version: string
  readonly path: string
  /** Whether it is the one that prefline's install brings. */
  readonly own: boolean
  /** Whether that one is there. */
  readonly ownInstalled: boolean
}

export const node = (): Node => {
  const path = realpathSync(process.execPath)
  const own = ownNode()
  return { version: process.version, path, own: own === path, ownInstalled: own !== undefined }
}

const ownNode = (): string | undefined => {
  const binaries = (createRequire(import.meta.url).resolve.paths("node") ?? []).map((folder) =>
    join(folder, "node/bin/node")
  )
  const found = binaries.find(existsSync)
  return found && realpathSync(found)
}

const PACKAGES = [
  "effect",
  "@effect/platform-node",
  "@tensorflow/tfjs",
  "@tensorflow/tfjs-backend-wasm",
  "@tensorflow/tfjs-backend-webgpu",
  "webgpu",
  "@tensorflow/tfjs-node",
  "@tensorflow/tfjs-node-gpu"
]

/** Installed versions; `null` where a package is not installed. */
export const packages = (): Readonly<Record<string, string | null>> =>
  Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)]))

export interface StoreFolder {
  readonly path: string
  readonly state: "a store" | "will be made" | "unusable"
  readonly writable: boolean
  readonly freeBytes: number
}

/** The store's folder, or where it would be made. Makes nothing. */
export const storeFolder = (folder: string): StoreFolder => {
  const path = resolve(folder)
  let nearest = path
  while (!existsSync(nearest)) nearest = dirname(nearest)
  const { bavail, bsize } = statfsSync(nearest)
  return { path, state: stateOf(path, nearest), writable: isWritable(nearest), freeBytes: bavail * bsize }
}

/** As `Store` judges: it takes its own folders, empty ones, and such that are not there yet. */
const stateOf = (path: string, nearest: string): StoreFolder["state"] => {
  if (!statSync(nearest).isDirectory()) return "unusable"
  if (nearest !== path) return "will be made"
  const names = namesIn(path)
  if (names?.length === 0) return "will be made"
  return names?.includes("format.json") ? "a store" : "unusable"
}

const namesIn = (folder: string): ReadonlyArray<string> | undefined => {
  try {
    return readdirSync(folder)
  } catch {
    return undefined // the answer, not a failure: it may not be looked into
  }
}

const isWritable = (folder: string): boolean => {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false // the answer, not a failure
  }
}

export interface Machine {
  readonly platform: string
  readonly processor: string
  /** How many threads run side by side, as far as this process may. */
  readonly cores: number
  readonly memoryBytes: number
  readonly freeMemoryBytes: number
}

export const machine = (): Machine => ({
  platform: `${process.platform} ${process.arch}`,
  processor: cpus()[0]?.model.trim() ?? "",
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  freeMemoryBytes: freemem()
})

/** Whether real data sets are at hand. */
export type Data = "not set" | "a folder" | "no folder"

export const data = (folder: string | undefined = process.env["PREFLINE_DATA"]): Data => {
  if (!folder) return "not set"
  return existsSync(folder) && statSync(folder).isDirectory() ? "a folder" : "no folder"
}
