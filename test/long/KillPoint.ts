/** A run that is killed at a chosen moment, and what becomes of it when the same command is given again. */
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import { fileURLToPath, pathToFileURL } from "node:url"
import type * as Rng from "../../dsl/Rng.ts"
import { problemsOf } from "./storeCheck.ts"

const HOOK = pathToFileURL(fileURLToPath(new URL("./killAt.ts", import.meta.url))).href

/** When a process is killed: at an operation on the store's files, or so many milliseconds after its start. */
export type Moment =
  | { readonly _tag: "Operation"; readonly at: number; readonly operation: string }
  | { readonly _tag: "Time"; readonly ms: number }

/** A program that runs a pipeline on a store, as arguments of Node. */
export interface Program {
  readonly args: (root: string) => ReadonlyArray<string>
  readonly cwd?: string
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
  readonly ms: number
  /** Processes that it started and that were alive when it was killed. */
  readonly children: ReadonlyArray<number>
}

/** Node -> digest of its output, of all nodes that the journals of a store say are finished; the last to say so counts. */
export const finishedIn = (root: string): ReadonlyMap<string, { readonly digest: string; readonly status: string }> => {
  const finished = new Map<string, { digest: string; status: string }>()
  for (const path of Fs.globSync(`${root}/runs/*/journal.jsonl`).sort(byTime))
    for (const line of Fs.readFileSync(path, "utf8").split("\n").slice(0, -1)) {
      const event = JSON.parse(line)
      if (event._tag === "NodeFinished") finished.set(event.node, { digest: event.output.digest, status: event.status })
    }
  return finished
}

const byTime = (a: string, b: string) => Fs.statSync(a).mtimeMs - Fs.statSync(b).mtimeMs

/** Runs the program to its end, or to the moment at which it is killed. */
export const run = (program: Program, root: string, moment?: Moment, log?: string): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const query = new URLSearchParams({ root })
    if (moment?._tag === "Operation") query.set("at", `${moment.at}`)
    if (log !== undefined) query.set("log", log)
    const begun = performance.now()
    const child = spawn(process.execPath, ["--import", `${HOOK}?${query}`, ...program.args(root)], {
      cwd: program.cwd,
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, PREFLINE_THREADS: "1" }
    })
    let stderr = ""
    let children: ReadonlyArray<number> = []
    child.stderr.on("data", (text) => (stderr += text))
    const watched = setInterval(() => (children = childrenOf(child)), 50)
    const killed = moment?._tag === "Time" ? setTimeout(() => child.kill("SIGKILL"), moment.ms) : undefined
    child.on("error", reject)
    child.on("exit", (code, signal) => {
      clearInterval(watched)
      clearTimeout(killed)
      resolve({ code, signal, stderr, ms: performance.now() - begun, children })
    })
  })

const childrenOf = ({ pid }: ChildProcess): ReadonlyArray<number> => {
  try {
    const text = Fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    return text.split(" ").filter(Boolean).map(Number)
  } catch {
    return [] // it has just ended
  }
}

const PATIENCE = 10_000

