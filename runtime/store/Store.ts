/**
 * The store: objects under the digest of their content, and the action table that says which output a key had. Many
 * processes may share one. Killing any of them at any time costs only what it had not finished; damage is noticed by
 * digest, set aside and computed again.
 *
 * ```
 * <root>/format.json            the version of this layout
 *        objects/ab/cdef…       files of artifacts, by the SHA-256 of their bytes
 *        actions/ab/cdef….json  what is known of a key, by the key
 *        partial/<key>          state of an unfinished computation
 *        runs/<run>/            journals
 *        quarantine/            damaged objects and entries, for whoever wants to know what happened
 *        tmp/                   files being written
 * ```
 */
import { Context, Effect, Layer, type Option, type Stream } from "effect"
import type * as Artifact from "../../dsl/Artifact.ts"
import type * as Partial from "../../dsl/Partial.ts"
import type { Action } from "./Action.ts"
import type { ArtifactRef } from "./ArtifactRef.ts"
import * as Actions from "./internal/actions.ts"
import * as Objects from "./internal/objects.ts"
import { open } from "./internal/open.ts"
import * as Partials from "./internal/partials.ts"
import type { StoreReadFailed, StoreUnusable, StoreWriteFailed } from "./StoreError.ts"

type Produced = Effect.Effect<any, any, any> | Stream.Stream<any, any, any>
type ErrorOf<P> =
  P extends Effect.Effect<any, infer E, any> ? E : P extends Stream.Stream<any, infer E, any> ? E : never
type ServicesOf<P> =
  P extends Effect.Effect<any, any, infer R> ? R : P extends Stream.Stream<any, any, infer R> ? R : never

export class Store extends Context.Service<
  Store,
  {
    /** The store's folder, as an absolute path. */
    readonly root: string
    /** Encodes what a stage produced, streams it to disk and returns its address. All of it is synced by then. */
    readonly write: <A extends Artifact.Any, P extends Artifact.Output<A> & Produced>(
      artifact: A,
      produced: P
    ) => Effect.Effect<ArtifactRef, ErrorOf<P> | Artifact.ArtifactInvalid | StoreWriteFailed, ServicesOf<P>>
    /** The files of an artifact. Bytes that are not the recorded ones fail with `ArtifactUnreadable`. */
    readonly open: (ref: ArtifactRef) => Artifact.FileSource
    /** Decodes an artifact. Records decode, and are verified, as they are streamed. */
    readonly read: <A extends Artifact.Any>(
      artifact: A,
      ref: ArtifactRef
    ) => Effect.Effect<Artifact.Value<A>, Artifact.DecodeError>
    /** Re-hashes all files of an artifact; damaged ones are moved to the quarantine. */
    readonly inspect: (ref: ArtifactRef) => Effect.Effect<Objects.State, StoreReadFailed>
    /** What is known of a key. A torn or altered entry is set aside and counts as none. */
    readonly lookup: (key: string) => Effect.Effect<Option.Option<Action>, StoreReadFailed>
    /**
     * Puts an entry in force, once its objects are written, and returns the entry in force, which every caller has to
     * go on with: the first one recorded stays. With `replace` it gives way if its output is no longer intact.
     */
    readonly record: (
      action: Action,
      options?: { readonly replace?: boolean }
    ) => Effect.Effect<Action, StoreWriteFailed>
    /** Where the computation with this key keeps state between interruptions. */
    readonly partial: (key: string) => Partial.Partial
    readonly dropPartial: (key: string) => Effect.Effect<void, StoreWriteFailed>
  }
>()("prefline/runtime/Store") {
  /** The store in this folder, which is made if it does not exist. */
  static readonly layer = (root: string): Layer.Layer<Store, StoreUnusable> =>
    Layer.effect(
      Store,
      Effect.map(open(root), (layout) =>
        Store.of({
          root: layout.root,
          write: (artifact, produced) =>
            Objects.write(layout, artifact, produced) as Effect.Effect<ArtifactRef, any, any>,
          open: (ref) => Objects.open(layout, ref),
          read: (artifact, ref) => artifact.decode(Objects.open(layout, ref)),
          inspect: (ref) => Objects.inspect(layout, ref),
          lookup: (key) => Actions.lookup(layout, key),
          record: (action, options) => Actions.record(layout, action, options?.replace ?? false),
          partial: (key) => Partials.partial(layout, key),
          dropPartial: (key) => Partials.drop(layout, key)
        })
      )
    )
}
