/** Objectives whose items depend on the batch around them, trained on a language model by gradient caching. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Stream } from "effect"
import { recordsOf } from "../../../dsl/Artifact.ts"
import type { Pair, PairLogProbs } from "../../../dsl/artifacts.ts"
import type { Checkpoint } from "../../../dsl/Checkpoint.ts"
import type * as Component from "../../../dsl/Component.ts"
import * as Partial from "../../../dsl/Partial.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { Device, withoutLeak } from "../../../runtime/device/Device.ts"
import * as Policy from "../../../runtime/models/Policy.ts"
import { eachAlone, wholeBatch } from "../../../stages/optimize/itemLoss.ts"
import { itemsOf } from "../../../stages/optimize/items.ts"
import { train } from "../../../stages/optimize/loop.ts"
import type { Objective } from "../../../stages/optimize/Objective.ts"
import { aot, aotUnpaired } from "../../../stages/optimize/objectives/aot.ts"
import { bco } from "../../../stages/optimize/objectives/bco.ts"
import { betaDpo } from "../../../stages/optimize/objectives/betaDpo.ts"
import { cpo } from "../../../stages/optimize/objectives/cpo.ts"
import { dpo } from "../../../stages/optimize/objectives/dpo.ts"
import { kto } from "../../../stages/optimize/objectives/kto.ts"
import { orpo } from "../../../stages/optimize/objectives/orpo.ts"
import { wpo } from "../../../stages/optimize/objectives/wpo.ts"
import { preference } from "../../../stages/optimize/preference.ts"
import { logProbs } from "../../../stages/score/logProbs.ts"
import * as Tiny from "../tinyPolicy.ts"

type AnyObjective = Component.Component<"objective", Objective>

const from = Tiny.tinyPolicy(1, 10)
const pairs: ReadonlyArray<Pair> = Tiny.pairs.map((pair, i) => ({
  ...pair,
  others: { mismatched: { completion: Tiny.pairs[(i + 1) % Tiny.pairs.length]!.chosen } }
}))
/** Of another policy than the one that trains: the first step's log-ratios are not all 0. */
const annotations = Stream.runCollect(
  logProbs.stage.run({
    params: {},
    input: { stream: Stream.fromIterable(pairs) },
    inputs: { policy: Tiny.tinyPolicy(2, 10) }
  } as never) as Stream.Stream<PairLogProbs, any, Device>
)

const training = {
  steps: 4,
  batchSize: 4,
  learningRate: 1e-2,
  finalLearningRate: 0.1,
  warmupSteps: 2,
  weightDecay: 0,
  maxGradientNorm: 1,
  logEvery: 1,
  saveEvery: 50
}
const optimized = (objective: AnyObjective, params: object = {}, partial: Partial.Partial = Partial.none) =>
  Effect.gen(function* () {
    const given = objective.implementation.reads.reference ? { referenceLogProbs: yield* annotations } : {}
    return yield* Tiny.call<Checkpoint>(preference, {
      params: { objective, ...training, ...params },
      input: pairs,
      inputs: { from, ...given },
      partial
    })
  })

const flat = ({ weights }: Pick<Checkpoint, "weights">) => [...weights.values()].flatMap(({ data }) => [...data])
/** How far apart two trainings end, by how far they went. */
const apart = (one: ReadonlyArray<number>, other: ReadonlyArray<number>) => {
  const start = flat(from)
  const norm = (values: ReadonlyArray<number>) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0))
  return norm(one.map((x, i) => x - other[i]!)) / norm(one.map((x, i) => x - start[i]!))
}
const log = (checkpoint: Checkpoint) => checkpoint.trainerState!["log_history"] as ReadonlyArray<Record<string, number>>

/** Keeps state in memory, and interrupts the training right after the n-th save. */
const memory = (interruptAfter: number): Partial.Partial => {
  let state: Uint8Array | undefined
  let saves = 0
  return {
    load: Effect.sync(() => Option.fromUndefinedOr(state)),
    save: (bytes) => {
      state = bytes.slice()
      return ++saves === interruptAfter ? Effect.interrupt : Effect.void
    }
  }
}

const coupled: ReadonlyArray<AnyObjective> = [
  kto({ beta: 0.5, undesirableWeight: 1.5 }),
  bco({ beta: 0.5, momentum: 0.5 }),
  aot({ beta: 0.5 }),
  aotUnpaired({ beta: 0.5 }),
  betaDpo({ beta: 0.5, level: "item", momentum: 0.5 }),
  betaDpo({ beta: 0.5, level: "batch", momentum: 0.5 }),
  cpo({ normalization: "tokenMean" })
]

layer(Device.layer("wasm"))("training on losses of a batch", (it) => {
  for (const objective of coupled)
    describe(`${objective.name} ${JSON.stringify(objective.params)}`, () => {
      it.effect("does not depend on the micro-batches but for rounding", () =>
        Effect.gen(function* () {
          const whole = yield* optimized(objective)
          for (const microBatchSize of [1, 2, 3]) {
            const cut = yield* optimized(objective, { microBatchSize })
            assert.isBelow(apart(flat(whole), flat(cut)), 1e-5)
            for (const [i, entry] of log(cut).entries()) assert.closeTo(entry["loss"]!, log(whole)[i]!["loss"]!, 1e-5)
          }
        })
      )

      it.effect("interrupted and resumed, ends with the bits of an undisturbed training", () =>
        Effect.gen(function* () {
          const params = { saveEvery: 2, microBatchSize: 2 }
          const undisturbed = yield* optimized(objective, params)
          const kept = memory(1)
          const exit = yield* Effect.flatMap(Effect.forkChild(optimized(objective, params, kept)), Fiber.await)
          assert.isTrue(Exit.hasInterrupts(exit))
          const resumed = yield* optimized(objective, params, kept)
          assert.deepStrictEqual(flat(resumed), flat(undisturbed))
          assert.deepStrictEqual(resumed.trainerState, undisturbed.trainerState)
        })
      )
    })

  describe("by way of float64", () => {
    for (const objective of [dpo({ beta: 0.5 }), wpo({ beta: 0.5 }), orpo(), cpo({ link: "ipo" })] as const)
      it.effect(`${objective.name}, which each item has for itself, trains as it does on tensors alone`, () =>
        Effect.gen(function* () {
          const { implementation } = objective as AnyObjective
          const annotated = implementation.reads.reference ? { reference: recordsOf(yield* annotations) } : {}
          const trainedBy = (losses: typeof wholeBatch) =>
            withoutLeak(
              Effect.scoped(
                Effect.gen(function* () {
                  const policy = yield* Policy.load(from)
                  const items = yield* itemsOf(policy, recordsOf(pairs), annotated, implementation.reads)
                  const history = yield* train({
                    model: policy.model,
                    items,
                    params: { ...training, microBatchSize: 2 },
                    rng: Rng.make(0, "coupled"),
                    partial: Partial.none,
                    losses: losses(policy.model, implementation)
                  })
                  const weights = [...policy.model.parameters.values()].flatMap((parameter) => [
                    ...parameter.dataSync()
                  ])
                  return { history, weights }
                })
              )
            )
          const [direct, cached] = [yield* trainedBy(eachAlone), yield* trainedBy(wholeBatch)]
          assert.isBelow(apart(direct.weights, cached.weights), 1e-5)
          for (const [i, entry] of direct.history.entries())
            for (const [name, value] of Object.entries(entry))
              assert.closeTo(cached.history[i]![name]!, value, 1e-5 * Math.max(1, Math.abs(value)), `${i} ${name}`)
        })
      )
  })
})
