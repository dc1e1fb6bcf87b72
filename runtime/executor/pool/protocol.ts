/** What the main process and a worker process say to each other. Both run the same code, so nothing is decoded. */
import type * as Json from "../../../dsl/Json.ts"
import type { Report } from "../../../dsl/Progress.ts"
import type { ArtifactRef } from "../../store/ArtifactRef.ts"
import type { Failure } from "../RemoteFailure.ts"

/** What a worker is started with. */
export interface Setting {
  /** The store's folder: all that the processes share. */
  readonly root: string
  /** The kind of its device. */
  readonly device: string
  /** The folder in which Node keeps compiled code, where the process uses one; each worker has to be told. */
  readonly compiled: string | undefined
}

/** The span that a task belongs to, where the main process has one. */
export interface Trace {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/** At most one task is under way at a time. */
export type ToWorker =
  | { readonly _tag: "Run"; readonly task: string; readonly trace: Trace | undefined }
  | { readonly _tag: "Interrupt" }
  | { readonly _tag: "Close" }

export type FromWorker =
  | { readonly _tag: "Ready"; readonly numerics: Json.JsonObject | null }
  | { readonly _tag: "Unready"; readonly problem: string }
  | { readonly _tag: "Reported"; readonly report: Report }
  | { readonly _tag: "Done"; readonly output: ArtifactRef }
  | { readonly _tag: "Failed"; readonly failure: Failure }
  /** Its last word. */
  | { readonly _tag: "Dying"; readonly reason: string }
