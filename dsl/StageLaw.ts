/**
 * Laws of stages, stated over calls: they are checked on any calls of any stage that claims them, so stages with the same
 * contract share them. A call that the stage refuses (a typed failure) says nothing about a law.
 */
import { type Arbitrary, Effect, Result } from "effect"
import * as Json from "./Json.ts"
import * as Law from "./Law.ts"
import type { Given } from "./Stage.ts"

/** Runs the stage in memory under one seed. Records come back as an array. Fails where the stage does. */
export type Run = (call: Given) => Effect.Effect<any, unknown, any>

/** `true`, or what is wrong, for people. */
export type Finding = boolean | string

/** How a law of stages is checked. */
export interface Options {
  readonly runs?: number
  /** Calls of its own, where those of the stage seldom meet the law's premise. */
  readonly given?: Arbitrary.Arbitrary<Given>
}

/** A law over the stage itself: `holds` may run it as often as it likes. */
export const make = (
  name: string,
  holds: (run: Run, call: Given) => Effect.Effect<Finding, unknown, any>,
  options: Options = {}
): Law.Law => ({
  name,
  check: (asked = {}) => {
    const { subject } = asked
    if (subject === undefined) {
      const reason = "is a law of stages: it has to be checked with one"
      return Effect.succeed({ _tag: "Broken", law: name, input: undefined, reason, seed: asked.seed ?? 0 })
    }
    const one = (call: Given) => Effect.flatMap(holds(subject.run, call), told)
    return Law.make(name, options.given ?? subject.given, one, options.runs ? { runs: options.runs } : {}).check(asked)
  }
})

const told = (finding: Finding) =>
  typeof finding === "string" ? Effect.fail(new Law.Broken({ reason: finding })) : Effect.succeed(finding)

/** A law of what a call makes. */
export const output = (name: string, holds: (made: any, call: any) => Finding, options?: Options): Law.Law =>
  make(name, (run, call) => accepted(run(call), (made) => holds(made, call)), options)

/**
 * A metamorphic law: how what is made of a changed call relates to what is made of the call. Where `change` returns
 * `undefined` the law has nothing to say; a change of an accepted call that is refused breaks the law.
 */
export const related = (
  name: string,
  change: (call: any, made: any) => Given | undefined,
  holds: (made: any, changed: any, call: any) => Finding,
  options?: Options
): Law.Law =>
  make(
    name,
    (run, call) =>
      Effect.flatMap(Effect.result(run(call)), (first) => {
        if (Result.isFailure(first)) return Effect.succeed(true)
        const other = change(call, first.success)
        if (other === undefined) return Effect.succeed(true)
        return Effect.match(run(other), {
          onFailure: (cause) =>
            `the changed call is refused: ${cause instanceof Error ? cause.message : String(cause)}`,
          onSuccess: (second) => holds(first.success, second, call)
        })
      }),
    options
  )

const accepted = (made: Effect.Effect<any, unknown, any>, holds: (made: any) => Finding) =>
  Effect.map(Effect.result(made), (result) => (Result.isFailure(result) ? true : holds(result.success)))

/** Whether two values are equal as JSON but for their numbers, which may differ by `tolerance * max(1, |a|, |b|)`. */
export const near = (a: unknown, b: unknown, tolerance = 1e-9): Finding => {
  const same = (x: number, y: number) =>
    Object.is(x, y) || Math.abs(x - y) <= tolerance * Math.max(1, Math.abs(x), Math.abs(y))
  const [first] = Json.differences(plain(a), plain(b), same)
  if (first === undefined) return true
  return `${first.at || "it"} is ${JSON.stringify(first.left)} and ${JSON.stringify(first.right)}`
}

const plain = (value: unknown): Json.Json | undefined =>
  value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as Json.Json)

const text = (value: unknown): string => JSON.stringify(plain(value)) ?? "undefined"

/** A call with other records as its piped input. */
export const withInput = (call: any, input: ReadonlyArray<any>): Given => ({ ...call, input })

/** A call with other parameters. */
export const withParams = (call: any, params: object): Given => ({ ...call, params: { ...call.params, ...params } })

/** Makes as many records as it is piped. */
export const sameNumber = output("makes as many records as it is given", (made, { input }) =>
  made.length === input.length ? true : `${made.length} of ${input.length}`
)

/** Every record made is one that was piped, unchanged, no more often than there and in the same order. */
export const subsequence = output(
  "makes some of the records it is given, unchanged and in order",
  (made, { input }) => {
    const given: ReadonlyArray<string> = input.map(text)
    let at = -1
    for (const record of made) {
      at = given.indexOf(text(record), at + 1)
      if (at < 0) return `${text(record)} is not there, or not in its place`
    }
    return true
  }
)

/** `of(made record)` for each record, in order, is `of` the record piped. */
export const keeps = (what: string, of: (record: any) => unknown): Law.Law =>
  output(`keeps ${what} of each record, in order`, (made, { input }) => near(made.map(of), input.map(of), 0))

/** Each record is made of one record piped, and of nothing beside it: of a part of the records comes a part of what is made. */
export const recordByRecord = related(
  "sees each record alone",
  (call) => (call.input.length < 2 ? undefined : withInput(call, call.input.slice(0, -1))),
  (made, fewer) => near(made.slice(0, fewer.length), fewer, 0)
)

/** For stages that make one record of each: of reversed records it makes the same, reversed. */
export const equivariant = (tolerance = 0): Law.Law =>
  related(
    "follows the order of the records",
    (call) => withInput(call, call.input.toReversed()),
    (made, reversed) => near(made.toReversed(), reversed, tolerance)
  )

/** The records, or the value, do not depend on the order of the records piped. */
export const ignoresOrder = (tolerance = 1e-9): Law.Law =>
  related(
    "does not see the order of the records",
    (call) => withInput(call, call.input.toReversed()),
    (made, reversed) => near(unordered(made), unordered(reversed), tolerance)
  )

const unordered = (made: unknown) =>
  Array.isArray(made) ? made.toSorted((a, b) => (text(a) < text(b) ? -1 : 1)) : made

/** Applied to what it made, it makes that again. */
export const idempotent = (tolerance = 0): Law.Law =>
  related(
    "leaves alone what it made",
    (call, made) => ({ ...call, input: made }),
    (made, again) => near(made, again, tolerance)
  )

/** All numbers in what is made, at any depth, satisfy `within`. */
export const numbers = (
  name: string,
  within: (x: number) => boolean,
  of: (made: any) => unknown = (made) => made
): Law.Law =>
  output(name, (made) => {
    const odd = numbersIn(of(made)).find((x) => !within(x))
    return odd === undefined ? true : `one is ${odd}`
  })

/** No number in what is made is infinite or not a number. */
export const finite = numbers("makes finite numbers only", Number.isFinite)

const numbersIn = (value: unknown): ReadonlyArray<number> => {
  if (typeof value === "number") return [value]
  if (typeof value !== "object" || value === null) return []
  return Object.values(value).flatMap(numbersIn)
}
