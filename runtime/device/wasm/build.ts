/**
 * Compiles `assembly/` twice: `prefline-simd.wasm` (plain SIMD) and `prefline-fma.wasm` (relaxed SIMD, where `madd` is a
 * fused multiply-add). `node runtime/device/wasm/build.ts` writes both; they are committed, and a test compares them.
 */
import { readFile, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { engine } from "./webAssembly.ts"

/** What we use of the compiler, whose own declarations would replace the whole program's `console`. */
interface Compiler {
  readonly main: (
    options: ReadonlyArray<string>,
    host: {
      readonly readFile: (name: string) => Promise<string | null>
      readonly writeFile: (name: string, contents: Uint8Array | string) => void
      readonly listFiles: () => ReadonlyArray<string>
    }
  ) => Promise<{ readonly error: Error | null; readonly stderr: { readonly toString: () => string } }>
}

const COMPILER: string = "assemblyscript/asc"

/** The two builds, by the name that the host and the environment use. */
export const builds = { simd: [], fma: ["--enable", "relaxed-simd"] } as const
export type Build = keyof typeof builds

export const fileOf = (build: Build): URL => new URL(`prefline-${build}.wasm`, import.meta.url)

/** The bytes of one build; the same for the same sources and compiler. Throws an Error with the compiler's messages. */
export const compile = async (build: Build): Promise<Uint8Array> => {
  const folder = dirname(fileURLToPath(import.meta.url))
  const written = new Map<string, Uint8Array>()
  const { main } = (await import(COMPILER)) as Compiler
  const { error, stderr } = await main(["assembly/index.ts", "--outFile", "out.wasm", ...flags, ...builds[build]], {
    readFile: (name) => readFile(join(folder, name), "utf8").catch(missing),
    writeFile: (name, contents) => {
      written.set(name, contents as Uint8Array)
    },
    listFiles: () => []
  })
  const bytes = written.get("out.wasm")
  if (error || !bytes) throw new Error(`${build}: ${error?.message ?? "nothing was written"}\n${stderr.toString()}`)
  const copy = new Uint8Array(bytes)
  refuse(build, copy)
  return copy
}

const flags = [
  ...["--runtime", "stub", "--importMemory", "--noExportMemory", "--enable", "simd", "--noAssert"],
  ...["--optimizeLevel", "3", "--shrinkLevel", "0", "--converge"]
]

/** A module that shares the backend's memory must bring nothing of its own into it. */
const refuse = (build: Build, bytes: Uint8Array) => {
  const found = sections(bytes).filter((id) => id in forbidden)
  if (found.length > 0) throw new Error(`${build}: the module has ${found.map((id) => forbidden[id]).join(", ")}`)
  const module = new engine.Module(bytes)
  const imports = engine.Module.imports(module).map(({ module, name }) => `${module}.${name}`)
  if (imports.join() !== "env.memory") throw new Error(`${build}: the module imports ${imports.join(", ")}`)
  const others = engine.Module.exports(module).filter(({ kind }) => kind !== "function")
  if (others.length > 0) throw new Error(`${build}: the module exports ${others.map(({ name }) => name).join(", ")}`)
}

const forbidden: Readonly<Record<number, string>> = {
  4: "a table",
  8: "a start function",
  9: "elements of a table",
  11: "data, which would overwrite the backend's heap",
  12: "a count of data"
}

/** The ids of a wasm module's sections, in order. */
export const sections = (bytes: Uint8Array): ReadonlyArray<number> => {
  const ids: Array<number> = []
  for (let at = 8; at < bytes.length; ) {
    ids.push(bytes[at++]!)
    let size = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!
      size += (byte & 127) * 2 ** shift
      if (byte < 128) break
    }
    at += size
  }
  return ids
}

/** The compiler asks for files that need not be there. */
const missing = (cause: NodeJS.ErrnoException): null => {
  if (cause.code === "ENOENT") return null
  throw cause
}

if (import.meta.main)
  for (const build of Object.keys(builds) as ReadonlyArray<Build>) {
    const bytes = await compile(build)
    await writeFile(fileOf(build), bytes)
    console.log(`prefline-${build}.wasm: ${bytes.length} bytes`)
  }
