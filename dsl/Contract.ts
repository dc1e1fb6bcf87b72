/**
 * What a file beside a stage, a component or a kind says of it: laws, and inputs to try them on. For `filter.ts` that is
 * `filter.laws.ts`, which only checks import, so editing it recomputes nothing. Laws may also stand in `Stage.make`.
 */
import type { Arbitrary } from "effect"
import type * as Artifact from "./Artifact.ts"
import type * as Component from "./Component.ts"
import type * as Law from "./Law.ts"
import type * as Stage from "./Stage.ts"

/** Marks contracts. */
export const TypeId = "~prefline/dsl/Contract"

type Fields = Readonly<Record<string, Arbitrary.Arbitrary<unknown>>>

/** What is said of one stage, component or artifact. */
export interface Contract {
  readonly [TypeId]: typeof TypeId
  /** `stage <name>`, `component <kind>/<name>` or `artifact <name>`. */
  readonly of: string
  readonly laws: ReadonlyArray<Law.Law>
  /** Whole calls, for a stage; they replace what is derived. */
  readonly given: Arbitrary.Arbitrary<Stage.Given> | undefined
  /** Generators of single parameters; the others are derived from their schemas. */
  readonly params: Fields
  /** Generators of single inputs of a stage, the piped one under `input`; the others are derived from their artifacts. */
  readonly inputs: Fields
  /** Values, for an artifact: an array for one of records. They replace what is derived from its schema. */
  readonly values: Arbitrary.Arbitrary<unknown> | undefined
}

/** What a contract of a stage or a component can say. */
export interface Options {
  readonly laws?: ReadonlyArray<Law.Law>
  readonly given?: Arbitrary.Arbitrary<Stage.Given>
  readonly params?: Fields
  readonly inputs?: Fields
}

/** Export it from the file beside the stage's or component's, under any name. */
export const of = (
  subject: { readonly stage: Stage.Any } | Component.AnyDefinition,
  { given, inputs = {}, laws = [], params = {} }: Options
): Contract => ({ [TypeId]: TypeId, of: idOf(subject), laws, given, params, inputs, values: undefined })

/** How values of an artifact are generated where a stage reads it. */
export const values = (artifact: Artifact.Any, generated: Arbitrary.Arbitrary<unknown>): Contract => ({
  [TypeId]: TypeId,
  of: `artifact ${artifact.name}`,
  laws: [],
  given: undefined,
  params: {},
  inputs: {},
  values: generated
})

/** The `of` of a contract of that stage or component. */
export const idOf = (subject: { readonly stage: Stage.Any } | Component.AnyDefinition): string =>
  "stage" in subject ? `stage ${subject.stage.name}` : `component ${subject.kind}/${subject.componentName}`

/** Whether a value, such as an export of a module, is a contract. */
export const isContract = (u: unknown): u is Contract => typeof u === "object" && u !== null && TypeId in u
