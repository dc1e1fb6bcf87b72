/** The other threads of the wasm device. They work in its memory, on parts of its larger products. */
import { Worker } from "node:worker_threads"
import type { Block, Heap, Kernels } from "./host.ts"
import {
  ARGUMENTS,
  AWAITED,
  boardOf,
  COUNT,
  DONE,
  FAILED,
  HELPERS,
  NAME,
  newBoard,
  READY,
  SCRATCH,
  SLEEPING,
  type Start,
  TICKET,
  take,
  ticketOf
} from "./protocol.ts"

/** Threads that share the calls of a kernel, the device's own among them. */
export interface Team {
  /**
   * Runs calls of an export that do not depend on each other, `CALLS` at most, each with the address of `scratch` bytes of
   * its thread's own as a further argument, and returns when all have ended.
   * **Details** False if a helper began a call and did not end it in time: what the calls write must not be used then, nor
   * ever be freed, because the helper may go on. The team works alone from then on.
   */
  readonly run: (name: SharedKernel, calls: ReadonlyArray<ReadonlyArray<number>>, scratch: number) => boolean
  /** How many threads there are if all are ready, this one among them. */
  readonly threads: number
  /** How many threads there are, or why there is only one: for people. */
  readonly describe: () => string
  /** Whether helpers would take part in a job now. Starts them if they were not. */
  readonly isReady: () => boolean
  /** How many calls helpers have ended so far. */
  readonly helped: () => number
  /** Ends the helpers. After it there is no team. */
  readonly close: () => Promise<void>
}

/** The exports that may run on any thread: they write their result and their working memory, and nothing else. */
const names = ["matmul"] as const
export type SharedKernel = (typeof names)[number]

export interface Settings {
  /** How long a call that a helper has begun may take, in milliseconds. */
  readonly patience: number
  readonly helper: URL
}

const DEFAULTS: Settings = { patience: 10_000, helper: new URL("./helper.ts", import.meta.url) }

/**
 * How many threads a device may use: `PREFLINE_THREADS`, or one: a second one pays on idle cores only, and slows a device
 * down whose cores others want too. The number changes no result.
 */
export const threadsAskedFor = (): number => {
  const asked = process.env.PREFLINE_THREADS
  if (asked === undefined || asked === "") return 1
  const threads = Number(asked)
  if (!Number.isInteger(threads) || threads < 1 || threads > HELPERS + 1)
    throw new Error(`PREFLINE_THREADS is "${asked}"; it may be a whole number from 1 to ${HELPERS + 1}`)
  return threads
}

/** The team of a device's memory, where there is one. */
export const teamOf = (heap: Heap): Team | undefined => teams.get(heap)
const teams = new WeakMap<Heap, Team>()

/**
 * Lets a device whose memory is shared use several threads, until the team is closed. The others start with the first
 * question whether they are ready, and keep no process alive.
 */
