/** The tiny policy of the laws, and stages called in memory. */
import { Effect } from "effect"
import { recordsOf } from "../../dsl/Artifact.ts"
import * as Partial from "../../dsl/Partial.ts"
import * as Rng from "../../dsl/Rng.ts"
import type * as Stage from "../../dsl/Stage.ts"

export * from "../../stages/laws/tiny.ts"

/** Runs a stage that returns an effect, in memory. Records are given as arrays. */
export const call = <A = any, E = any, R = any>(
  { stage }: { readonly stage: Stage.Any },
  context: {
    readonly params?: object
    readonly input?: ReadonlyArray<unknown>
    readonly inputs?: Readonly<Record<string, unknown>>
    readonly seed?: number
    readonly partial?: Partial.Partial
  }
): Effect.Effect<A, E, R> =>
  Effect.suspend(
    () =>
      stage.run({
        params: stage.params.make((context.params ?? {}) as never),
        input: context.input === undefined ? undefined : recordsOf(context.input),
        inputs: Object.fromEntries(
          Object.entries(context.inputs ?? {}).map(([name, value]) => [
            name,
            Array.isArray(value) ? recordsOf(value) : value
          ])
        ),
        rng: Rng.make(context.seed ?? 0, stage.name),
        partial: context.partial ?? Partial.none
      } as never) as Effect.Effect<A, E, R>
  )
