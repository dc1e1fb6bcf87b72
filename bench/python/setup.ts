/**
 * The Python environment that the benches compare with: `requirements.txt`, in `.bench/python`. Run as a script it
 * makes it; the benches do so themselves where it is missing.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

const REQUIREMENTS = fileURLToPath(new URL("requirements.txt", import.meta.url))
const FOLDER = fileURLToPath(new URL("../../.bench/python", import.meta.url))
const PYTHON = Path.join(FOLDER, "bin", "python")
const DONE = Path.join(FOLDER, "requirements.sha256")

export type Environment =
  | { readonly python: string }
  /** Why there is none, for people. */
  | { readonly missing: string }

const digest = () => createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex")

/** The environment if it is complete and has these requirements. */
export const find = (): Environment =>
  existsSync(DONE) && readFileSync(DONE, "utf8") === digest()
    ? { python: PYTHON }
    : { missing: "no Python environment; `node bench/python/setup.ts` makes it" }

/** The environment, made if need be: 3.1 GB of downloads unless pip finds a CPU build of torch. Says what it does. */
export const ensure = (say: (line: string) => void): Environment => {
  const found = find()
  if ("python" in found) return found
  const python = NAMES.find(isRecent)
  if (python === undefined) return { missing: `no Python from 3.11 to 3.14 (tried ${NAMES.join(", ")})` }
  say(`making the Python environment in ${FOLDER}: about 3.1 GB of downloads; --no-python goes without`)
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(Path.dirname(FOLDER), { recursive: true })
  try {
    execFileSync(python, ["-m", "venv", FOLDER], { stdio: "pipe" })
    const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]
    execFileSync(PYTHON, install, { stdio: "pipe" })
    execFileSync(PYTHON, ["-c", "import torch, transformers, trl"], { stdio: "pipe" })
  } catch (cause) {
    return { missing: `the Python environment could not be made: ${problemOf(cause)}` }
  }
  writeFileSync(DONE, digest())
  return { python: PYTHON }
}

const NAMES = ["python3", "python3.11", "python3.12", "python3.13", "python3.14"]

const isRecent = (name: string): boolean => {
  try {
    const program = "import sys; print(sys.version_info.major * 100 + sys.version_info.minor)"
    const version = Number(execFileSync(name, ["-c", program], { stdio: ["ignore", "pipe", "ignore"] }))
    return version >= 311 && version <= 314
  } catch {
    return false
  }
}

/** The last lines that the failed command wrote, or what kept it from starting. */
const problemOf = (cause: unknown): string => {
  const { message, stderr } = cause as { readonly message: string; readonly stderr?: Buffer }
  return stderr === undefined || stderr.length === 0
    ? message
    : stderr.toString().trim().split("\n").slice(-3).join(" ")
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const made = ensure(console.log)
  console.log("python" in made ? made.python : made.missing)
  process.exitCode = "python" in made ? 0 : 1
}
