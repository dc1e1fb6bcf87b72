/**
 * How the thread of the device and its helpers share work. A job is a list of calls of one of our exports, whose results do
 * not depend on each other. Everyone takes the next call that nobody has taken, until none is left: a helper that comes
 * late, because the machine is busy, takes fewer, and nobody waits for a call that was not begun.
 */

/** What a helper is started with. */
export interface Start {
  /** The compiled kernels, whose memory is declared as shared. */
  readonly module: object
  readonly memory: object
  readonly board: SharedArrayBuffer
  /** The exports that a job can name, by number. */
  readonly names: ReadonlyArray<string>
  /** Which helper it is, from 0. */
  readonly index: number
}

/** Most helpers of a device. */
export const HELPERS = 31
/** Most calls in a job. */
export const CALLS = 60
/** Most arguments of a call, the working memory included. */
export const ARGUMENTS = 16

/** The words of the board, by their place. */
export const TICKET = 0
/** Calls that helpers have ended, since the start. */
export const DONE = 1
/** Calls of helpers that threw. */
export const FAILED = 2
/** How many helpers sleep until the ticket changes. */
export const SLEEPING = 3
/** Whether the device's thread sleeps until `DONE` changes. */
export const AWAITED = 4
/** How many helpers have begun to look for work. */
export const READY = 5
/** The job's export. */
export const NAME = 6
/** How many arguments each call has, the working memory not included. */
export const COUNT = 7
/** From here on, the address of each helper's working memory. */
export const SCRATCH = 8
const WORDS = SCRATCH + HELPERS + 1

export interface Board {
  readonly words: Int32Array<SharedArrayBuffer>
  /** The calls' arguments, `ARGUMENTS` for each. */
  readonly calls: Float64Array<SharedArrayBuffer>
}

export const newBoard = (): SharedArrayBuffer => new SharedArrayBuffer(WORDS * 4 + CALLS * ARGUMENTS * 8)

export const boardOf = (buffer: SharedArrayBuffer): Board => ({
  words: new Int32Array(buffer, 0, WORDS),
  calls: new Float64Array(buffer, WORDS * 4)
})

/**
 * The ticket holds the number of the job, of its calls and of those taken, so that one comparison says whether what was read
 * of a job is still true of it.
 */
export const ticketOf = (job: number, calls: number, taken: number): number => (job << 12) | (calls << 6) | taken
export const callsOf = (ticket: number): number => (ticket >> 6) & 63
export const takenOf = (ticket: number): number => ticket & 63

/**
 * Takes the next call, after `read` has read what it needs of it; says which one it is, or -1 if there is none.
 * **Details** The board of a job is not written before all its calls are taken, so what was read belongs to the call taken.
 */
export const take = (words: Int32Array, read?: (call: number) => void): number => {
  for (;;) {
    const ticket = Atomics.load(words, TICKET)
    const call = takenOf(ticket)
    if (call >= callsOf(ticket)) return -1
    read?.(call)
    if (Atomics.compareExchange(words, TICKET, ticket, ticket + 1) === ticket) return call
  }
}
