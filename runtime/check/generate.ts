/**
 * Generators from schemas, made for trying stages: defaults often stand, counts are small, numbers lie on a grid between
 * their bounds (drawn from bounds alone they would bunch there), and components are taken from those registered.
 */
import { Arbitrary, Schema, type SchemaAST } from "effect"
import * as Component from "../../dsl/Component.ts"
import * as Contract from "../../dsl/Contract.ts"

/** Nothing is known of how to make values of a schema. */
export class NotGenerated extends Schema.TaggedError<NotGenerated>()("NotGenerated", {
  what: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.what}: ${this.problem}; give it a generator, in \`Contract.of\` in a file named <module>.laws.ts or in \`Stage.make({ given })\``
  }
}

/** Contracts by what they are of. */
export type Contracts = ReadonlyMap<string, Contract.Contract>

/** Components within components, and values within themselves, at most. */
const DEPTH = 3
/** Counts without an upper bound go so far above the lower one. */
const COUNTS = 4
/** Finite numbers without a bound lie between these. */
const REACH = 10

/** Values of a schema's decoded side. Throws `NotGenerated`. */
export const values = (schema: Schema.Top, contracts: Contracts, what: string): Arbitrary.Arbitrary<any> =>
  ofAst(Schema.toType(schema).ast, { contracts, what, depth: 0 })

/** Fields of a parameter schema; `given` replaces what is derived for single ones. */
export const fields = (
  schema: Schema.Struct<any>,
  given: Contract.Contract["params"],
  contracts: Contracts,
  what: string
): Arbitrary.Arbitrary<Readonly<Record<string, unknown>>> =>
  ofObject(Schema.toType(schema).ast as SchemaAST.Objects, { contracts, what, depth: 0 }, given)

/** A registered component of the kind, with generated parameters; those whose parameters do not fit together are left out. */
export const component = (definition: Component.AnyDefinition, contracts: Contracts, depth = 0) => {
  const contract = contracts.get(Contract.idOf(definition))
  const what = `${definition.kind}/${definition.componentName}`
  const params = ofObject(
    Schema.toType(definition.params).ast as SchemaAST.Objects,
    { contracts, what, depth },
    contract?.params ?? {}
  )
  return Arbitrary.filter(
    Arbitrary.map(params, (input) => made(definition, input)),
    (component): component is Component.Any => component !== undefined
  )
}

const made = (definition: Component.AnyDefinition, input: object): Component.Any | undefined => {
  try {
    return (definition as unknown as (input: object) => Component.Any)(input)
  } catch (cause) {
    if (cause instanceof Component.ComponentInvalid) return undefined
    throw cause
  }
}

interface At {
  readonly contracts: Contracts
  readonly what: string
  readonly depth: number
}

const ofAst = (ast: SchemaAST.AST, at: At): Arbitrary.Arbitrary<any> => {
  switch (ast._tag) {
    case "Objects":
      return satisfying(ast, ast.indexSignatures.length > 0 ? ofRecord(ast, at) : ofObject(ast, at, {}))
    case "Arrays":
      return satisfying(ast, ofArrays(ast, at))
    case "Union":
      return oneOf(ast.types.map((type) => ofAst(type, at)))
    case "Number":
      return satisfying(ast, ofNumber(constraintsOf(ast)))
    case "String":
      return ofString(ast)
    case "Suspend":
      return at.depth >= DEPTH ? fail(at, "its values nest without end") : ofAst(ast.thunk(), deeper(at))
    case "Declaration": {
      const kind = ast.annotations?.[Component.KIND]
      return typeof kind === "string" ? ofKind(kind, at) : derived(ast, at)
    }
    default:
      return derived(ast, at)
  }
}

const deeper = (at: At): At => ({ ...at, depth: at.depth + 1 })

const fail = (at: At, problem: string): never => {
  throw new NotGenerated({ what: at.what, problem })
}

const derived = (ast: SchemaAST.AST, at: At): Arbitrary.Arbitrary<any> => {
  try {
    return Arbitrary.schema(Schema.make(ast) as Schema.Codec<unknown>)
  } catch (cause) {
    return fail(at, cause instanceof Error ? cause.message : String(cause))
  }
}

/** Every component of the kind; deep inside of others, those that need no parameters. */
const ofKind = (kind: string, at: At) => {
  const all = Component.registered(kind)
  const flat = all.filter(({ params }) => !takesComponents(params))
  const choice = at.depth > 0 && flat.length > 0 ? flat : all
  if (choice.length === 0) return fail(at, `no component of the kind ${kind} is known`)
  return oneOf(choice.map((definition) => component(definition, at.contracts, at.depth + 1)))
}

const takesComponents = (params: Schema.Struct<any>) =>
  Object.values(params.fields).some((field) => holdsComponent(Schema.toType(field as Schema.Top).ast))

const holdsComponent = (ast: SchemaAST.AST): boolean => {
  if (ast._tag === "Declaration") return ast.annotations?.[Component.KIND] !== undefined
  if (ast._tag === "Arrays") return [...ast.elements, ...ast.rest].some(holdsComponent)
  if (ast._tag === "Union") return ast.types.some(holdsComponent)
  return ast._tag === "Objects" && ast.propertySignatures.some(({ type }) => holdsComponent(type))
}

