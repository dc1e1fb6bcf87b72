/** What a tournament runs: every method at every strength, on the labels as they are and on labels of which some are flipped. */
import { Schema } from "effect"
import type * as Node from "../../dsl/Node.ts"
import { Positive, Probability, withDefault } from "../../dsl/Params.ts"
import type { Testbed } from "../../dsl/Pipeline.ts"
import { StageMisused } from "../../dsl/Stage.ts"
import { type Contestant, fitting } from "./contestants.ts"

/** Parameters of every tournament. */
export const fields = {
  /** Who takes part, by name; all that fit where it is empty. */
  methods: Schema.Array(Schema.String).pipe(withDefault([] as ReadonlyArray<string>)),
  /** Strengths to try in place of a method's own, by name; `*` is all that have one. */
  strengths: Schema.Record(Schema.String, Schema.Array(Positive)).pipe(
    withDefault({} as Readonly<Record<string, ReadonlyArray<number>>>)
  ),
  /** The share of labels that are flipped in the second training; 0 leaves it out. */
  flip: Probability.pipe(withDefault(0.2))
}

export interface Options {
  readonly methods: ReadonlyArray<string>
  readonly strengths: Readonly<Record<string, ReadonlyArray<number>>>
  readonly flip: number
}

export type Labels = "clean" | "flipped"

/** One training. */
export interface Entrant {
  /** Unique: `dpo/0.1/clean`. */
  readonly name: string
  readonly contestant: Contestant
  readonly strength: number
  readonly labels: Labels
}

/** The methods that were asked for, in the registry's order. Throws `StageMisused` for one that there is not. */
export const taking = (testbed: Testbed, methods: ReadonlyArray<string>): ReadonlyArray<Contestant> => {
  const known = fitting(testbed)
  const unknown = methods.find((name) => known.every((contestant) => contestant.name !== name))
  if (unknown !== undefined)
    throw misused(`${unknown} does not take part; known: ${known.map(({ name }) => name).join(", ")}`)
  return methods.length === 0 ? known : known.filter(({ name }) => methods.includes(name))
}

/** All trainings of a tournament, weakest names first as the registry has them. Throws `StageMisused`. */
export const entrants = (testbed: Testbed, { flip, methods, strengths }: Options): ReadonlyArray<Entrant> => {
  const known = fitting(testbed).map(({ name }) => name)
  const stray = Object.keys(strengths).find((name) => name !== "*" && !known.includes(name))
  if (stray !== undefined) throw misused(`strengths of ${stray}, which is no method here; known: ${known.join(", ")}`)
  return taking(testbed, methods).flatMap((contestant) =>
    gridOf(contestant, testbed, strengths).flatMap((strength) =>
      (flip > 0 ? (["clean", "flipped"] as const) : (["clean"] as const)).map(
        (labels): Entrant => ({ name: `${contestant.name}/${strength}/${labels}`, contestant, strength, labels })
      )
    )
  )
}

/** Strengths from small to large, each once. */
const gridOf = ({ grid, name, parameter }: Contestant, testbed: Testbed, strengths: Options["strengths"]) => {
  const asked = strengths[name] ?? (parameter === undefined ? undefined : strengths["*"])
  const values = asked === undefined || asked.length === 0 ? grid[testbed] : asked
  return [...new Set(values)].sort((a, b) => a - b)
}

/** Every entrant's nodes by `<entrant>/<part>`. */
export const laidOut = (
  entrants: ReadonlyArray<Entrant>,
  make: (entrant: Entrant) => Readonly<Record<string, Node.Any>>
): Readonly<Record<string, Node.Any>> =>
  Object.fromEntries(
    entrants.flatMap((entrant) =>
      Object.entries(make(entrant)).map(([part, node]) => [`${entrant.name}/${part}`, node] as const)
    )
  )

const misused = (problem: string) => new StageMisused({ stage: "tournament", problem })
