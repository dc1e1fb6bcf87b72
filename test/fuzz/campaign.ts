/** Runs cases against targets, and tells what was accepted, what refused, and what should not have happened. */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Cause, Effect, Exit } from "effect"
import * as Rng from "../../dsl/Rng.ts"
import * as Draws from "./Draws.ts"
import type { Case, Target } from "./Target.ts"

/** A case may take so much CPU time, in milliseconds; nearly all take less than one. */
export const CPU_LIMIT = 1000
/** By so much a case may raise the most memory that the process ever held, in MiB. */
export const MEMORY_LIMIT = 256
/** An error's text is for people to read. */
const MESSAGE_LIMIT = 10_000

export interface Finding {
  readonly target: string
  readonly index: number
  readonly problem: string
}

export interface Tally {
  readonly target: string
  cases: number
  accepted: number
  /** How often it refused, by the tag of the error. */
  readonly refused: Map<string, number>
}

export interface Outcome {
  readonly tallies: ReadonlyArray<Tally>
  readonly findings: ReadonlyArray<Finding>
}

/** A case is a function of seed, target and index: the number of cases asked for does not enter. */
export const caseOf = (target: Target, seed: number, index: number): Case =>
  target.make(Draws.make(Rng.make(seed, `fuzz/${target.name}`).fork(index)))

/** As many cases for each target as its weight says of `count`, at least one. */
export const share = (targets: ReadonlyArray<Target>, count: number): ReadonlyMap<Target, number> => {
  const total = targets.reduce((sum, { weight }) => sum + weight, 0)
  return new Map(targets.map((target) => [target, Math.max(1, Math.ceil((count * target.weight) / total))]))
}

/**
 * Runs all shares; `before` is told of each case before it begins, so that one that never ends can be named, and `after` of
 * each target when its cases are done.
 */
export const run = async (
  shares: ReadonlyMap<Target, number>,
  options: {
    readonly seed: number
    readonly from?: number
    readonly before?: (target: Target, index: number) => void
    readonly after?: (tally: Tally) => void
  }
): Promise<Outcome> => {
  const folder = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "prefline-fuzz-")))
  const findings: Array<Finding> = []
  const tallies: Array<Tally> = []
  try {
    for (const [target, count] of shares) {
      const tally: Tally = { target: target.name, cases: 0, accepted: 0, refused: new Map() }
      tallies.push(tally)
      const from = options.from ?? 0
      for (let index = from; index < from + count; index++) {
        options.before?.(target, index)
        const problem = await one(target, caseOf(target, options.seed, index), folder, tally)
        if (problem !== undefined) findings.push({ target: target.name, index, problem })
      }
      options.after?.(tally)
    }
  } finally {
    Fs.rmSync(folder, { recursive: true, force: true })
  }
  return { tallies, findings }
}

/** Runs one case; what should not have happened, or nothing. */
const one = async (target: Target, input: Case, folder: string, tally: Tally): Promise<string | undefined> => {
  const [cpu, memory] = [process.cpuUsage(), process.resourceUsage().maxRSS]
  const exit = await Effect.runPromiseExit(Effect.suspend(() => target.read(input, folder)))
  const { system, user } = process.cpuUsage(cpu)
  const raised = (process.resourceUsage().maxRSS - memory) / 1024
  for (const name of Fs.readdirSync(folder)) Fs.rmSync(Path.join(folder, name), { recursive: true, force: true })
  tally.cases++
  const problem = problemOf(target, exit, tally)
  if (problem !== undefined) return problem
  const ms = (user + system) / 1000
  if (ms > CPU_LIMIT) return `took ${ms.toFixed()} ms of CPU time`
  return raised > MEMORY_LIMIT ? `took ${raised.toFixed()} MiB of memory` : undefined
}

const problemOf = (target: Target, exit: Exit.Exit<void, unknown>, tally: Tally): string | undefined => {
  if (Exit.isSuccess(exit)) {
    tally.accepted++
    return undefined
  }
  const error = Cause.squash(exit.cause)
  if (Cause.hasDies(exit.cause)) return `defect: ${error instanceof Error ? (error.stack ?? error.message) : error}`
  const tag = (error as { readonly _tag?: unknown } | null)?._tag
  if (typeof tag !== "string" || !target.refuses.includes(tag))
    return `fails with ${tag ?? "what has no tag"}: ${error}`
  const { message } = error as Error
  if (message === "") return `${tag} says nothing`
  if (/\n\s+at .*[:(]/.test(message)) return `${tag} shows a stack: ${message.slice(0, 400)}`
  if (message.length > MESSAGE_LIMIT) return `${tag} says ${message.length} characters: ${message.slice(0, 200)}`
  tally.refused.set(tag, (tally.refused.get(tag) ?? 0) + 1)
  return undefined
}
