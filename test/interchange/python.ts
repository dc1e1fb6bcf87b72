/** The Python that other programs' answers come from: `PREFLINE_PYTHON`, else the benches' environment, if it is there. */
import { execFileSync, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { find } from "../../bench/python/setup.ts"

const ORACLE = fileURLToPath(new URL("./oracle.py", import.meta.url))

const candidate = (): string | undefined => {
  const named = process.env["PREFLINE_PYTHON"]
  if (named) return named
  const found = find()
  return "python" in found ? found.python : undefined
}

const found = candidate()

const MODULES = ["torch", "transformers", "trl", "pyarrow", "tensorboard"]
const FIND = "import importlib.util, sys; print(*[m for m in sys.argv[1:] if importlib.util.find_spec(m)])"

/** Which of the modules it has. */
const present: ReadonlyArray<string> =
  found === undefined
    ? []
    : spawnSync(found, ["-c", FIND, ...MODULES], { encoding: "utf8" })
        .stdout.trim()
        .split(" ")

/** The interpreter if it has all these modules; else says on stderr what is not tested. */
export const pythonWith = (modules: ReadonlyArray<string>, what: string): string | undefined => {
  if (found !== undefined && modules.every((module) => present.includes(module))) return found
  const missing = found === undefined ? "no Python" : `${found} has not all of ${modules.join(", ")}`
  const remedy = "`node bench/python/setup.ts` makes one, PREFLINE_PYTHON names another"
  process.stderr.write(`SKIPPED: ${what} is not tested against the original: ${missing}; ${remedy}\n`)
  return undefined
}

/** What `oracle.py` answers to one job of each kind, all in one process: starting it takes longer than the jobs. */
export const ask = (python: string, jobs: object): any => {
  const answer = execFileSync(python, [ORACLE], {
    input: JSON.stringify(jobs),
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    stdio: ["pipe", "pipe", "pipe"]
  })
  return JSON.parse(answer.trim().split("\n").at(-1)!)
}
