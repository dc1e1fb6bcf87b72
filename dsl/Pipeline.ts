/**
 * A pipeline: a named, parametrised function to a record of nodes, with the paper it reproduces and the checks that the
 * paper's claim turns into. Building one runs nothing.
 */
import { Effect, Schema, Struct } from "effect"
import type * as Check from "./Check.ts"
import { ComponentInvalid, isComponent } from "./Component.ts"
import * as Graph from "./Graph.ts"
import type * as Json from "./Json.ts"
import * as Node from "./Node.ts"
import { makeUnsafe, Name, withDefault } from "./Params.ts"
import { StageMisused } from "./Stage.ts"

/** Marks pipelines. */
export const TypeId = "~prefline/dsl/Pipeline"

/** A pipeline's outputs: nodes by name. */
export type Outputs = Readonly<Record<string, Node.Any>>

/** The paper of a method. `arxiv` is its identifier there. */
export interface Paper {
  readonly title: string
  readonly arxiv: string
}

/**
 * A world that a pipeline's method is tried in: language with proxies of human preference, contexts with responses that
 * can be enumerated, or short sequences of symbols that dynamic programming solves.
 */
export type Testbed = "text" | "tabular" | "sequences"

/** A pipeline cannot be built with these parameters: which part is wrong and why. */
export class PipelineInvalid extends Schema.TaggedError<PipelineInvalid>()("PipelineInvalid", {
  pipeline: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `pipeline ${this.pipeline}: ${this.problem}`
  }
}

/** Every pipeline's seed: all its random streams derive from it. */
const seedField = {
  seed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 - 1 })).pipe(withDefault(0))
}

type WithSeed<P extends Schema.Struct.Fields> = Omit<P, "seed"> & typeof seedField

/** A named function from parameters `P` to output nodes `O`, with the claim that its checks hold it to. */
export interface Pipeline<P extends Schema.Struct.Fields = any, O extends Outputs = any> {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly description: string
  readonly paper: Paper | undefined
  readonly claim: string | undefined
  /** The kind of method, as lists group it: "direct". */
  readonly family: string | undefined
  readonly testbed: ReadonlyArray<Testbed>
  readonly params: Schema.Struct<WithSeed<P>>
  readonly checks: ReadonlyArray<Check.Check<O>>
  /** The outputs for decoded parameters. Throws what a misused stage throws; `build` turns that into a typed error. */
  readonly outputs: (params: Schema.Struct.MakeIn<WithSeed<P>>) => O
}

/** All that the pipeline can fail with, and all that it needs. */
export type Error<X> = X extends Pipeline<any, infer O> ? Node.Error<O[keyof O]> : never
/** All that the pipeline needs. */
export type Services<X> = X extends Pipeline<any, infer O> ? Node.Services<O[keyof O]> : never

/** Whether a value is a pipeline. */
export const isPipeline = (u: unknown): u is Pipeline => typeof u === "object" && u !== null && TypeId in u

/**
 * A pipeline from a function of parameters to nodes; every pipeline has the parameter `seed` as well. Throws `PipelineInvalid` where
 * the name is no name, or `seed` is among the parameters.
 *
 * @example
 * ```ts
 * import { Count, Pipeline, Positive, withDefault } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 * import { dpo, evaluate, optimize } from "prefline/stages"
 *
 * export default Pipeline.make(
 *   "mine",
 *   { description: "DPO", params: { beta: Positive.pipe(withDefault(0.1)), steps: Count.pipe(withDefault(60)) } },
 *   ({ beta, steps }) => {
 *     const reference = Text.policy({ steps: 300 })
 *     const pairs = Text.preferences(reference, { split: "train", limit: 100, perPrompt: 4 })
 *     const policy = pairs.pipe(optimize({ from: reference, reference, objective: dpo({ beta }), steps }))
 *     const prompts = Text.prompts({ split: "test", limit: 100 })
 *     return { policy, report: prompts.pipe(evaluate({ policy, reference, reward: Text.sentiment })) }
 *   }
 * )
 * ```
 */
