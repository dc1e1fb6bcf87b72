/** Partial states of long stages: one file a key, its digest in front. */
import * as Fs from "node:fs"
import { Effect, Option, Schema } from "effect"
import { Name } from "../../../dsl/Params.ts"
import * as Partial from "../../../dsl/Partial.ts"
import { sha256 } from "../ArtifactRef.ts"
import { StoreWriteFailed } from "../StoreError.ts"
import * as Layout from "./layout.ts"
import * as Temporary from "./temporary.ts"

const MAGIC = "prefline partial 1 "
const HEADER = MAGIC.length + 64 + 1

export const partial = (layout: Layout.Layout, key: string): Partial.Partial => {
  const path = layout.partial(key)
  const problem = nameProblem(key)
  if (problem !== undefined) {
    return {
      load: Effect.die(new RangeError(problem)),
      save: () => Effect.fail(new Partial.PartialUnwritable({ cause: new RangeError(problem) }))
    }
  }
  return {
    load: Effect.tryPromise({ try: () => Fs.promises.readFile(path), catch: (cause) => cause }).pipe(
      Effect.uninterruptible, // so that the file is closed when the effect ends
      Effect.map(payloadOf),
      Effect.catch((cause) =>
        Layout.codeOf(cause) === "ENOENT"
          ? Effect.succeedNone
          : Effect.as(Effect.logWarning(Layout.readFailed(layout, path)(cause).message), Option.none())
      )
    ),
    save: (state) =>
      Temporary.use(layout, (temporary) =>
        temporary
          .write(Buffer.from(`${MAGIC}${sha256(state)}\n`))
          .pipe(Effect.andThen(temporary.write(state)), Effect.andThen(temporary.moveTo(path)))
      ).pipe(Effect.mapError((cause) => new Partial.PartialUnwritable({ cause })))
  }
}

const isName = Schema.is(Name)

/** The key becomes a file's name. */
const nameProblem = (key: string): string | undefined =>
  isName(key)
    ? undefined
    : `${JSON.stringify(key)} is no key: letters, digits, ".", "_" and "-", at most 100, no dot first`

const payloadOf = (bytes: Buffer): Option.Option<Uint8Array> => {
  const payload = bytes.subarray(HEADER)
  return bytes.toString("latin1", 0, HEADER) === `${MAGIC}${sha256(payload)}\n` ? Option.some(payload) : Option.none()
}

export const drop = (layout: Layout.Layout, key: string): Effect.Effect<void, StoreWriteFailed> =>
  Effect.suspend(() => {
    const problem = nameProblem(key)
    if (problem !== undefined) return Effect.fail(new StoreWriteFailed({ path: "partial", problem }))
    return Layout.writing(layout, layout.partial(key), () => Layout.removeIfThere(layout.partial(key)))
  })
