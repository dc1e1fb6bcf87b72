/** Checks laws: what was asked for, found among what there is, and tried one subject after the other. */
import { Clock, Effect, Schema, Stream } from "effect"
import type * as Law from "../../dsl/Law.ts"
import type { Inventory } from "./inventory.ts"
import * as Subjects from "./subjects.ts"

/** A name that is no stage, component or kind. */
export class SubjectUnknown extends Schema.TaggedError<SubjectUnknown>()("SubjectUnknown", {
  asked: Schema.String,
  near: Schema.Array(Schema.String)
}) {
  override get message() {
    const near = this.near.length === 0 ? "" : `; near it: ${this.near.join(", ")}`
    return `${JSON.stringify(this.asked)} is no stage, component (kind/name) or kind${near}`
  }
}

/** No law of what was asked for has such a name. */
export class LawUnknown extends Schema.TaggedError<LawUnknown>()("LawUnknown", { law: Schema.String }) {
  override get message() {
    return `no law of what is checked has ${JSON.stringify(this.law)} in its name`
  }
}

export interface Settings {
  /** Inputs tried per law; what the law says (else 100) unless told. */
  readonly runs?: number
  readonly seed: number
  /** Only laws with this in their names. */
  readonly law?: string
  /** The `replay` of a broken verdict. */
  readonly replay?: string
}

export interface Result {
  readonly sort: Subjects.Subject["sort"]
  readonly id: string
  readonly verdicts: ReadonlyArray<{ readonly law: string; readonly verdict: Law.Verdict }>
  readonly problem: string | undefined
  /** Calls of a stage by its laws: those it took, and those it refused with a typed error. */
  readonly calls: { readonly taken: number; readonly refused: number }
  readonly ms: number
}

/** The stages and components of an inventory that were asked for by name, kind or kind and name; all where nothing was. */
export const choose = Effect.fn("check.choose")(function* (inventory: Inventory, asked: ReadonlyArray<string>) {
  const stages = inventory.stages.map((made) => ({
    names: [made.stage.name],
    make: Effect.sync(() => Subjects.ofStage(made, inventory))
  }))
  const components = inventory.components.map((definition) => ({
    names: [`${definition.kind}/${definition.componentName}`, definition.kind],
    make: Subjects.ofComponent(definition, inventory)
  }))
  const all = [...stages, ...components]
  const known = [...new Set(all.flatMap(({ names }) => names))]
  const unknown = asked.find((name) => !known.includes(name))
  if (unknown !== undefined) return yield* new SubjectUnknown({ asked: unknown, near: near(unknown, known) })
  return all.filter(({ names }) => asked.length === 0 || names.some((name) => asked.includes(name)))
})

const near = (asked: string, known: ReadonlyArray<string>) =>
  known.filter((name) => name.includes(asked) || asked.includes(name)).slice(0, 8)

export type Chosen = Effect.Success<ReturnType<typeof choose>>[number]

/** Results as they come, one for each subject that has a law of the name asked for. */
export const run = (chosen: ReadonlyArray<Chosen>, settings: Settings) =>
  Stream.fromIterable(chosen).pipe(
    Stream.mapEffect(({ make }) => Effect.flatMap(make, (subject) => check(subject, settings))),
    Stream.filter(({ problem, verdicts }) => problem !== undefined || verdicts.length > 0)
  )

const check = Effect.fnUntraced(function* (subject: Subjects.Subject, { law, replay, runs, seed }: Settings) {
  const before = yield* Clock.currentTimeMillis
  const asked = subject.laws.filter(({ name }) => law === undefined || name.includes(law))
  const verdicts = yield* Effect.forEach(asked, (one) =>
    Effect.map(
      one.check({
        seed,
        ...(runs === undefined ? {} : { runs }),
        ...(replay === undefined ? {} : { replay }),
        ...(subject.subject === undefined ? {} : { subject: subject.subject })
      }),
      (verdict) => ({ law: one.name, verdict })
    )
  )
  const { calls, id, problem, sort } = subject
  const ms = (yield* Clock.currentTimeMillis) - before
  const result: Result = { sort, id, verdicts, problem: law === undefined ? problem : undefined, calls, ms }
  return result
})
