/** `<store>/gc.lock`: one collection at a time. Nobody else looks at it. */
import * as Fs from "node:fs"
import { Effect, Schema } from "effect"
import type { StoreWriteFailed } from "../StoreError.ts"
import * as Layout from "./layout.ts"

/** Another process is collecting. */
export class GcRunning extends Schema.TaggedError<GcRunning>()("GcRunning", {
  root: Schema.String,
  owner: Schema.String
}) {
  override get message() {
    return `another process (${this.owner}) is collecting in ${this.root}; if it is gone, remove ${this.root}/gc.lock`
  }
}

/** After that long a lock of another machine's counts as left behind. */
const DAY = 24 * 60 * 60 * 1000

/** Holds the lock until the scope's end. A lock whose process is dead is taken over. */
export const held = (layout: Layout.Layout, now: number) =>
  Effect.acquireRelease(acquire(layout, now), () => Effect.sync(() => Layout.removeIfThere(pathOf(layout))))

const pathOf = ({ root }: Layout.Layout) => `${root}/gc.lock`

const acquire = Effect.fnUntraced(function* (layout: Layout.Layout, now: number) {
  const path = pathOf(layout)
  const attempt = <A>(use: () => A): Effect.Effect<A, StoreWriteFailed> => Layout.writing(layout, path, use)
  const take = () => {
    try {
      Fs.writeFileSync(path, `${Layout.HOST}-${process.pid}`, { flag: "wx" })
      return true
    } catch (cause) {
      if (Layout.codeOf(cause) === "EEXIST") return false
      throw cause
    }
  }
  if (yield* attempt(take)) return
  const found = yield* attempt(() => look(path))
  if (found !== undefined && !isLeftBehind(found, now))
    return yield* new GcRunning({ root: layout.root, owner: found.owner })
  // Exactly the lock that was looked at: another process may have taken it over meanwhile.
  if (found !== undefined) yield* attempt(() => Layout.setAside(layout, path, "gc.lock", found.identity))
  if (!(yield* attempt(take))) return yield* new GcRunning({ root: layout.root, owner: "which was faster" })
})

const look = (path: string) =>
  Layout.ifThere(() => ({
    identity: Fs.lstatSync(path, { bigint: true }),
    owner: Fs.readFileSync(path, "utf8").slice(0, 100)
  }))

const isLeftBehind = ({ identity, owner }: NonNullable<ReturnType<typeof look>>, now: number): boolean => {
  const pid = Layout.ownerOf(owner)
  if (pid === undefined) return now - Number(identity.mtimeNs / 1_000_000n) > DAY
  try {
    process.kill(pid, 0)
    return false
  } catch (cause) {
    return Layout.codeOf(cause) === "ESRCH"
  }
}
