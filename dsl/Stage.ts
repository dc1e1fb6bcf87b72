/**
 * A stage: a contract (parameters, inputs, output, errors, services, resources, retry policy, laws) and one function.
 * `Stage.make` returns the constructor that authors use in pipelines: `stage(config)` is a function from the input
 * node to the output node, or, for a stage without piped input, the node itself.
 */
import { type Arbitrary, type Duration, type Effect, type Schedule, Schema, type Stream } from "effect"
import type * as Artifact from "./Artifact.ts"
import * as Component from "./Component.ts"
import type * as Json from "./Json.ts"
import type * as Law from "./Law.ts"
import * as Node from "./Node.ts"
import { makeUnsafe, Name } from "./Params.ts"
import type * as Partial from "./Partial.ts"
import type * as Rng from "./Rng.ts"

/** Marks stages. */
export const TypeId = "~prefline/dsl/Stage"

/** A parameter or an input of a stage that is missing, unknown or of the wrong type. */
export class StageMisused extends Schema.TaggedError<StageMisused>()("StageMisused", {
  stage: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.stage}: ${this.problem}`
  }
}

/** An input that may be left out; `optional` makes one. */
export interface Optional<A extends Artifact.Any> {
  readonly optional: A
}
/** An input that may be left out. */
export const optional = <A extends Artifact.Any>(artifact: A): Optional<A> => ({ optional: artifact })

/** A stage's further inputs: artifacts by name. */
export type Inputs = Readonly<Record<string, Artifact.Any | Optional<Artifact.Any>>>

type InputValues<I extends Inputs> = {
  readonly [K in keyof I]: I[K] extends Optional<infer A>
    ? Artifact.Value<A> | undefined
    : I[K] extends Artifact.Any
      ? Artifact.Value<I[K]>
      : never
}

/** What a stage's function is handed. */
export interface Context<P extends Schema.Struct.Fields, Input extends Artifact.Any | undefined, I extends Inputs> {
  readonly params: Schema.Struct.Type<P>
  readonly input: Input extends Artifact.Any ? Artifact.Value<Input> : undefined
  readonly inputs: InputValues<I>
  /** The node's own random stream. Stages that do not declare `random: true` must not use it; it throws there. */
  readonly rng: Rng.Rng
  /** Partial state of a long computation; see `Partial`. */
  readonly partial: Partial.Partial
}

/** What a stage occupies while it runs. The executor bounds how many run at once by it. */
export type Resource = "cpu" | "device" | "network"

/** What a stage outside `prefline`'s reach depends on, and the parameters that this replaces in the key. */
export interface Source<P extends Schema.Struct.Fields, E, R> {
  readonly params: ReadonlyArray<keyof P & string>
  /** A JSON value that changes whenever the outside content does, e.g. the digest of a file. */
  readonly fingerprint: (params: Schema.Struct.Type<P>) => Effect.Effect<Json.Json, E, R>
}

/** A stage's contract and its function, whatever their types. */
export interface Any {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly description: string
  readonly module: string
  readonly params: Schema.Struct<any>
  readonly input: Artifact.Any | undefined
  readonly inputs: Inputs
  readonly output: Artifact.Any
  readonly resource: Resource
  /** Whether the bits of the result depend on the tensor backend. */
  readonly numerics: boolean
  readonly random: boolean
  readonly retry: Schedule.Schedule<unknown, unknown> | undefined
  readonly timeout: Duration.Input | undefined
  readonly source: Source<any, any, any> | undefined
  readonly laws: ReadonlyArray<Law.Law>
  /** Inputs on which the laws of every stage are checked; derived from the schemas where absent. */
  readonly given: Arbitrary.Arbitrary<Given> | undefined
  readonly run: (context: Context<any, any, any>) => Effect.Effect<any, any, any> | Stream.Stream<any, any, any>
}

/** One way to call a stage in memory. Records are given as arrays. */
export interface Given {
  readonly params: object
  readonly input?: unknown
  readonly inputs?: Readonly<Record<string, unknown>>
}

type RequiredInputs<I extends Inputs> = {
  readonly [K in keyof I as I[K] extends Optional<any> ? never : K]: I[K] extends Artifact.Any
    ? Node.Node<I[K], any, any>
    : never
}
type OptionalInputs<I extends Inputs> = {
  readonly [K in keyof I as I[K] extends Optional<any> ? K : never]?: I[K] extends Optional<infer A>
    ? Node.Node<A, any, any> | undefined
    : never
}

/** What an author passes to a stage: its parameters, its further inputs, and how to name this use of it. */
export type Config<P extends Schema.Struct.Fields, I extends Inputs> = Schema.Struct.MakeIn<P> &
  RequiredInputs<I> &
  OptionalInputs<I> & {
    /** A name for this node, for people; letters, digits, `.`, `_` and `-`. */
    readonly as?: string
    /** The name of the random stream; the stage's name (and the round of the loop) unless told. */
    readonly stream?: string
  }

type Carried = { readonly [Node.TypeId]: any } | { readonly [Component.TypeId]: any }
type ErrorIn<C> = { [K in keyof C]-?: C[K] extends Carried ? ErrorOf<C[K]> : never }[keyof C]
type ServicesIn<C> = { [K in keyof C]-?: C[K] extends Carried ? ServicesOf<C[K]> : never }[keyof C]
type ErrorOf<X> = X extends Node.Any
  ? Node.Error<X>
  : X extends { readonly [Component.TypeId]: { readonly error: () => infer E } }
    ? E
    : never
type ServicesOf<X> = X extends Node.Any
  ? Node.Services<X>
  : X extends { readonly [Component.TypeId]: { readonly services: () => infer R } }
    ? R
    : never

/** Turns an excess property into a compile error where `C` is inferred. */
type Exactly<C, Allowed> = C & { readonly [K in Exclude<keyof C, keyof Allowed>]: never }

type Applied<Input, Out extends Artifact.Any, E, R> = Input extends Artifact.Any
  ? <E1, R1>(input: Node.Node<Input, E1, R1>) => Node.Node<Out, E | E1, R | R1>
  : Node.Node<Out, E, R>

/** A stage as authors use it: a function of its `Config` that makes a node, or takes one as piped input. */
export interface Stage<
  P extends Schema.Struct.Fields,
  Input extends Artifact.Any | undefined,
  I extends Inputs,
  Out extends Artifact.Any,
  E,
  R
> {
  <const C extends Config<P, I>>(
    ...config: {} extends Config<P, I> ? [config?: Exactly<C, Config<P, I>>] : [config: Exactly<C, Config<P, I>>]
  ): Applied<Input, Out, E | ErrorIn<C>, R | ServicesIn<C>>
  readonly stage: Any & { readonly output: Out }
}

/** What the stage itself can fail with, and what it needs, apart from its inputs. */
export type Error<S> = S extends Stage<any, any, any, any, infer E, any> ? E : never
/** What the stage itself needs, apart from its inputs. */
export type Services<S> = S extends Stage<any, any, any, any, any, infer R> ? R : never

type ProducedError<Ret> =
  Ret extends Effect.Effect<any, infer E, any> ? E : Ret extends Stream.Stream<any, infer E, any> ? E : never
type ProducedServices<Ret> =
  Ret extends Effect.Effect<any, any, infer R> ? R : Ret extends Stream.Stream<any, any, infer R> ? R : never

/**
 * A stage's constructor from its contract and its function. The function returns a stream for artifacts that are records, an
 * `Effect` for all others; what it can fail with and needs becomes part of the type of every node made of it.
 *
 * @example
 * ```ts
 * import { Arbitrary, Schema, Stream } from "effect"
 * import { artifacts, Law, Pipeline, Stage } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 *
 * const first = (text: string, words: number) => text.split(" ").slice(0, words).join(" ")
 *
 * export const shorten = Stage.make({
 *   name: "shorten",
 *   description: "Prompts cut after some words",
 *   module: import.meta.url,
 *   params: { words: Schema.Int },
 *   input: artifacts.Prompts,
 *   output: artifacts.Prompts,
 *   laws: [
 *     Law.make("keeps the beginning", Arbitrary.schema(Schema.String), (text) => text.startsWith(first(text, 2)))
 *   ],
 *   run: ({ input, params }) =>
 *     input.stream.pipe(Stream.map((prompt) => ({ ...prompt, text: first(prompt.text, params.words) })))
 * })
 *
 * export default Pipeline.make("short", { description: "Short prompts", params: {} }, () => ({
 *   prompts: Text.prompts({ split: "test", limit: 100 }).pipe(shorten({ words: 2 }))
 * }))
 * ```
 */
export const make = <
  const P extends Schema.Struct.Fields,
  Out extends Artifact.Any,
  Ret extends Artifact.Output<Out>,
  Input extends Artifact.Any | undefined = undefined,
  const I extends Inputs = {},
  SE = never,
  SR = never
>(definition: {
  readonly name: string
  readonly description: string
  /** Pass `import.meta.url`: the root of the code hash. */
  readonly module: string
  readonly params: P
  readonly input?: Input
  readonly inputs?: I
  readonly output: Out
  /** What limits how many such nodes run at a time: `device` for a stage with numerics, else `cpu` unless told. */
  readonly resource?: Resource
  /** Set for a stage that computes with tensors: the backend then enters its keys, and it is held to leave none behind. */
  readonly numerics?: boolean
  readonly random?: boolean
  /** Applied by the runtime, and only to errors that carry `retryable: true`. */
  readonly retry?: Schedule.Schedule<any, any>
  readonly timeout?: Duration.Input
  readonly source?: Source<P, SE, SR>
  readonly laws?: ReadonlyArray<Law.Law>
  readonly given?: Arbitrary.Arbitrary<Given>
  readonly run: (context: Context<P, Input, I>) => Ret
}): Stage<P, Input, I, Out, ProducedError<Ret> | SE, ProducedServices<Ret> | SR> => {
  const params = Schema.Struct(definition.params) as Schema.Struct<any>
  const stage: Any & { readonly output: Out } = {
    [TypeId]: TypeId,
    name: definition.name,
    description: definition.description,
    module: definition.module,
    params,
    input: definition.input,
    inputs: definition.inputs ?? {},
    output: definition.output,
    resource: definition.resource ?? (definition.numerics === true ? "device" : "cpu"),
    numerics: definition.numerics ?? false,
    random: definition.random ?? false,
    retry: definition.retry,
    timeout: definition.timeout,
    source: definition.source,
    laws: definition.laws ?? [],
    given: definition.given,
    run: definition.run
  }
  if (stage.numerics && stage.resource !== "device") {
    throw misused(stage, `it has numerics, so its resource is the device, not ${stage.resource}`)
  }
  for (const name of ["input", "as", "stream", ...Object.keys(stage.inputs)]) {
    if (Object.hasOwn(definition.params, name))
      throw misused(stage, `the parameter ${name} has the name of an input or of a reserved word`)
  }
  const construct = (config: Readonly<Record<string, unknown>> = {}) => {
    const prepared = prepare(stage, config)
    return definition.input === undefined ? prepared(undefined) : prepared
  }
  return Object.assign(construct, { stage }) as never
}

const misused = (stage: Any, problem: string) => new StageMisused({ stage: stage.name, problem })

/** Splits a config into parameters and nodes, checks both, and returns the function that makes the node. */
const prepare = (stage: Any, config: Readonly<Record<string, unknown>>) => {
  const { as: label, stream, ...rest } = config
  checkName(stage, "as", label)
  checkName(stage, "stream", stream)
  const further: Record<string, Node.Any> = {}
  const given: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(rest)) {
    if (Object.hasOwn(stage.inputs, name)) {
      if (value === undefined) continue
      further[name] = checkInput(stage, name, accepted(stage.inputs[name]!), value)
    } else if (Object.hasOwn(stage.params.fields, name)) given[name] = value
    else {
      const known = [...Object.keys(stage.params.fields), ...Object.keys(stage.inputs)]
      throw misused(stage, `unknown parameter ${JSON.stringify(name)}; known: ${known.join(", ") || "none"}`)
    }
  }
  for (const [name, wanted] of Object.entries(stage.inputs)) {
    if (!("optional" in wanted) && further[name] === undefined)
      throw misused(stage, `the input ${name} (${wanted.name}) is missing`)
  }
  const params = validated(stage, () => makeUnsafe(stage.params, given))
  const encodedParams = validated(stage, () =>
    Schema.encodeUnknownSync(Schema.toCodecJson(stage.params) as never)(params)
  ) as Json.JsonObject
  return (input: unknown) => {
    const { seed, rounds } = Node.currentBuilding()
    const inputs =
      stage.input === undefined ? further : { input: checkInput(stage, "input", stage.input, input), ...further }
    return Node.make({
      stage,
      artifact: stage.output,
      params,
      encodedParams,
      components: componentsIn(params),
      inputs,
      random: stage.random ? { seed, stream: [stream ?? stage.name, ...rounds].join("/") } : undefined,
      label: label as string | undefined
    })
  }
}

/** The artifacts that a stage reads, by input name, the piped one under `input`. */
export const inputArtifacts = (stage: Any): Readonly<Record<string, Artifact.Any>> => ({
  ...(stage.input === undefined ? {} : { input: stage.input }),
  ...Object.fromEntries(Object.entries(stage.inputs).map(([name, input]) => [name, accepted(input)]))
})

const accepted = (input: Inputs[string]): Artifact.Any => ("optional" in input ? input.optional : input)

const checkName = (stage: Any, what: string, name: unknown) => {
  if (name !== undefined && !Schema.is(Name)(name)) {
    throw misused(
      stage,
      `${what}: ${JSON.stringify(name)} is no name (letters, digits, ".", "_" and "-", at most 100, not starting with a dot)`
    )
  }
}

const checkInput = (stage: Any, name: string, wanted: Artifact.Any, given: unknown): Node.Any => {
  if (!Node.isNode(given)) throw misused(stage, `the input ${name} must be a node that makes ${wanted.name}`)
  if (given.artifact.name !== wanted.name) {
    throw misused(
      stage,
      `the input ${name} must be ${wanted.name}, but ${given.stage.name} makes ${given.artifact.name}`
    )
  }
  return given
}

const validated = <A>(stage: Any, validate: () => A): A => {
  try {
    return validate()
  } catch (cause) {
    throw misused(stage, cause instanceof Error ? cause.message : String(cause))
  }
}

/** Every component inside decoded parameters, those inside components and inside collections included. */
const componentsIn = (value: unknown): ReadonlyArray<Component.Any> => {
  if (typeof value !== "object" || value === null) return []
  if (Component.isComponent(value)) return [value, ...componentsIn(value.decodedParams)]
  const held = value instanceof Map || value instanceof Set ? [...value.entries()] : Object.values(value)
  return held.flatMap(componentsIn)
}