/** Which of the processes still live after a while: workers whose main process was killed end by themselves. */
export const orphans = async (pids: ReadonlyArray<number>): Promise<ReadonlyArray<number>> => {
  const until = performance.now() + PATIENCE
  for (;;) {
    const alive = pids.filter((pid) => {
      try {
        return !/^\d+ \(.*\) Z/.test(Fs.readFileSync(`/proc/${pid}/stat`, "utf8"))
      } catch {
        return false
      }
    })
    if (alive.length === 0 || performance.now() > until) return alive
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** What became of one kill point. */
export interface Outcome {
  readonly moment: Moment
  /** Whether the process was killed: one that is faster than the moment is not. */
  readonly killed: boolean
  /** Nodes that were finished, states of unfinished ones, and half-written files, when it was killed. */
  readonly finished: number
  readonly partial: number
  readonly temporary: number
  /** Of the run that went on: nodes that it computed, and that it was served. */
  readonly computed: number
  readonly cached: number
  readonly problems: ReadonlyArray<string>
}

/** Kills a run at a moment, gives the same command again, and holds the end to that of an undisturbed run. */
export const endure = async (
  program: Program,
  root: string,
  moment: Moment,
  undisturbed: ReadonlyMap<string, { readonly digest: string }>
): Promise<Outcome> => {
  const problems: Array<string> = []
  const first = await run(program, root, moment)
  const killed = first.signal === "SIGKILL"
  if (!killed && first.code !== 0) problems.push(`ended with ${first.code}: ${first.stderr.slice(-500)}`)
  for (const pid of await orphans(first.children)) problems.push(`process ${pid}, a worker, was left behind`)
  const before = finishedIn(root)
  const isStore = Fs.existsSync(`${root}/format.json`)
  const count = (folder: string) => (isStore ? Fs.readdirSync(`${root}/${folder}`).length : 0)
  const [partial, temporary] = [count("partial"), count("tmp")]
  if (isStore) problems.push(...problemsOf(root, { settled: false }))

  const runs = new Set(Fs.globSync(`${root}/runs/*`))
  const second = await run(program, root)
  if (second.code !== 0) problems.push(`going on ended with ${second.code}: ${second.stderr.slice(-500)}`)
  problems.push(...problemsOf(root, { settled: true }))
  const resumed = finishedIn(root)
  for (const [node, { digest }] of undisturbed)
    if (resumed.get(node)?.digest !== digest) problems.push(`${node} has the digest ${resumed.get(node)?.digest}`)
  const fresh = Fs.globSync(`${root}/runs/*`).filter((path) => !runs.has(path))
  const statuses = fresh.flatMap((path) =>
    Fs.readFileSync(`${path}/journal.jsonl`, "utf8")
      .split("\n")
      .flatMap((line) => /"_tag":"NodeFinished".*?"status":"(computed|cached)"/.exec(line)?.[1] ?? [])
  )
  for (const node of before.keys())
    if (lastStatus(fresh, node) !== "cached") problems.push(`${node} was finished, and computed once more`)
  const computed = statuses.filter((status) => status === "computed").length
  return {
    moment,
    killed,
    finished: before.size,
    partial,
    temporary,
    computed,
    cached: statuses.length - computed,
    problems
  }
}

const lastStatus = (runs: ReadonlyArray<string>, node: string): string | undefined => {
  for (const path of runs)
    for (const line of Fs.readFileSync(`${path}/journal.jsonl`, "utf8").split("\n")) {
      if (!line.includes('"_tag":"NodeFinished"')) continue
      const event = JSON.parse(line)
      if (event.node === node) return event.status
    }
  return undefined
}

/**
 * Moments spread over a run: `byTime` of them at random times of its length, half of the others at operations drawn from
 * all, and half at operations drawn kind by kind, for some kinds are rare.
 */
export const moments = (
  count: number,
  run: { readonly operations: ReadonlyArray<string>; readonly ms: number },
  rng: Rng.Rng,
  byTime = Math.floor(count / 4)
): ReadonlyArray<Moment> => {
  const kinds = [...Map.groupBy(run.operations.keys(), (at) => run.operations[at]!).values()]
  return Array.from({ length: count }, (_, i): Moment => {
    const draws = rng.fork(i)
    if (i < byTime) return { _tag: "Time", ms: Math.round(run.ms * draws.uniform(0)) }
    const kind = kinds[draws.int(1, kinds.length)]!
    const at = i % 2 === 0 ? draws.int(0, run.operations.length) : kind[draws.int(2, kind.length)]!
    return { _tag: "Operation", at: at + 1, operation: run.operations[at]! }
  })
}

export const describe = (moment: Moment): string =>
  moment._tag === "Time" ? `after ${(moment.ms / 1000).toFixed(2)} s` : `${moment.operation}, operation ${moment.at}`
