/**
 * How `Gc` takes files out of use before it deletes them: each is first moved to `trash/`, where everybody who was told
 * that it is there still finds it, and brings it back.
 */
import * as Fs from "node:fs"
import * as Layout from "./layout.ts"

export const objectIn = (root: string, digest: string) => `${root}/trash/object-${digest}`
export const actionIn = (root: string, key: string) => `${root}/trash/action-${key}`
export const runIn = (root: string, run: string) => `${root}/trash/run-${run}`

/**
 * Says that a file is in use, by its time of modification, which keeps it from being collected for a while. False where
 * it is gone: who gets true may rely on it. A file of another user's, whose times are not ours to set, counts as told.
 */
export const touch = (path: string): boolean => {
  const now = new Date()
  try {
    Fs.utimesSync(path, now, now)
    return true
  } catch (cause) {
    const code = Layout.codeOf(cause) ?? ""
    if (code === "ENOENT" || code === "ENOTDIR") return false
    if (NOT_OURS.has(code)) return true
    throw cause
  }
}

const NOT_OURS: ReadonlySet<string> = new Set(["EPERM", "EACCES", "EROFS"])

/** Moves a file back to its place, unless something took that place meanwhile. False where it is gone from the trash. */
export const putBack = (trashed: string, target: string): boolean => {
  const linked = Layout.ifThere(() => {
    try {
      Layout.withFolder(target, () => Fs.linkSync(trashed, target))
    } catch (cause) {
      if (Layout.codeOf(cause) !== "EEXIST") throw cause
    }
    return true
  })
  Layout.ifThere(() => Fs.unlinkSync(trashed))
  return linked === true
}

/** Reads an object's file by `read`; where it is not found, once more after bringing it back from the trash. */
export const withObject = <A>(layout: Layout.Layout, digest: string, read: () => A | undefined): A | undefined => {
  const found = read()
  if (found !== undefined) return found
  const target = layout.object(digest)
  putBack(objectIn(layout.root, digest), target)
  return read()
}
