/** What a tournament is asked for on the command line, and what is wrong with it. */
import { Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import type { Standing } from "./Tournament.ts"

/** A name that is no method of the testbed. */
export class MethodUnknown extends Schema.TaggedError<MethodUnknown>()("MethodUnknown", {
  name: Schema.String,
  testbed: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    return `no method ${JSON.stringify(this.name)} on the testbed ${this.testbed}; known: ${this.known.join(", ")}`
  }
}

/** The modules of the tournament's pipelines cannot be imported. */
export class ArenasUnavailable extends Schema.TaggedError<ArenasUnavailable>()("ArenasUnavailable", {
  cause: Schema.Defect()
}) {
  override get message() {
    return `the tournament cannot be loaded: ${this.cause instanceof Error ? this.cause.message : this.cause}`
  }
}

/** Imports the pipelines, which import their stages. */
export const load = Effect.tryPromise({
  try: () => import("../../../pipelines/tournament/index.ts"),
  catch: (cause) => new ArenasUnavailable({ cause })
})

/** `dpo,simpo`. */
const names = (text: string): ReadonlyArray<string> => [...new Set(text.split(",").map((name) => name.trim()))]

export const methods = Flag.String("methods").pipe(
  Flag.withMetavar("<name,name,…>"),
  Flag.withDescription("Who takes part; all that fit the testbed unless told"),
  Flag.map(names),
  Flag.withDefault([] as ReadonlyArray<string>)
)

export const flip = Flag.String("flip").pipe(
  Flag.withMetavar("<share>"),
  Flag.withDescription("The share of labels that are flipped in a second training; 0 leaves it out"),
  Flag.filterMap(
    (text) => {
      const share = Number(text)
      return text.trim() !== "" && share >= 0 && share < 1 ? Option.some(share) : Option.none()
    },
    (text) => `a number from 0 to below 1; got ${JSON.stringify(text)}`
  ),
  Flag.withDefault(0.2)
)

/** Strengths by method; `*` for all that have one. */
export type Grid = Readonly<Record<string, ReadonlyArray<number>>>

/** `0.1,0.5`, or `dpo=0.1,0.5`. */
export const parseGrid = (texts: ReadonlyArray<string>): Option.Option<Grid> => {
  const grid = new Map<string, ReadonlyArray<number>>()
  for (const text of texts) {
    const [, name = "*", list] = /^(?:([^=,]+)=)?([^=]+)$/.exec(text.trim()) ?? []
    const values = (list ?? "").split(",").map((value) => (value.trim() === "" ? Number.NaN : Number(value)))
    if (grid.has(name) || !values.every((value) => Number.isFinite(value) && value > 0)) return Option.none()
    grid.set(name, values)
  }
  return Option.some(Object.fromEntries(grid))
}

export const grid = Flag.String("grid").pipe(
  Flag.withMetavar("<[method=]value,value,…>"),
  Flag.withDescription("Strengths (beta, tau, …) to try: of one method, or of all that have one (repeatable)"),
  Flag.atLeast(0),
  Flag.filterMap(parseGrid, (texts) => `0.1,0.5 or dpo=0.1,0.5, above 0 and each once; got ${texts.join(" ")}`)
)

/** Fails for the first method that there is not. */
export const check = (
  { methods, strengths }: { readonly methods: ReadonlyArray<string>; readonly strengths: Grid },
  testbed: string,
  known: ReadonlyArray<string>
): Effect.Effect<void, MethodUnknown> => {
  const name = [...methods, ...Object.keys(strengths)].find((name) => name !== "*" && !known.includes(name))
  return name === undefined ? Effect.void : Effect.fail(new MethodUnknown({ name, testbed, known }))
}

/** What failed, for the end of a command whose table is printed. */
export const complaint = (standings: ReadonlyArray<Standing>): string => {
  const failed = standings.filter(({ problems }) => problems.length > 0).map(({ method }) => method)
  return failed.length === 0 ? "some of what was measured failed" : `failed in part: ${failed.join(", ")}`
}
