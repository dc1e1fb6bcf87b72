import { createHash } from "node:crypto"
import { Effect, FileSystem, Path, Schema } from "effect"
import * as Checkpoint from "../../dsl/Checkpoint.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Hub from "./Hub.ts"

/** A checkpoint folder cannot be read. */
export class CheckpointUnreadable extends Schema.TaggedError<CheckpointUnreadable>()("CheckpointUnreadable", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `checkpoint folder ${this.path}: ${this.problem}`
  }
}

/** It was not told, or told twice, where the checkpoint is. */
export class CheckpointPlace extends Schema.TaggedError<CheckpointPlace>()("CheckpointPlace", {}) {
  override get message() {
    return "load.checkpoint wants either a folder, as path, or a repository of the Hugging Face Hub, as hub"
  }
}

/**
 * A language model from a Hugging Face folder: `config.json`, `model.safetensors` (or the files that
 * `model.safetensors.index.json` names), `tokenizer.json` and, where there are such, `tokenizer_config.json` and
 * `chat_template.jinja`. The files' content enters the key; the path does not.
 * **Details** Instead of a `path`, `hub` names a repository of the Hub, `owner/name`, and `revision` a branch, a tag or a
 * commit of it (`main` unless told). The commit that it stands for enters the key.
 */
export const checkpoint = Stage.make({
  name: "load.checkpoint",
  description: "A language model from a Hugging Face folder, or from the Hub",
  module: import.meta.url,
  params: {
    path: Schema.optionalKey(Schema.NonEmptyString),
    hub: Schema.optionalKey(Hub.RepositoryName),
    revision: Schema.optionalKey(Hub.Revision)
  },
  output: CheckpointFolder,
  source: {
    params: ["path", "hub", "revision"],
    fingerprint: (place) =>
      Effect.gen(function* () {
        const from = yield* placeOf(place)
        if (from._tag === "Hub")
          return { hub: from.repository.name, commit: (yield* Hub.resolve(from.repository)).commit }
        const files = yield* readFolder(from.path)
        return Object.fromEntries(
          [...files].map(([name, bytes]) => [name, createHash("sha256").update(bytes).digest("hex")])
        )
      })
  },
  run: ({ params }) =>
    Effect.gen(function* () {
      const from = yield* placeOf(params)
      return yield* Checkpoint.fromFiles(yield* from._tag === "Hub" ? readHub(from.repository) : readFolder(from.path))
    })
})

interface Place {
  readonly path?: string
  readonly hub?: string
  readonly revision?: string
}

type Found =
  | { readonly _tag: "Hub"; readonly repository: Hub.Repository }
  | { readonly _tag: "Folder"; readonly path: string }

const placeOf = ({ hub, path, revision }: Place): Effect.Effect<Found, CheckpointPlace> => {
  if (hub !== undefined && path === undefined)
    return Effect.succeed({ _tag: "Hub", repository: { type: "model", name: hub, revision: revision ?? "main" } })
  return path !== undefined && hub === undefined && revision === undefined
    ? Effect.succeed({ _tag: "Folder", path })
    : Effect.fail(new CheckpointPlace())
}

const readFolder = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const unreadable = (cause: Error) => new CheckpointUnreadable({ path: folder, problem: cause.message })
  const present = yield* fs.readDirectory(folder).pipe(Effect.mapError(unreadable))
  const read = (name: string) => Effect.mapError(fs.readFile(path.join(folder, name)), unreadable)
  return yield* gather(present, read)
})

/** What a checkpoint folder says of its tokenizer, the chat template included. */
export const tokenizerConfig = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const unreadable = (cause: Error) => new CheckpointUnreadable({ path: folder, problem: cause.message })
  const present = yield* fs.readDirectory(folder).pipe(Effect.mapError(unreadable))
  const files = new Map<string, Uint8Array>()
  for (const name of ["tokenizer_config.json", Checkpoint.CHAT_TEMPLATE].filter((name) => present.includes(name)))
    files.set(name, yield* Effect.mapError(fs.readFile(path.join(folder, name)), unreadable))
  return yield* Checkpoint.tokenizerConfigOf(files)
})

const readHub = Effect.fnUntraced(function* (repository: Hub.Repository) {
  const resolved = yield* Hub.resolve(repository)
  return yield* gather([...resolved.files.keys()], (name) => Hub.read(resolved, name))
})

/** The files that a checkpoint is made of, out of those that are there. */
const gather = Effect.fnUntraced(function* <E, R>(
  present: ReadonlyArray<string>,
  read: (name: string) => Effect.Effect<Uint8Array, E, R>
) {
  const inPieces = !present.includes("model.safetensors") && present.includes(Checkpoint.INDEX)
  if (!inPieces && !present.includes("model.safetensors")) {
    const detail = Checkpoint.missing("model.safetensors", present)
    return yield* new Checkpoint.CheckpointInvalid({ file: "model.safetensors", problem: "missing", detail })
  }
  const known = [...Checkpoint.FileName.literals, Checkpoint.CHAT_TEMPLATE, ...(inPieces ? [Checkpoint.INDEX] : [])]
  const files = new Map<string, Uint8Array>()
  const take = (names: ReadonlyArray<string>) =>
    Effect.forEach(
      names.filter((name) => present.includes(name)),
      (name) => Effect.map(read(name), (bytes) => files.set(name, bytes))
    )
  yield* take(known)
  if (inPieces) yield* take((yield* Checkpoint.shardsOf(files.get(Checkpoint.INDEX)!)).names)
  return files
})
