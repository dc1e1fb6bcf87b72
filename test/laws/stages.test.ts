import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Layer, Stream } from "effect"
import type * as Artifact from "../../dsl/Artifact.ts"
import { Texts } from "../../dsl/artifacts.ts"
import * as Contract from "../../dsl/Contract.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Called from "../../runtime/check/given.ts"
import * as Inventory from "../../runtime/check/inventory.ts"
import * as Subjects from "../../runtime/check/subjects.ts"
import { Device } from "../../runtime/device/Device.ts"
import { stageLaws } from "../../runtime/executor/stageLaws.ts"
import { Store } from "../../runtime/store/Store.ts"
import { rank } from "../../stages/rank/rank.ts"
import { temporaryStore } from "../runtime/executor/support.ts"

const temporary = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(Effect.sync(temporaryStore), ({ remove }) => Effect.sync(remove)),
    ({ root }) => Store.layer(root)
  )
)
/** The laws that come free with every stage. */
const FREE = 3
const world = Layer.mergeAll(temporary, Device.layer("wasm"), NodeServices.layer)

const inventory = await Effect.runPromise(Inventory.shipped)

layer(world)("every stage obeys the free laws, and at least three of its own", (it) => {
  for (const constructor of inventory.stages) {
    const { stage } = constructor
    it.effect(stage.name, () =>
      Effect.gen(function* () {
        const { calls, laws, problem, subject } = Subjects.ofStage(constructor, inventory)
        assert.isUndefined(problem)
        assert.isAtLeast(laws.length, FREE + 3)
        const beside = new Set(inventory.contracts.get(Contract.idOf(constructor))?.laws)
        for (const law of laws) {
          const runs = beside.has(law) && !stage.numerics ? { runs: 10 } : {}
          const verdict = yield* law.check({ ...runs, seed: 1, subject: subject! })
          assert.strictEqual(verdict._tag === "Broken" ? `${law.name}: ${verdict.reason}` : "holds", "holds")
        }
        assert.isTrue(calls.taken > 0 || calls.refused === 0, `${calls.refused} calls, all refused`)
      })
    )
  }

  // Each law must fail on the bug that it is for.
  const module = import.meta.url
  let calls = 0
  const leaked: Array<tf.Tensor> = []
  const broken: ReadonlyArray<readonly [law: string, stage: { readonly stage: Stage.Any }]> = [
    [
      "give the same digest",
      Stage.make({
        name: "forgetful",
        description: "",
        module,
        params: {},
        output: Texts,
        run: () => Stream.succeed({ id: `${calls++}`, text: "a" })
      })
    ],
    [
      "survives being written and read",
      Stage.make({
        name: "lossy",
        description: "",
        module,
        params: {},
        output: {
          ...Texts,
          decode: (files: Artifact.FileSource) =>
            Effect.map(Texts.decode(files), ({ stream }) => ({
              stream: Stream.map(stream, (text) => ({ ...text, id: `${text.id}'` }))
            }))
        },
        run: () => Stream.succeed({ id: "a", text: "a" })
      })
    ],
    [
      "leaves no tensor",
      Stage.make({
        name: "leaky",
        description: "",
        module,
        params: {},
        output: Texts,
        run: () =>
          Stream.fromEffect(
            Effect.sync(() => {
              leaked.push(tf.zeros([1]))
              return { id: "a", text: "a" }
            })
          )
      })
    ]
  ]
  const once = Called.of(rank.stage, inventory.contracts)
  for (const [law, constructor] of broken) {
    it.effect(`"${law}" breaks for the stage ${constructor.stage.name}`, () =>
      Effect.gen(function* () {
        const verdicts = yield* Effect.forEach(stageLaws(constructor, once, { runs: 2 }), (each) =>
          Effect.map(each.check(), ({ _tag }) => [each.name.includes(law), _tag] as const)
        )
        assert.deepInclude(verdicts, [true, "Broken"])
        tf.dispose(leaked.splice(0))
      })
    )
  }
})