export const makeTeam = (heap: Heap, { memory, module }: Kernels, threads: number, settings = DEFAULTS): Team => {
  const board = newBoard()
  const { calls: table, words } = boardOf(board)
  const helpers = new Set<Worker>()
  const scratch: Array<Block> = []
  let room = 0
  let state: "new" | "started" | "ended" = "new"
  /** A helper may still be writing. */
  let isStuck = false
  let problem: string | undefined
  let job = 0
  /** Until when this thread works alone, and for how long it last did, in milliseconds. */
  let [restUntil, pause] = [0, 0]

  const start = () => {
    state = "started"
    for (let index = 0; index < threads - 1; index++) {
      const workerData: Start = { module, memory, board, names, index }
      const helper = new Worker(settings.helper, { workerData, execArgv: [] })
      helpers.add(helper)
      helper.unref()
      helper.on("error", (cause) => giveUp(cause instanceof Error ? cause.message : String(cause)))
      helper.on("exit", () => giveUp("it ended"))
    }
  }
  const end = () => {
    state = "ended"
    const ends = [...helpers].map((helper) => helper.terminate())
    helpers.clear()
    return Promise.all(ends)
  }
  const giveUp = (reason: string) => {
    if (state !== "started") return
    problem = reason
    void end()
  }

  /** Gives each helper so much working memory at least. */
  const equip = (bytes: number): void => {
    if (bytes <= room) return
    freeScratch()
    while (scratch.length < threads - 1) {
      const block = heap.reserve(bytes)
      words[SCRATCH + scratch.length] = block.address
      scratch.push(block)
    }
    room = bytes
  }
  const freeScratch = () => {
    room = 0
    for (const block of scratch.splice(0)) block.free()
  }
  /**
   * Waits until helpers have ended so many calls since they started; says whether they have. A helper for which this takes
   * longer than the thread's own share took, since `start`, is being held up by something else: it is left alone for a while,
   * longer each time.
   */
  const allDone = (goal: number, start: number): boolean => {
    for (let i = 0; i < SPINS; i++) {
      if (Atomics.load(words, DONE) !== goal) continue
      pause /= 2
      return true
    }
    const from = performance.now()
    const latest = from + settings.patience
    Atomics.store(words, AWAITED, 1)
    let [done, now] = [Atomics.load(words, DONE), from]
    while (done !== goal && now < latest) {
      Atomics.wait(words, DONE, done, latest - now)
      done = Atomics.load(words, DONE)
      now = performance.now()
    }
    Atomics.store(words, AWAITED, 0)
    if (now - from <= from - start) pause /= 2
    else {
      pause = Math.min(LONGEST_PAUSE, Math.max(1, 2 * pause))
      restUntil = now + pause
    }
    return done === goal
  }
  const alone: Team["run"] = (name, calls, bytes) => {
    const kernel = heap.exports[name]!
    heap.withScratch(bytes, (address) => {
      for (const call of calls) kernel(...call, address)
    })
    return true
  }
  const isReady = () => {
    if (state === "new") start()
    return state === "started" && Atomics.load(words, READY) > 0 && performance.now() >= restUntil
  }
  const share: Team["run"] = (name, calls, bytes) => {
    const kernel = heap.exports[name]!
    const [done, failed] = [Atomics.load(words, DONE), Atomics.load(words, FAILED)]
    const start = performance.now()
    words[NAME] = names.indexOf(name)
    words[COUNT] = calls[0]!.length
    for (let i = 0; i < calls.length; i++) table.set(calls[i]!, i * ARGUMENTS)
    job++
    Atomics.store(words, TICKET, ticketOf(job, calls.length, 0))
    if (Atomics.load(words, SLEEPING) > 0) Atomics.notify(words, TICKET)
    let theirs = calls.length
    try {
      heap.withScratch(bytes, (address) => {
        for (let call = take(words); call >= 0; call = take(words)) {
          theirs--
          kernel(...calls[call]!, address)
        }
      })
    } finally {
      while (take(words) >= 0) theirs-- // some are left only if one threw
      isStuck = !allDone((done + theirs) | 0, start)
    }
    if (isStuck) {
      giveUp("it did not answer")
      return false
    }
    if (Atomics.load(words, FAILED) === failed) return true
    giveUp("it failed")
    return alone(name, calls, bytes)
  }

  const team: Team = {
    threads,
    isReady,
    run: (name, calls, bytes) => {
      if (calls.length < 2 || !isReady()) return alone(name, calls, bytes)
      equip(bytes)
      return share(name, calls, bytes)
    },
    describe: () => (problem === undefined ? `${threads}` : `1 (another was given up: ${problem})`),
    helped: () => Atomics.load(words, DONE),
    close: async () => {
      teams.delete(heap)
      await end()
      if (!isStuck) freeScratch()
    }
  }
  teams.set(heap, team)
  return team
}

/** How long a helper that is held up is left alone at most, in milliseconds. */
const LONGEST_PAUSE = 64

/** How often the end of the helpers' calls is looked for before the thread sleeps until then: some tens of microseconds. */
const SPINS = 20_000
