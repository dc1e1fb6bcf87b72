/**
 * The action table: one small file a key. Entries are written without fsync: after a power cut an entry may be torn or
 * gone, which its own digest shows and which costs one recomputation; the objects it names were synced before.
 */
import * as Fs from "node:fs"
import { Effect, Option, Schema } from "effect"
import * as Action from "../Action.ts"
import { Digest } from "../ArtifactRef.ts"
import { StoreReadFailed, StoreWriteFailed } from "../StoreError.ts"
import * as Layout from "./layout.ts"
import * as Objects from "./objects.ts"
import * as Trash from "./trash.ts"

const isKey = Schema.is(Digest)

export const keyProblem = (key: string): string | undefined =>
  isKey(key) ? undefined : `${JSON.stringify(key)} is no key: a key has 64 digits, 0-9 and a-f`

/** The entry of a key. A torn or altered entry is set aside and counts as none. */
export const lookup = (
  layout: Layout.Layout,
  key: string
): Effect.Effect<Option.Option<Action.Action>, StoreReadFailed> =>
  Effect.suspend(() => {
    const problem = keyProblem(key)
    if (problem !== undefined) return Effect.fail(new StoreReadFailed({ path: "actions", problem }))
    const path = layout.action(key)
    return Effect.try({
      try: () => {
        const text = Layout.readIfThere(path)?.toString("utf8")
        if (text === undefined) return Option.none()
        const action = Action.fromText(key, text)
        if (Option.isNone(action)) return setAsideUnlessWhole(layout, key)
        // Who is told of an entry may rely on it: it is now in use, or was just taken away and counts as none.
        return Trash.touch(path) ? action : Option.none()
      },
      catch: Layout.readFailed(layout, path)
    })
  })

/** Looks again, now knowing which file it looks at, for another process may be replacing it. */
const setAsideUnlessWhole = (layout: Layout.Layout, key: string): Option.Option<Action.Action> => {
  const path = layout.action(key)
  const found = read(path)
  if (found === undefined) return Option.none()
  const action = Action.fromText(key, found.text)
  if (Option.isNone(action)) Layout.setAside(layout, path, `action-${key}`, found.identity)
  return action
}

const read = (path: string): { readonly text: string; readonly identity: Layout.Identity } | undefined =>
  Layout.ifThere(() => {
    const fd = Fs.openSync(path, "r")
    try {
      return { identity: Fs.fstatSync(fd, { bigint: true }), text: Fs.readFileSync(fd, "utf8") }
    } finally {
      Fs.closeSync(fd)
    }
  })

/**
 * Puts an entry in force and returns the one in force: an entry that is there already stays, so that all who computed
 * this key go on with one output. With `replace`, an entry gives way whose output is no longer intact.
 */
export const record = Effect.fnUntraced(function* (layout: Layout.Layout, action: Action.Action, replace: boolean) {
  const problem = keyProblem(action.key)
  if (problem !== undefined) return yield* new StoreWriteFailed({ path: "actions", problem })
  const path = layout.action(action.key)
  const temporary = layout.temporary()
  const prepare = Layout.writing(layout, path, () =>
    Layout.withFolder(temporary, () => Fs.writeFileSync(temporary, Action.toText(action), { flag: "wx" }))
  )
  const putInForce = Effect.gen(function* () {
    while (true) {
      if (yield* Layout.writing(layout, path, () => linkedFirst(temporary, path))) return action
      const existing = yield* Layout.writing(layout, path, () => read(path))
      if (existing === undefined) continue
      const entry = Action.fromText(action.key, existing.text)
      if (Option.isSome(entry)) {
        if (!replace) return entry.value
        const state = yield* Objects.inspect(layout, entry.value.output).pipe(
          Effect.mapError(({ path, problem }) => new StoreWriteFailed({ path, problem }))
        )
        if (state === "intact") return entry.value
      }
      yield* Layout.writing(layout, path, () =>
        Layout.setAside(layout, path, `action-${action.key}`, existing.identity)
      )
    }
  })
  return yield* prepare.pipe(
    Effect.andThen(putInForce),
    Effect.ensuring(Effect.sync(() => Layout.removeIfThere(temporary)))
  )
})

/** A hard link appears whole and fails where the name is taken: of several writers exactly one is first. */
const linkedFirst = (temporary: string, path: string): boolean => {
  try {
    Layout.withFolder(path, () => Fs.linkSync(temporary, path))
    return true
  } catch (cause) {
    if (Layout.codeOf(cause) === "EEXIST") return false
    throw cause
  }
}
