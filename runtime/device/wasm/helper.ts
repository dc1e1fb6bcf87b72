/** A thread that helps the device's: it looks for calls to take, for a while by looking again and again, then asleep. */
import { workerData } from "node:worker_threads"
import {
  ARGUMENTS,
  AWAITED,
  boardOf,
  COUNT,
  callsOf,
  DONE,
  FAILED,
  NAME,
  READY,
  SCRATCH,
  SLEEPING,
  type Start,
  TICKET,
  take,
  takenOf
} from "./protocol.ts"
import { engine } from "./webAssembly.ts"

/**
 * How long it looks for more work before it sleeps, in milliseconds: longer than what lies between two products of a step of
 * decoding or training, since waking a thread costs tens of microseconds.
 */
const PATIENCE = 2

const { board, index, memory, module, names } = workerData as Start
const { calls, words } = boardOf(board)
const { exports } = new engine.Instance(module, { env: { memory } })
const kernels = names.map((name) => exports[name]!)

let kernel = kernels[0]!
const given: Array<number> = []
const read = (call: number) => {
  kernel = kernels[words[NAME]!]!
  const count = words[COUNT]!
  given.length = count + 1
  for (let i = 0; i < count; i++) given[i] = calls[call * ARGUMENTS + i]!
  given[count] = words[SCRATCH + index]! >>> 0
}

/** Waits until the ticket is another one. */
const waitForChange = (ticket: number) => {
  const end = performance.now() + PATIENCE
  do {
    for (let i = 0; i < 64; i++) if (Atomics.load(words, TICKET) !== ticket) return
  } while (performance.now() < end)
  Atomics.add(words, SLEEPING, 1)
  Atomics.wait(words, TICKET, ticket)
  Atomics.sub(words, SLEEPING, 1)
}

Atomics.add(words, READY, 1)
for (;;) {
  while (take(words, read) >= 0) {
    try {
      kernel(...given)
    } catch {
      // The device's thread makes the call itself, and throws what it throws.
      Atomics.add(words, FAILED, 1)
    }
    Atomics.add(words, DONE, 1)
    if (Atomics.load(words, AWAITED) === 1) Atomics.notify(words, DONE)
  }
  const ticket = Atomics.load(words, TICKET)
  if (takenOf(ticket) >= callsOf(ticket)) waitForChange(ticket)
}
