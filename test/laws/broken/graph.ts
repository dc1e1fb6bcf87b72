/** Which of our modules import which, by static imports of values. */
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const IMPORT = /^(?:import|export)\s(?!type\s)(?:[^"';]*?\sfrom\s)?"(\.{1,2}\/[^"]+\.ts)"/gms

const known = new Map<string, ReadonlyArray<string>>()

/** The addresses that a module imports. */
export const importsOf = (url: string): ReadonlyArray<string> => {
  const found = known.get(url)
  if (found !== undefined) return found
  const source = readFileSync(fileURLToPath(url), "utf8")
  const imports = [...source.matchAll(IMPORT)]
    .map((match) => new URL(match[1]!, url).href)
    .filter((each) => existsSync(fileURLToPath(each)))
  known.set(url, imports)
  return imports
}

/** The modules that are loaded with these, themselves included, nearest first. */
export const closureOf = (entries: ReadonlyArray<string>): ReadonlyArray<string> => {
  const all = new Set(entries)
  for (const url of all) for (const each of importsOf(url)) all.add(each)
  return [...all]
}

/** Of the modules loaded with these, the ones that load `changed`, itself included. */
export const dependentsOf = (changed: string, entries: ReadonlyArray<string>): ReadonlySet<string> => {
  const closure = closureOf(entries)
  const found = new Set([changed])
  for (let before = 0; before < found.size; ) {
    before = found.size
    for (const url of closure) if (importsOf(url).some((each) => found.has(each))) found.add(url)
  }
  return found
}
