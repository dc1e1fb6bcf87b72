/** Stages and components with all the laws that they have to obey, ready to be checked. */
import { Arbitrary, Effect, Exit, Stream } from "effect"
import type * as Component from "../../dsl/Component.ts"
import * as Contract from "../../dsl/Contract.ts"
import type * as Law from "../../dsl/Law.ts"
import type * as Stage from "../../dsl/Stage.ts"
import { type Constructor, execute, stageLaws } from "../executor/stageLaws.ts"
import { Store } from "../store/Store.ts"
import * as Generate from "./generate.ts"
import * as Given from "./given.ts"
import type { Inventory } from "./inventory.ts"

export interface Subject {
  readonly sort: "stage" | "component"
  /** A stage's name, or `<kind>/<name>`. */
  readonly id: string
  readonly laws: ReadonlyArray<Law.Law>
  /** What laws of stages are checked on. */
  readonly subject: Law.Subject | undefined
  /** Why nothing can be tried; then there are no laws. */
  readonly problem: string | undefined
  /** Calls that the stage took and refused so far. */
  readonly calls: { taken: number; refused: number }
}

/** The free laws execute a stage five times an input, with a store around it. */
const FREE_RUNS = 4

export const ofStage = (constructor: Constructor, { contracts }: Inventory): Subject => {
  const { stage } = constructor
  const own = [...stage.laws, ...(contracts.get(Contract.idOf(constructor))?.laws ?? [])]
  const calls = { taken: 0, refused: 0 }
  const about = { sort: "stage", id: stage.name, calls } as const
  try {
    const given = Given.of(stage, contracts)
    const laws = [...stageLaws(constructor, given, { runs: FREE_RUNS }), ...own]
    return { ...about, laws, subject: { given, run: counted(calls, (call) => run(stage, call)) }, problem: undefined }
  } catch (cause) {
    if (cause instanceof Generate.NotGenerated)
      return { ...about, laws: [], subject: undefined, problem: cause.message }
    throw cause
  }
}

export const ofComponent = (
  definition: Component.AnyDefinition,
  { contracts, kinds }: Inventory
): Effect.Effect<Subject> =>
  Effect.suspend(() => {
    const about = {
      sort: "component",
      id: `${definition.kind}/${definition.componentName}`,
      subject: undefined,
      calls: { taken: 0, refused: 0 }
    } as const
    const own = [...definition.laws, ...(contracts.get(Contract.idOf(definition))?.laws ?? [])]
    const ofKind = (component: Component.Any): Subject => {
      const kind = kinds.get(definition.kind)
      const laws = [decodes(component), ...(kind === undefined ? [] : kind.laws(component as never)), ...own]
      return { ...about, laws, problem: undefined }
    }
    const unknown = (problem: string): Subject => ({ ...about, laws: [], problem })
    let generated: Arbitrary.Arbitrary<Component.Any>
    try {
      generated = Generate.component(definition, contracts)
    } catch (cause) {
      if (cause instanceof Generate.NotGenerated) return Effect.succeed(unknown(cause.message))
      throw cause
    }
    return Effect.match(Arbitrary.sampleEffect(generated, { count: 1, seed: 0 }), {
      onFailure: () => unknown("no parameters are found with which it can be made; give it generators of them"),
      onSuccess: ([component]) => ofKind(component!)
    })
  })

/** The free law of components: as data they are their name and parameters. */
const decodes = (component: Component.Any): Law.Law => {
  const { definition, name, params } = component
  const law = "is again itself when it is read from its name and parameters"
  return {
    name: `${name}: ${law}`,
    check: ({ seed = 0 } = {}) =>
      Effect.match(definition.decode(params), {
        onFailure: ({ message }): Law.Verdict => ({ _tag: "Broken", law, input: params, reason: message, seed }),
        onSuccess: (again): Law.Verdict =>
          JSON.stringify(again.params) === JSON.stringify(params)
            ? { _tag: "Holds", runs: 1 }
            : { _tag: "Broken", law, input: params, reason: `reads back as ${JSON.stringify(again.params)}`, seed }
      })
  }
}

/** A stage that refuses every call obeys any law, so refusals are counted. */
const counted =
  (calls: Subject["calls"], perform: Law.Subject["run"]): Law.Subject["run"] =>
  (call) =>
    Effect.onExit(perform(call), (exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) calls.taken++
        else calls.refused++
      })
    )

/** Performs a stage through the store, and reads what it made; records as an array. */
export const run = Effect.fnUntraced(function* (stage: Stage.Any, call: Stage.Given) {
  const ref = yield* execute(stage, call)
  const value = yield* (yield* Store).read(stage.output, ref)
  return stage.output.kind === "records"
    ? yield* Stream.runCollect((value as { stream: Stream.Stream<unknown> }).stream)
    : value
})
