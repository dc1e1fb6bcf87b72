/** What a person sees while a run goes on. */
import { Effect, type Scope } from "effect"
import type { Sink } from "../Output.ts"
import * as Live from "./live.ts"
import * as Plain from "./plain.ts"
import type { Listener, Many } from "./progress.ts"

/**
 * Lines that are redrawn on a terminal; plain ones elsewhere. The scope's end leaves only lines that stay. `many` is for
 * runs that go on side by side and have most of their nodes in common.
 */
export const make = (sink: Sink, many?: Many): Effect.Effect<Listener, never, Scope.Scope> =>
  sink.isTerminal ? Live.make(sink, many) : Effect.sync(() => Plain.make(sink, many))
