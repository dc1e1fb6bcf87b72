/** Takes the bytes of one object while hashing them, and puts them at their address when they are all there. */
import { createHash } from "node:crypto"
import { Effect, Stream } from "effect"
import * as Layout from "./layout.ts"
import * as Temporary from "./temporary.ts"
import * as Trash from "./trash.ts"

/** Up to here bytes wait in memory, so that a small object costs one write, and none if it is there already. */
const BUFFERED = 64 * 1024

/** Stores the bytes under their digest. Memory does not grow with their number. */
export const store = <E, R>(layout: Layout.Layout, bytes: Stream.Stream<Uint8Array, E, R>) =>
  Temporary.use(
    layout,
    Effect.fnUntraced(function* (temporary) {
      const hash = createHash("sha256")
      let total = 0
      let waiting: Array<Uint8Array> = []
      let waitingBytes = 0
      const flush = () => {
        const chunk = waiting.length === 1 ? waiting[0]! : Buffer.concat(waiting)
        waiting = []
        waitingBytes = 0
        return temporary.write(chunk)
      }
      yield* Stream.runForEach(bytes, (chunk) => {
        hash.update(chunk)
        total += chunk.length
        waitingBytes += chunk.length
        const full = waitingBytes > BUFFERED
        waiting.push(full ? chunk : chunk.slice()) // what waits is copied: its producer may reuse the buffer
        return full ? flush() : Effect.void
      })
      const digest = hash.digest("hex")
      const target = layout.object(digest)
      if (total > waitingBytes || !holds(target, waiting)) {
        yield* flush()
        // Over whatever is there: the same bytes, or damaged ones, which this heals.
        yield* temporary.moveTo(target)
      }
      return { digest, bytes: total }
    })
  )

/** Whether the object at this address has just these bytes already; if so, it is now in use. */
const holds = (target: string, chunks: ReadonlyArray<Uint8Array>): boolean => {
  try {
    return (Layout.readIfThere(target)?.equals(Buffer.concat(chunks)) ?? false) && Trash.touch(target)
  } catch {
    return false // unreadable, so it is written anew; if that fails too, that says why
  }
}
