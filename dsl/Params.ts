/** Parameter schemas that stages and components share: bounded numbers with their defaults. */
import { Cause, Effect, Exit, Schema } from "effect"

/** Gives a parameter a default, both where it is constructed in code and where it is decoded from JSON. */
export const withDefault =
  <S extends Schema.Top & Schema.WithoutConstructorDefault>(fallback: NoInfer<S["Type"]>) =>
  (schema: S): Schema.withConstructorDefault<Schema.withDecodingDefaultTypeKey<S>> =>
    Schema.withConstructorDefault(Effect.succeed(fallback) as Effect.Effect<never>)(
      Schema.withDecodingDefaultTypeKey(Effect.succeed(fallback))(schema)
    ) as never

/** A finite number above 0. */
export const Positive = Schema.Finite.check(Schema.isGreaterThan(0))
/** A finite number, at least 0. */
export const NonNegative = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
/** A number in [0, 1]. */
export const Probability = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
/** An integer, at least 1. */
export const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
/** An integer, at least 0. */
export const Index = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** A text that may become part of a path or of an identifier: letters, digits, `.`, `_`, `-`, not starting with a dot. */
export const Name = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/))

/**
 * The value of a struct's constructor, defaults filled in; throws a `SchemaError` that names the field. Members that the
 * schema does not have are refused: dropped in silence, a misspelt one would leave its default in force.
 */
export const makeUnsafe = (schema: Schema.Struct<any>, input: object): any => {
  const exit = Effect.runSyncExit(
    Effect.mapError(
      schema.makeEffect(input as never, { parseOptions: { onExcessProperty: "error" } }),
      (issue) => new Schema.SchemaError(issue)
    )
  )
  if (Exit.isSuccess(exit)) return exit.value
  throw Cause.squash(exit.cause)
}
