/** Runs stages in memory, and checks laws: what every stage test needs. */
import { assert } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { recordsOf } from "../../dsl/Artifact.ts"
import type * as Law from "../../dsl/Law.ts"
import * as Partial from "../../dsl/Partial.ts"
import * as Rng from "../../dsl/Rng.ts"
import type * as Stage from "../../dsl/Stage.ts"

export interface Call {
  /** As JSON, the way a stored pipeline has them. */
  readonly params?: Readonly<Record<string, unknown>>
  readonly input?: ReadonlyArray<unknown>
  readonly inputs?: Readonly<Record<string, ReadonlyArray<unknown> | undefined>>
  readonly seed?: number
}

/** What a stage of records makes of records. Parameters are decoded, so defaults apply and wrong ones fail. */
export const collect = <A = any, E = any>(
  { stage }: { readonly stage: Stage.Any },
  { input, inputs = {}, params = {}, seed = 0 }: Call
): Effect.Effect<ReadonlyArray<A>, E> =>
  Schema.decodeUnknownEffect(Schema.toCodecJson(stage.params), { onExcessProperty: "error" })(params).pipe(
    Effect.flatMap((decoded) =>
      Stream.runCollect(
        stage.run({
          params: decoded,
          input: input === undefined ? undefined : recordsOf(input),
          inputs: Object.fromEntries(
            Object.entries(inputs).map(([name, items]) => [name, items === undefined ? undefined : recordsOf(items)])
          ),
          rng: Rng.make(seed, stage.name),
          partial: Partial.none
        }) as Stream.Stream<A, E>
      )
    )
  ) as unknown as Effect.Effect<ReadonlyArray<A>, E>

/** Fails the test with the input that breaks a law. */
export const assertLaws = (laws: ReadonlyArray<Law.Law>, options?: Law.CheckOptions) =>
  Effect.forEach(laws, (law) =>
    Effect.map(law.check(options), (verdict) => assert.deepEqual(broken(verdict), undefined, law.name))
  )

/** Asserts that at least one of the laws breaks, and returns their names: a law must kill the bug that it is for. */
export const assertBroken = (laws: ReadonlyArray<Law.Law>, ...names: ReadonlyArray<string>) =>
  Effect.forEach(laws, (law) =>
    Effect.map(law.check(), (verdict) => (verdict._tag === "Broken" ? [law.name] : []))
  ).pipe(Effect.map((found) => assert.includeMembers(found.flat(), [...names])))

const broken = (verdict: Law.Verdict) => (verdict._tag === "Broken" ? JSON.stringify(verdict) : undefined)
