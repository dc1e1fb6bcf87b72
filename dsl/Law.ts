/** A property of a stage or a component, stated once beside it, over inputs generated from schemas. */
import { Arbitrary, Effect, Schema, SchemaGetter } from "effect"

/** `R` is what checking the law needs, e.g. a device. */
export interface Law<out R = any> {
  readonly name: string
  readonly check: (options?: CheckOptions) => Effect.Effect<Verdict, never, R>
}

/** How a law is tried, and on what. */
export interface CheckOptions {
  /** How many inputs are tried; 100 unless told. */
  readonly runs?: number
  /** Where generation starts; the same seed tries the same inputs. */
  readonly seed?: number
  /** The `replay` of a broken verdict: tries that shrunk input alone. */
  readonly replay?: string
  /** What a law of stages (`StageLaw`) is checked on; other laws bring their own inputs. */
  readonly subject?: Subject
}

/** Something that can be called with generated inputs: a stage in memory. `run` fails where the call is refused. */
export interface Subject {
  readonly given: Arbitrary.Arbitrary<any>
  readonly run: (call: any) => Effect.Effect<any, unknown, any>
}

/** What came out: the law held on `runs` inputs, or it broke on one, shrunk to the simplest found. */
export type Verdict =
  | { readonly _tag: "Holds"; readonly runs: number }
  | {
      readonly _tag: "Broken"
      readonly law: string
      readonly input: unknown
      readonly reason: string
      readonly seed: number
      /** Finds the input again under the same law; absent where the law could not be tried. */
      readonly replay?: string
    }

/** Fails a law with the reason that a person should read. */
export class Broken extends Schema.TaggedError<Broken>()("Broken", { reason: Schema.String }) {
  override get message() {
    return this.reason
  }
}

/**
 * A law over generated inputs: `holds` returns or yields a boolean, or fails (`Broken` carries the reason). Failures
 * are shrunk.
 *
 * @example
 * ```ts
 * import { Arbitrary, Effect } from "effect"
 * import { Law } from "prefline/dsl"
 *
 * const Numbers = Arbitrary.array(Arbitrary.schema(Law.Real(-5, 5)), { maxLength: 8 })
 * const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, number) => total + number, 0)
 *
 * const order = Law.make("does not depend on order", Numbers, (numbers) => {
 *   return Math.abs(sum(numbers) - sum(numbers.toReversed())) < 1e-9
 * })
 *
 * const verdict = await Effect.runPromise(order.check({ seed: 1 }))
 * if (verdict._tag !== "Holds") throw new Error(verdict.reason)
 * ```
 */
export const make = <A, R = never>(
  name: string,
  given: Arbitrary.Arbitrary<A>,
  holds: (input: A) => boolean | Effect.Effect<boolean, unknown, R>,
  defaults: CheckOptions = {}
): Law<R> => ({
  name,
  check: (options = {}) => {
    const seed = options.seed ?? defaults.seed ?? 0
    return Arbitrary.checkEffect(
      given,
      (input) => {
        const held = holds(input)
        return typeof held === "boolean" ? held : Effect.catchDefect(held, (defect) => Effect.fail(defect))
      },
      { seed, runs: options.runs ?? defaults.runs ?? 100, ...(options.replay && { replay: options.replay }) }
    ).pipe(
      Effect.map((result): Verdict => {
        if (result._tag === "Passed") return { _tag: "Holds", runs: result.runs }
        if (result._tag !== "Falsified") return untried(name, seed, result)
        const { failure, replay, shrunkInput: input } = result
        return { _tag: "Broken", law: name, input, reason: reasonOf(failure), seed, replay }
      })
    )
  }
})

const untried = (law: string, seed: number, result: Arbitrary.Exhausted | Arbitrary.ReplayMismatch): Verdict => {
  const why = result._tag === "Exhausted" ? "nearly all inputs are discarded" : `the case holds now (${result.reason})`
  return { _tag: "Broken", law, input: undefined, reason: `could not be tried: ${why}`, seed }
}

const reasonOf = (failure: Arbitrary.PropertyFailure<unknown>): string => {
  if (failure._tag === "ReturnedFalse") return "does not hold"
  const cause: unknown = (failure as { readonly error?: unknown }).error ?? failure
  return cause instanceof Error ? cause.message : String(cause)
}

/**
 * A finite real in [minimum, maximum], generated on a grid of 1e-5. (`Finite` with bounds is generated nearly always
 * near zero or at a bound, so laws over it would try almost nothing.)
 */
export const Real = (minimum: number, maximum: number): Schema.Codec<number> =>
  Schema.declare((u): u is number => typeof u === "number" && u >= minimum && u <= maximum, {
    expected: `a number between ${minimum} and ${maximum}`,
    toCodecJson: () => undefined,
    toCodecArbitrary: () =>
      Schema.link<number>()(
        Schema.Int.check(Schema.isBetween({ minimum: Math.ceil(minimum * 1e5), maximum: Math.floor(maximum * 1e5) })),
        { decode: SchemaGetter.transform((n) => n / 1e5), encode: SchemaGetter.transform((x) => Math.round(x * 1e5)) }
      )
  })
