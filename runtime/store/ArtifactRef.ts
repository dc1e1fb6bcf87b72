/** The address of a stored artifact: what it is, and the content of each of its files. */
import { hash } from "node:crypto"
import { Schema } from "effect"
import * as Json from "../../dsl/Json.ts"
import { Index, Name } from "../../dsl/Params.ts"

/** A SHA-256 in lower-case hexadecimal digits. */
export const Digest = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))
export type Digest = typeof Digest.Type

export const FileRef = Schema.Struct({ name: Name, digest: Digest, bytes: Index })
export type FileRef = typeof FileRef.Type

/** `digest` covers the artifact's name and its files' names and contents; files stand in the order of their names. */
export const ArtifactRef = Schema.Struct({
  artifact: Schema.NonEmptyString,
  digest: Digest,
  files: Schema.Array(FileRef)
})
export type ArtifactRef = typeof ArtifactRef.Type

/** The address of an artifact with these files, whatever order they were written in. */
export const make = (artifact: string, files: ReadonlyArray<FileRef>): ArtifactRef => {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  return { artifact, digest: digestOf(artifact, sorted), files: sorted }
}

/** Whether the digest is that of the files: false for an address that was altered. */
export const isConsistent = (ref: ArtifactRef): boolean => digestOf(ref.artifact, ref.files) === ref.digest

const digestOf = (artifact: string, files: ReadonlyArray<FileRef>): Digest =>
  sha256(Json.canonicalUnsafe({ artifact, files: files.map(({ digest, name }) => ({ name, digest })) }))

export const sha256 = (content: string | Uint8Array): Digest => hash("sha256", content, "hex")
