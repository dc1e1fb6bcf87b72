/** Files for what loaders are tried on: in a folder of this process, made when they are first asked for, removed with it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { gzipSync } from "node:zlib"

let folder: string | undefined
const made = new Set<string>()

const root = (): string => {
  if (folder !== undefined) return folder
  const own = mkdtempSync(join(tmpdir(), "prefline-laws-"))
  process.on("exit", () => rmSync(own, { recursive: true, force: true }))
  folder = own
  return own
}

/** Where the file of that name lies, or would lie. */
export const place = (name: string): string => join(root(), name)

/** The path of a file with this content; a name stands for one content. */
export const file = (name: string, content: string | Uint8Array): string => {
  const path = place(name)
  if (!made.has(name)) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
    made.add(name)
  }
  return path
}

export const jsonLines = (records: ReadonlyArray<object>): string =>
  records.map((record) => `${JSON.stringify(record)}\n`).join("")

export const lines = (name: string, records: ReadonlyArray<object>): string => file(name, jsonLines(records))

export const packed = (name: string, content: string | Uint8Array): string => file(`${name}.gz`, gzipSync(content))

/** A folder of files, by name. */
export const folderOf = (
  name: string,
  files: Iterable<readonly [name: string, content: string | Uint8Array]>
): string => {
  for (const [own, content] of files) file(join(name, own), content)
  return place(name)
}
