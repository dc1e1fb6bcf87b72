/** The laws that come free with every stage, checked on inputs that went through the store as in a run. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { type Arbitrary, Effect, Exit, Fiber, Option, Stream } from "effect"
import type * as Artifact from "../../dsl/Artifact.ts"
import * as Json from "../../dsl/Json.ts"
import * as Law from "../../dsl/Law.ts"
import * as Node from "../../dsl/Node.ts"
import * as Stage from "../../dsl/Stage.ts"
import { Device } from "../device/Device.ts"
import { type ArtifactRef, sha256 } from "../store/ArtifactRef.ts"
import { Store } from "../store/Store.ts"
import { perform } from "./perform.ts"

/** A constructor as `Stage.make` returns it. */
export interface Constructor {
  readonly stage: Stage.Any
}

/** The free laws of a stage over the given calls of it. A call on which the stage fails must fail every time alike. */
export const stageLaws = (
  { stage }: Constructor,
  given: Arbitrary.Arbitrary<Stage.Given>,
  options: Law.CheckOptions = {}
): ReadonlyArray<Law.Law> => [
  Law.make(
    `${stage.name}: the same inputs and seed give the same digest, alone or beside others`,
    given,
    Effect.fnUntraced(function* (call) {
      const alone = yield* outcome(execute(stage, call))
      const together = yield* Effect.all(
        Array.from({ length: 3 }, () => outcome(execute(stage, call))),
        { concurrency: stage.resource === "device" ? 1 : 3 }
      )
      const other = together.find((one) => one !== alone)
      return other === undefined || (yield* new Law.Broken({ reason: `${alone}, then ${other}` }))
    }),
    options
  ),
  Law.make(
    `${stage.name}: what it makes survives being written and read`,
    given,
    Effect.fnUntraced(function* (call) {
      const made = yield* Effect.exit(execute(stage, call))
      if (Exit.isFailure(made)) return true
      const store = yield* Store
      const value = yield* store.read(stage.output, made.value)
      const again = yield* store.write(stage.output, producedFrom(stage.output, value))
      return (
        again.digest === made.value.digest || (yield* new Law.Broken({ reason: "it reads back as something else" }))
      )
    }),
    options
  ),
  Law.make(
    `${stage.name}: leaves no tensor and no temporary file behind, finished or interrupted`,
    given,
    Effect.fnUntraced(function* (call) {
      const before = yield* leftovers
      yield* Effect.exit(execute(stage, call))
      for (const turns of [0, 1, 3, 10]) {
        const fiber = yield* Effect.forkChild(Effect.exit(execute(stage, call)))
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }
      const after = yield* leftovers
      return before === after || (yield* new Law.Broken({ reason: `before ${before}, after ${after}` }))
    }),
    options
  )
]

/** Puts the inputs into the store and performs the stage on them, under the seed 0. */
export const execute = Effect.fnUntraced(function* (stage: Stage.Any, call: Stage.Given) {
  const store = yield* Store
  const inputs: Record<string, Node.Any> = {}
  const refs: Record<string, ArtifactRef> = {}
  for (const [name, artifact] of Object.entries(Stage.inputArtifacts(stage))) {
    const value = name === "input" ? call.input : call.inputs?.[name]
    if (value === undefined) continue
    inputs[name] = leaf(artifact)
    const given = artifact.kind === "records" ? { stream: Stream.fromIterable(value as Iterable<unknown>) } : value
    refs[name] = yield* store.write(artifact, producedFrom(artifact, given))
  }
  const key = sha256(`law ${stage.name}`)
  return yield* Effect.ensuring(
    perform(nodeOf(stage, call.params, inputs), key, refs),
    Effect.orDie(store.dropPartial(key)) // the next call may be another one
  )
})

const producedFrom = (artifact: Artifact.Any, value: any): Artifact.Output<Artifact.Any> =>
  artifact.kind === "records" ? value.stream : Effect.succeed(value)

const leaf = (artifact: Artifact.Any): Node.Any =>
  Node.make({
    stage: {} as Stage.Any,
    artifact,
    params: {},
    encodedParams: {},
    components: [],
    inputs: {},
    random: undefined,
    label: undefined
  })

const nodeOf = (stage: Stage.Any, params: object, inputs: Readonly<Record<string, Node.Any>>): Node.Any =>
  Node.make({
    stage,
    artifact: stage.output,
    params: stage.params.make(params as never),
    encodedParams: {},
    components: [],
    inputs,
    random: stage.random ? { seed: 0, stream: stage.name } : undefined,
    label: undefined
  })

/** One text for all that may come of a call: its digest, or its failure. */
const outcome = <E, R>(effect: Effect.Effect<ArtifactRef, E, R>) =>
  Effect.map(Effect.exit(effect), (exit) =>
    Exit.isSuccess(exit)
      ? exit.value.digest
      : Json.canonicalUnsafe(exit.cause.reasons.map((reason) => String((reason as { readonly error?: unknown }).error)))
  )

const leftovers = Effect.gen(function* () {
  const store = yield* Store
  const device = yield* Effect.serviceOption(Device)
  const tensors = Option.match(device, { onNone: () => 0, onSome: ({ tensors }) => tensors().count })
  return `${tensors} tensors, ${readdirSync(join(store.root, "tmp")).length} temporary files`
})