export const make = <const P extends Schema.Struct.Fields, O extends Outputs>(
  name: string,
  about: {
    readonly description: string
    readonly paper?: Paper
    readonly claim?: string
    readonly family?: string
    readonly testbed?: ReadonlyArray<Testbed>
    readonly params: P
    readonly checks?: ReadonlyArray<Check.Check<NoInfer<O>>>
  },
  build: (params: Schema.Struct.Type<WithSeed<P>>) => O
): Pipeline<P, O> => {
  if (!Schema.is(Name)(name))
    throw new PipelineInvalid({
      pipeline: JSON.stringify(name),
      problem: "is no name (letters, digits, '.', '_', '-')"
    })
  if (Object.hasOwn(about.params, "seed"))
    throw new PipelineInvalid({ pipeline: name, problem: "every pipeline has the parameter seed; leave it out" })
  const params = Schema.Struct({ ...about.params, ...seedField }) as Schema.Struct<any>
  return {
    [TypeId]: TypeId,
    name,
    description: about.description,
    paper: about.paper,
    claim: about.claim,
    family: about.family,
    testbed: about.testbed ?? [],
    params,
    checks: about.checks ?? [],
    outputs: (input) => {
      const decoded = makeUnsafe(params, input) as Schema.Struct.Type<WithSeed<P>> & { readonly seed: number }
      return Node.within({ seed: decoded.seed, rounds: [] }, () => build(decoded))
    }
  }
}

/** Values for some of a pipeline's parameters, encoded: a sweep as data. */
export const EncodedGrid = Schema.Record(Schema.String, Schema.Array(Schema.Json))
export type EncodedGrid = typeof EncodedGrid.Type

/** A pipeline with its parameters filled in, as the executor takes it. */
export interface Built<out E = unknown, out R = unknown> {
  readonly pipeline: string
  readonly params: Json.JsonObject
  /** What `build` was told to sweep over; absent where nothing. */
  readonly grid?: EncodedGrid
  readonly graph: Graph.Graph
  /** Only in types. */
  readonly [TypeId]?: { readonly error: () => E; readonly services: () => R }
}

/**
 * Decodes JSON parameters (defaults apply, unknown names are refused) and lays out the graph. With a grid it is that of
 * the pipeline's `sweep`: the same module, parameters and grid give the same graph in every process.
 */
export const build = <X extends Pipeline>(
  pipeline: X,
  params: Readonly<Record<string, unknown>> = {},
  grid?: EncodedGrid
): Effect.Effect<Built<Error<X>, Services<X>>, PipelineInvalid> =>
  Effect.gen(function* () {
    const { name } = pipeline
    const swept: Pipeline = grid === undefined ? pipeline : sweep(yield* decodeGrid(pipeline, grid), pipeline)
    const codec = codecOf(swept.params)
    const known = Object.keys(swept.params.fields)
    const unknown = Object.keys(params).filter((param) => !known.includes(param))
    if (unknown.length > 0)
      return yield* invalid(name)(`unknown parameter ${unknown.join(", ")}; known: ${known.join(", ")}`)
    const decoded = yield* Schema.decodeUnknownEffect(codec, { onExcessProperty: "error", reportInput: true })(
      params
    ).pipe(Effect.mapError(invalid(name)))
    const encoded = yield* Schema.encodeUnknownEffect(codec)(decoded).pipe(Effect.mapError(invalid(name)))
    const graph = yield* attempt(name, () => Graph.fromOutputs(checkedOutputs(swept.outputs(decoded))))
    return { pipeline: name, params: encoded, ...(grid === undefined ? {} : { grid }), graph }
  })

/** The values of a grid as JSON, checked by the pipeline's own fields. */
export const encodeGrid = (
  pipeline: Pipeline,
  grid: Readonly<Record<string, ReadonlyArray<unknown> | undefined>>
): Effect.Effect<EncodedGrid, PipelineInvalid> =>
  eachOf(pipeline, grid, (field, value, name) =>
    attempt(pipeline.name, () => makeUnsafe(field, { [name]: value })).pipe(
      Effect.flatMap((made) => Schema.encodeUnknownEffect(codecOf(field))(made)),
      Effect.map((encoded) => encoded[name]!)
    )
  )

/** A grid's values from their JSON. */
export const decodeGrid = (
  pipeline: Pipeline,
  grid: EncodedGrid
): Effect.Effect<Readonly<Record<string, ReadonlyArray<unknown>>>, PipelineInvalid> =>
  eachOf(pipeline, grid, (field, value, name) =>
    Effect.map(
      Schema.decodeUnknownEffect(codecOf(field), { reportInput: true })({ [name]: value }),
      (decoded) => decoded[name]
    )
  )

