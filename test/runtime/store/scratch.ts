/** Folders for tests, and what tests ask of them. */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Effect, Schema } from "effect"
import * as Artifact from "../../../dsl/Artifact.ts"
import type { Action } from "../../../runtime/store/Action.ts"
import { type ArtifactRef, sha256 } from "../../../runtime/store/ArtifactRef.ts"

/** An empty folder that is gone after the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "prefline-store-")))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

export const Word = Artifact.records("words", Schema.Struct({ word: Schema.String }))
export const Score = Artifact.value("score", Schema.Struct({ score: Schema.Finite }))

/** An artifact of any files, unchecked. */
export const Files = Artifact.folder<"files", ReadonlyArray<{ name: string; bytes: Iterable<Uint8Array> }>>("files", {
  encode: (files) => Effect.succeed(files),
  decode: () => Effect.die("not decoded in tests"),
  compare: () => {
    throw new Error("not compared in tests")
  }
})

export const keyOf = (text: string) => sha256(text)

export const action = (key: string, output: ArtifactRef): Action => ({
  key,
  stage: "score",
  output,
  parts: { params: { beta: 0.1, zero: -0 } },
  ms: 12,
  numerics: null,
  versions: { prefline: "0.1.0", node: "v24", effect: "4.1.0" }
})

export const objectPath = (root: string, digest: string) => `${root}/objects/${digest.slice(0, 2)}/${digest.slice(2)}`
export const actionPath = (root: string, key: string) => `${root}/actions/${key.slice(0, 2)}/${key.slice(2)}.json`

/** The files that this process holds open below a folder. */
export const openBelow = (root: string): ReadonlyArray<string> =>
  Fs.readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = Fs.readlinkSync(`/proc/self/fd/${fd}`)
      return target.startsWith(root) ? [target] : []
    } catch {
      return [] // the handle that listed the folder
    }
  })
