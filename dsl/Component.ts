/**
 * A named function with a parameter schema, passed *to* a stage: a reward, an objective, a pairing rule. As data it is
 * its kind, its name and its parameters, so it hashes, prints and travels; as code it is looked up by name.
 */
import { Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"
import type * as Json from "./Json.ts"
import type * as Law from "./Law.ts"
import { makeUnsafe } from "./Params.ts"

/** Marks components. */
export const TypeId = "~prefline/dsl/Component"

/** A component with its parameters filled in. `E` and `R` are what using it can fail with and needs. */
export interface Component<out Kind extends string, out Implementation, out E = never, out R = never> {
  readonly [TypeId]: { readonly error: () => E; readonly services: () => R }
  readonly kind: Kind
  readonly name: string
  /** The parameters as JSON, defaults filled in: what enters keys. */
  readonly params: Json.JsonObject
  /** The same, decoded; components inside it enter keys too. */
  readonly decodedParams: unknown
  readonly definition: AnyDefinition
  readonly implementation: Implementation
}

/** A component of any kind. */
export interface Any extends Component<string, any, any, any> {}

/** The code behind a name: registered once, by the module that defines it. */
export interface Definition<Kind extends string, P extends Schema.Struct.Fields, Implementation, E, R> {
  (
    ...args: {} extends Schema.Struct.MakeIn<P> ? [params?: Schema.Struct.MakeIn<P>] : [params: Schema.Struct.MakeIn<P>]
  ): Component<Kind, Implementation, E, R>
  readonly kind: Kind
  readonly componentName: string
  readonly description: string
  /** URL of the defining module, the root of the code hash. */
  readonly module: string
  readonly params: Schema.Struct<P>
  readonly laws: ReadonlyArray<Law.Law>
  readonly decode: (encoded: unknown) => Effect.Effect<Component<Kind, Implementation, E, R>, ComponentInvalid>
}

/** The code behind a name, whatever its kind and parameters. */
export interface AnyDefinition {
  readonly kind: string
  readonly componentName: string
  readonly description: string
  readonly module: string
  readonly params: Schema.Struct<any>
  readonly laws: ReadonlyArray<Law.Law>
  readonly decode: (encoded: unknown) => Effect.Effect<Any, ComponentInvalid>
}

/** A component that does not exist, or whose parameters are wrong. */
export class ComponentInvalid extends Schema.TaggedError<ComponentInvalid>()("ComponentInvalid", {
  kind: Schema.String,
  name: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.kind} ${JSON.stringify(this.name)}: ${this.problem}`
  }
}

/** A family of components that can stand in for one another, e.g. all rewards. */
export interface Kind<Name extends string, Implementation> {
  readonly kind: Name
  /** The laws that every member of the kind obeys. */
  readonly laws: (component: Component<Name, Implementation>) => ReadonlyArray<Law.Law>
  /**
   * The schema of a stage parameter that takes such a component. JSON form `{ name, params }`; the bare name is
   * accepted when every parameter has a default.
   */
  readonly schema: ComponentSchema<Component<Name, Implementation, any, any>>
  readonly define: <const P extends Schema.Struct.Fields, E = never, R = never>(
    name: string,
    definition: {
      /** Pass `import.meta.url`. */
      readonly module: string
      readonly description: string
      readonly params: P
      readonly make: (params: Schema.Struct.Type<P>) => Implementation
      readonly laws?: ReadonlyArray<Law.Law>
    }
  ) => Definition<Name, P, Implementation, E, R>
}

/** The schema of a parameter that takes a component: JSON on the outside, the component inside. */
export interface ComponentSchema<out T> extends Schema.Codec<T, Json.Json> {
  readonly "~type.make.in": T
  readonly "~type.make": T
  readonly "~type.constructor.default": "no-default"
}

const registry = new Map<string, AnyDefinition>()

/** Every definition registered so far, of one kind or of all, by name. */
export const registered = (kind?: string): ReadonlyArray<AnyDefinition> =>
  [...registry.values()]
    .filter((definition) => kind === undefined || definition.kind === kind)
    .sort((a, b) => (`${a.kind}/${a.componentName}` < `${b.kind}/${b.componentName}` ? -1 : 1))

/** Whether a value is a component. */
export const isComponent = (u: unknown): u is Any => typeof u === "object" && u !== null && TypeId in u

/**
 * A kind of component: what its implementations are, and the laws that all of them obey. `define` registers one by name,
 * `schema` is the parameter of a stage that takes one.
 *
 * @example
 * ```ts
 * import { Schema, Stream } from "effect"
 * import { artifacts, Component, Pipeline, Stage } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 *
 * // What a stage is handed.
 * const Rewriting = Component.kind<(text: string) => string>()("rewriting")
 *
 * const suffix = Rewriting.define("suffix", {
 *   module: import.meta.url,
 *   description: "Appends a text",
 *   params: { text: Schema.String },
 *   make: ({ text }) => (prompt) => prompt + text
 * })
 *
 * const rewrite = Stage.make({
 *   name: "rewrite",
 *   description: "Prompts, rewritten",
 *   module: import.meta.url,
 *   params: { by: Rewriting.schema },
 *   input: artifacts.Prompts,
 *   output: artifacts.Prompts,
 *   run: ({ input, params }) =>
 *     input.stream.pipe(Stream.map((prompt) => ({ ...prompt, text: params.by.implementation(prompt.text) })))
 * })
 *
 * export default Pipeline.make("rewritten", { description: "Rewritten prompts", params: {} }, () => ({
 *   prompts: Text.prompts({ split: "test", limit: 100 }).pipe(rewrite({ by: suffix({ text: " and" }) }))
 * }))
 * ```
 */
export const kind =
  <Implementation>() =>
  <const Name extends string>(
    name: Name,
    options: { readonly laws?: (component: Component<Name, Implementation>) => ReadonlyArray<Law.Law> } = {}
  ): Kind<Name, Implementation> => ({
    kind: name,
    laws: options.laws ?? (() => []),
    schema: componentSchema<Name, Implementation>(name),
    define: (componentName, definition) => define(name, componentName, definition) as any
  })

const define = (
  kindName: string,
  componentName: string,
  definition: {
    readonly module: string
    readonly description: string
    readonly params: Schema.Struct.Fields
    readonly make: (params: any) => unknown
    readonly laws?: ReadonlyArray<Law.Law>
  }
): AnyDefinition => {
  const id = `${kindName}/${componentName}`
  const existing = registry.get(id)
  if (existing !== undefined) {
    const where =
      existing.module === definition.module ? definition.module : `${existing.module} and in ${definition.module}`
    throw new ComponentInvalid({
      kind: kindName,
      name: componentName,
      problem: `is defined twice, in ${where}; give one of them another name`
    })
  }
  const params = Schema.Struct(definition.params) as Schema.Struct<any>
  const codec = Schema.toCodecJson(params)
  const instance = (decoded: any): Any => ({
    [TypeId]: phantom,
    kind: kindName,
    name: componentName,
    params: Schema.encodeUnknownSync(codec as any)(decoded) as Json.JsonObject,
    decodedParams: decoded,
    definition: self,
    implementation: definition.make(decoded)
  })
  const fail = (cause: unknown) =>
    new ComponentInvalid({
      kind: kindName,
      name: componentName,
      problem: cause instanceof Error ? cause.message : String(cause)
    })
  const decodeParams = Schema.decodeUnknownEffect(codec as unknown as Schema.Codec<any>, { onExcessProperty: "error" })
  const self: AnyDefinition = Object.assign(
    (input: object = {}) => {
      try {
        const unknown = Object.keys(input).filter((name) => !Object.hasOwn(definition.params, name))
        if (unknown.length > 0)
          throw new Error(
            `unknown parameter ${unknown.join(", ")}; known: ${Object.keys(definition.params).join(", ")}`
          )
        return instance(makeUnsafe(params, input))
      } catch (cause) {
        throw fail(cause)
      }
    },
    {
      kind: kindName,
      componentName,
      description: definition.description,
      module: definition.module,
      params,
      laws: definition.laws ?? [],
      decode: (encoded: unknown) =>
        decodeParams(encoded).pipe(
          Effect.mapError(fail),
          Effect.flatMap((decoded) => Effect.try({ try: () => instance(decoded), catch: fail }))
        )
    }
  )
  registry.set(id, self)
  return self
}

/** Marks, among the annotations of a schema, the kind of component that it takes. */
export const KIND = "prefline/component"

const phantom = { error: () => undefined as never, services: () => undefined as never }

const Reference = Schema.Struct({ name: Schema.String, params: Schema.optionalKey(Schema.JsonObject) })

const componentSchema = <Name extends string, Implementation>(
  kindName: Name
): ComponentSchema<Component<Name, Implementation, any, any>> => {
  type Instance = Component<Name, Implementation, any, any>
  const Declared = Schema.declare((u): u is Instance => isComponent(u) && u.kind === kindName, {
    identifier: kindName,
    [KIND]: kindName
  })
  return (Schema.Json as Schema.Codec<Json.Json>).pipe(
    Schema.decodeTo(
      Declared,
      SchemaTransformation.transformEffect<Instance, Json.Json>({
        decode: (json) =>
          lookup(kindName, json).pipe(
            Effect.map((instance) => instance as Instance),
            Effect.mapError((error) => new SchemaIssue.InvalidValue({ message: error.message }))
          ),
        encode: (instance) => Effect.succeed({ name: instance.name, params: instance.params })
      })
    )
  ) as never
}

const lookup = (kindName: string, json: Json.Json) =>
  Effect.gen(function* () {
    const reference =
      typeof json === "string"
        ? { name: json }
        : yield* Schema.decodeUnknownEffect(Reference, { onExcessProperty: "error" })(json).pipe(
            Effect.mapError((cause) => new ComponentInvalid({ kind: kindName, name: "?", problem: cause.message }))
          )
    const definition = registry.get(`${kindName}/${reference.name}`)
    if (definition === undefined) {
      const known = registered(kindName).map((d) => d.componentName)
      return yield* new ComponentInvalid({
        kind: kindName,
        name: reference.name,
        problem: `is not known; known: ${known.join(", ") || "none"}`
      })
    }
    return yield* definition.decode(("params" in reference ? reference.params : undefined) ?? {})
  })