/** Maps every value of a grid, given the struct of its field alone. */
const eachOf = <A>(
  { name: pipeline, params: { fields } }: Pipeline,
  grid: Readonly<Record<string, ReadonlyArray<unknown> | undefined>>,
  map: (field: Schema.Struct<any>, value: unknown, name: string) => Effect.Effect<A, unknown>
) =>
  Effect.map(
    Effect.forEach(Object.entries(grid), ([name, values]) => {
      if (!Object.hasOwn(fields, name))
        return invalid(pipeline)(`unknown parameter ["${name}"] in the grid; known: ${Object.keys(fields).join(", ")}`)
      const field = Schema.Struct({ [name]: fields[name] })
      const mapped = Effect.forEach(values ?? [], (value) =>
        Effect.mapError(map(field, value, name), invalid(pipeline))
      )
      return Effect.map(mapped, (values) => [name, values] as const)
    }),
    (entries) => Object.fromEntries(entries)
  )

const codecOf = (params: Schema.Struct<any>) =>
  Schema.toCodecJson(params) as unknown as Schema.Codec<Readonly<Record<string, unknown>>, Json.JsonObject>

const invalid = (pipeline: string) => (cause: unknown) =>
  cause instanceof PipelineInvalid
    ? cause
    : new PipelineInvalid({ pipeline, problem: cause instanceof Error ? cause.message : String(cause) })

/** What a pipeline's own function throws where its author or its parameters are wrong, as a typed error. */
const attempt = <A>(pipeline: string, make: () => A): Effect.Effect<A, PipelineInvalid> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(make())
    } catch (cause) {
      if (cause instanceof StageMisused || cause instanceof ComponentInvalid || Schema.isSchemaError(cause))
        return Effect.fail(invalid(pipeline)(cause))
      throw cause
    }
  })

/** No compiler has seen a file that Node runs as it is: a promise would be a graph without nodes, and succeed. */
const checkedOutputs = (outputs: unknown): Outputs => {
  const misused = (problem: string) => new StageMisused({ stage: "outputs", problem })
  if (typeof outputs !== "object" || outputs === null || outputs instanceof Promise || Node.isNode(outputs))
    throw misused("a pipeline's function returns, at once, an object of nodes by name")
  const wrong = Object.entries(outputs).find(([, node]) => !Node.isNode(node))
  if (wrong !== undefined)
    throw misused(
      `${wrong[0]} is not a node${typeof wrong[1] === "function" ? ": its stage was given no input, write input.pipe(stage(..))" : ""}`
    )
  return outputs as Outputs
}

/**
 * Unrolls a loop into the graph: `rounds` applications of `step`, each with its own nodes and random streams.
 * `step` gets the state (nodes, or anything made of nodes) and the round, counted from 0.
 *
 * @example
 * ```ts
 * import { Count, type Node, Pipeline, withDefault } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 * import { dpo, optimize } from "prefline/stages"
 *
 * export default Pipeline.make(
 *   "online",
 *   { description: "DPO on the policy's own answers", params: { rounds: Count.pipe(withDefault(2)) } },
 *   ({ rounds }) => {
 *     const reference = Text.policy({ steps: 300 })
 *     // The state has one type in all rounds, whatever a round can fail with.
 *     const first: Node.Node<typeof reference.artifact, unknown, Node.Services<typeof reference>> = reference
 *     const policy = Pipeline.iterate(rounds, first, (from) =>
 *       Text.preferences(from, { split: "train", limit: 100, perPrompt: 4 }).pipe(
 *         optimize({ from, reference, objective: dpo({ beta: 0.1 }), steps: 60 })
 *       )
 *     )
 *     return { policy }
 *   }
 * )
 * ```
 */
export const iterate = <S>(rounds: number, initial: S, step: (state: S, round: number) => S): S => {
  if (!Number.isInteger(rounds) || rounds < 0)
    throw new StageMisused({ stage: "iterate", problem: `rounds must be a whole number of at least 0, got ${rounds}` })
  let state = initial
  for (let round = 0; round < rounds; round++) {
    state = Node.within({ rounds: [...Node.currentBuilding().rounds, round] }, () => step(state, round))
  }
  return state
}

/**
 * Nodes made under another seed than the pipeline's: what is to stay the same whatever the seed, such as a starting policy
 * that all seeds share.
 */
