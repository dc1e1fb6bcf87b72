/** Names of modules in compiled files: `.ts` in the sources, `.js` in the package. */
import * as Path from "node:path"

/** How commands are given: from a clone by npm's scripts, from an installed package by its binary. */
const COMMANDS: ReadonlyArray<readonly [source: string, installed: string]> = [
  ["npm run prefline -- ", "npx prefline "],
  ["npm run build:node --", "node node_modules/prefline/dist/runtime/device/tensorflow/build-node.js"],
  ["npm run build:node", "node node_modules/prefline/dist/runtime/device/tensorflow/build-node.js"],
  ["npm run prefline", "npx prefline"],
  ["npm start", "npx prefline run dpo"]
]

/**
 * Compiled JavaScript with the names of modules in its strings, and the commands that it speaks of, as they are in the
 * package. A string is taken for a module's name if it is one: a relative path to a compiled file.
 */
export const inCode = (path: string, text: string, exists: (path: string) => boolean): string => {
  const named = text
    .replaceAll(/(["'])(\.\.?\/[\w./-]+)\.ts\1/g, (found, quote: string, name: string) =>
      exists(Path.resolve(Path.dirname(path), `${name}.js`)) ? `${quote}${name}.js${quote}` : found
    )
    .replaceAll(/(new URL\(`\.\.?\/[\w./${}-]+)\.ts`/g, "$1.js`")
  return COMMANDS.reduce((code, [source, installed]) => code.replaceAll(source, installed), named)
}

/** A declaration file whose relative imports name `.js` files, as users' settings of the compiler want it. */
export const inDeclarations = (text: string): string =>
  text.replaceAll(/((?:from|import|import\()\s*["']\.\.?\/[\w./-]+)\.ts(["'])/g, "$1.js$2")

/** The modules and binaries that a compiled file imports, or names by a URL, and that are not there. */
export const missing = (path: string, text: string, exists: (path: string) => boolean): ReadonlyArray<string> => {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "")
  return [...code.matchAll(/(?:from|import|import\(|new URL\()\s*["'](\.\.?\/[^"']+\.(?:[mc]?js|ts|json|wasm))["']/g)]
    .map(([, specifier]) => specifier!)
    .filter((specifier) => !isThere(Path.resolve(Path.dirname(path), specifier), path, exists))
}

const isThere = (target: string, from: string, exists: (path: string) => boolean): boolean =>
  exists(from.endsWith(".d.ts") ? target.replace(/\.js$/, ".d.ts") : target)
