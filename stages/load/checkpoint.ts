import { createHash } from "node:crypto"
import { Effect, FileSystem, Path, Schema } from "effect"
import * as Checkpoint from "../../dsl/Checkpoint.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Stage from "../../dsl/Stage.ts"

/** A checkpoint folder cannot be read. */
export class CheckpointUnreadable extends Schema.TaggedError<CheckpointUnreadable>()("CheckpointUnreadable", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `checkpoint folder ${this.path}: ${this.problem}`
  }
}

/**
 * A language model from a Hugging Face folder: `config.json`, `model.safetensors`, `tokenizer.json` and, where there is
 * one, `tokenizer_config.json`. The files' content enters the key; the path does not.
 */
export const checkpoint = Stage.make({
  name: "load.checkpoint",
  description: "A language model from a Hugging Face folder",
  module: import.meta.url,
  params: { path: Schema.NonEmptyString },
  output: CheckpointFolder,
  source: {
    params: ["path"],
    fingerprint: ({ path }) =>
      Effect.map(readFolder(path), (files) =>
        Object.fromEntries([...files].map(([name, bytes]) => [name, createHash("sha256").update(bytes).digest("hex")]))
      )
  },
  run: ({ params }) => Effect.flatMap(readFolder(params.path), Checkpoint.fromFiles)
})

const readFolder = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const unreadable = (cause: Error) => new CheckpointUnreadable({ path: folder, problem: cause.message })
  const present = yield* fs.readDirectory(folder).pipe(Effect.mapError(unreadable))
  const wanted = Checkpoint.FileName.literals.filter((name) => present.includes(name))
  const files = yield* Effect.forEach(wanted, (name) =>
    fs.readFile(path.join(folder, name)).pipe(
      Effect.map((bytes) => [name, bytes] as const),
      Effect.mapError(unreadable)
    )
  )
  return new Map<string, Uint8Array>(files)
})