/** A member that has a default takes it half of the time; one that may be absent is so half of the time. */
const ofObject = (ast: SchemaAST.Objects, at: At, given: Contract.Contract["params"]) => {
  const members = ast.propertySignatures.map(({ name, type }) => {
    const own = given[name as string] ?? ofAst(type, { ...at, what: `${at.what}, ${String(name)}` })
    const optional = type.context?.isOptional === true || type.context?.constructorDefault !== undefined
    const present = Arbitrary.map(own, (value): object => ({ [name]: value }))
    return optional && given[name as string] === undefined ? oneOf([Arbitrary.Constant({}), present]) : present
  })
  return Arbitrary.map(
    Arbitrary.all(members),
    (parts): Readonly<Record<string, unknown>> => Object.assign({}, ...(parts as ReadonlyArray<object>))
  )
}

/** Up to two members beside those named. */
const ofRecord = (ast: SchemaAST.Objects, at: At) => {
  const [index] = ast.indexSignatures
  if (index!.parameter._tag !== "String" || index!.parameter.checks !== undefined) return derived(ast, at)
  const entries = Arbitrary.array(ofAst(index!.type, at), { maxLength: 2 })
  return Arbitrary.map(Arbitrary.all([ofObject(ast, at, {}), entries]), ([named, further]) => ({
    ...Object.fromEntries(further.map((value, i) => ["ab"[i]!, value])),
    ...named
  }))
}

const ofArrays = (ast: SchemaAST.Arrays, at: At) => {
  const { maxLength, minLength = 0 } = constraintsOf(ast)
  const [rest, ...after] = ast.rest
  if (after.length > 0) return derived(ast, at)
  const elements = Arbitrary.all(ast.elements.map((element) => ofAst(element, at)))
  if (rest === undefined) return elements
  const least = Math.max(0, minLength - ast.elements.length)
  const many = Arbitrary.array(ofAst(rest, at), {
    minLength: least,
    maxLength: Math.min(maxLength ?? Number.POSITIVE_INFINITY, least + COUNTS - 1)
  })
  return Arbitrary.map(Arbitrary.all([elements, many]), ([first, others]) => [...(first as Array<unknown>), ...others])
}

const PHRASES = ["a", "good food", "bad", "not so good", "the the the", "ünïcödé 🙂", "line\nbreak", " "]

const ofString = (ast: SchemaAST.String) => {
  const { maxLength = Number.POSITIVE_INFINITY, minLength = 0, patterns } = constraintsOf(ast)
  const whole = Arbitrary.schema(Schema.make(ast) as Schema.Codec<string>)
  if (patterns !== undefined) return whole
  const fitting = ["", ...PHRASES].filter((text) => text.length >= minLength && text.length <= maxLength)
  return satisfying(ast, fitting.length === 0 ? whole : oneOf([oneOf(fitting.map(Arbitrary.Constant)), whole]))
}

interface Constraints {
  readonly number?: "integer" | "finite"
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: boolean
  readonly exclusiveMaximum?: boolean
  readonly minLength?: number
  readonly maxLength?: number
  readonly patterns?: ReadonlyArray<unknown>
}

const constraintsOf = (ast: SchemaAST.AST): Constraints =>
  Object.assign({}, ...checksOf(ast).map(({ annotations }) => annotations?.["arbitraryConstraint"] ?? {}))

const checksOf = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.Check<any>> =>
  (ast.checks ?? []).flatMap((check) => (check._tag === "FilterGroup" ? [check, ...check.checks] : [check]))

const ofNumber = ({ exclusiveMaximum, exclusiveMinimum, maximum, minimum, number }: Constraints) => {
  const integer = number === "integer"
  const [low, high] = reach(minimum, maximum, integer ? COUNTS : REACH)
  const grid = integer ? 1 : Math.max((high - low) / 1e4, 1e-12)
  const first = exclusiveMinimum ? 1 : 0
  const last = Math.floor((high - low) / grid + 1e-9) - (exclusiveMaximum ? 1 : 0)
  const steps = Schema.Int.check(Schema.isBetween({ minimum: first, maximum: Math.max(first, last) }))
  return Arbitrary.map(Arbitrary.schema(steps), (step) => rounded(low + step * grid))
}

const reach = (minimum: number | undefined, maximum: number | undefined, far: number): [number, number] => {
  if (minimum !== undefined) return [minimum, Math.min(maximum ?? minimum + far, minimum + Math.max(far, 1e6))]
  return maximum === undefined ? [-far, far] : [maximum - far, maximum]
}

/** Without the last digits that the grid leaves behind: inputs are read by people. */
const rounded = (x: number) => Number(x.toPrecision(12))

const satisfying = <A>(ast: SchemaAST.AST, generated: Arbitrary.Arbitrary<A>): Arbitrary.Arbitrary<A> => {
  if (ast.checks === undefined) return generated
  const is = Schema.is(Schema.make(ast) as Schema.Codec<A>)
  return Arbitrary.filter(generated, (value): value is A => is(value))
}

export const oneOf = <A>(choices: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  choices.length === 1
    ? choices[0]!
    : Arbitrary.flatMap(Arbitrary.schema(Schema.Literals(choices.map((_, i) => i))), (i) => choices[i]!)