export const withSeed = <A>(seed: number, make: () => A): A => Node.within({ seed }, make)

/** The seeds 0, 1, … count - 1. */
export const Seeds = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, seed) => seed)

/** Lists of values for some of a pipeline's parameters. */
export type Grid<P extends Schema.Struct.Fields> = {
  readonly [K in keyof Schema.Struct.MakeIn<WithSeed<P>>]?: ReadonlyArray<Schema.Struct.MakeIn<WithSeed<P>>[K]>
}

/** One setting of a sweep: its parameter values and the prefix of its outputs' names. */
export interface Setting {
  readonly params: Readonly<Record<string, unknown>>
  readonly name: string
}

/**
 * All combinations of a grid, its names in alphabetical order, the last varying fastest. Throws `StageMisused` where two of them would have one name
 * (a value listed twice), and where there are none (a name without values).
 */
export const settings = (
  grid: Readonly<Record<string, ReadonlyArray<unknown> | undefined>>
): ReadonlyArray<Setting> => {
  const empty = Object.keys(grid).find((name) => (grid[name] ?? []).length === 0)
  if (empty !== undefined) throw new StageMisused({ stage: "sweep", problem: `${empty} has no values` })
  // By name: a grid is data, and two texts of the same data have to give the same graph.
  const all = Object.entries(grid)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .reduce<ReadonlyArray<ReadonlyArray<readonly [string, unknown]>>>(
      (all, [name, values]) =>
        all.flatMap((chosen) => (values ?? []).map((value) => [...chosen, [name, value] as const])),
      [[]]
    )
    .map((chosen) => ({
      params: Object.fromEntries(chosen),
      name: chosen.map(([name, value]) => `${name}=${settingText(value)}`).join(",")
    }))
  const names = all.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new StageMisused({ stage: "sweep", problem: `the setting ${twice} is there twice` })
  return all
}

/** Numbers and texts as they are, components as `dpo(beta=0.1,labelSmoothing=0)`. */
const settingText = (value: unknown): string => {
  if (!isComponent(value)) return typeof value === "object" ? JSON.stringify(value) : String(value)
  const params = Object.entries(value.params).map(([name, param]) => `${name}=${settingText(param)}`)
  return params.length === 0 ? value.name : `${value.name}(${params.join(",")})`
}

/**
 * One graph over every combination of the listed values; nodes that do not depend on a swept parameter appear once.
 * The outputs are named `<output>[<setting>]`, e.g. `report[beta=0.1,seed=0]`. The remaining parameters stay free, those
 * of the grid are no parameters any more.
 *
 * @example
 * ```ts
 * import { Pipeline, Positive, withDefault } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 * import { dpo, optimize } from "prefline/stages"
 *
 * const one = Pipeline.make(
 *   "betas",
 *   { description: "DPO", params: { beta: Positive.pipe(withDefault(0.1)) } },
 *   ({ beta }) => {
 *     const reference = Text.policy({ steps: 300 })
 *     const pairs = Text.preferences(reference, { split: "train", limit: 100, perPrompt: 4 })
 *     return { policy: pairs.pipe(optimize({ from: reference, reference, objective: dpo({ beta }), steps: 60 })) }
 *   }
 * )
 *
 * // The reference and the pairs are made once, the policies twice.
 * export default Pipeline.sweep({ beta: [0.1, 0.5] }, one)
 * ```
 */
export const sweep = <P extends Schema.Struct.Fields, O extends Outputs>(
  grid: Grid<NoInfer<P>>,
  pipeline: Pipeline<P, O>
): Pipeline<P, Readonly<Record<string, O[keyof O]>>> => ({
  [TypeId]: TypeId,
  name: pipeline.name,
  description: pipeline.description,
  paper: pipeline.paper,
  claim: pipeline.claim,
  family: pipeline.family,
  testbed: pipeline.testbed,
  params: Schema.Struct(Struct.omit(pipeline.params.fields as Schema.Struct.Fields, Object.keys(grid))) as never,
  checks: [],
  outputs: (params) =>
    Object.fromEntries(
      settings(grid as never).flatMap((setting) =>
        Object.entries(pipeline.outputs({ ...(params as object), ...setting.params } as never)).map(
          ([name, node]) => [`${name}[${setting.name}]`, node as O[keyof O]] as const
        )
      )
    )
})
