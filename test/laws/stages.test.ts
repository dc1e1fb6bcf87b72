import { NodeServices } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Layer, Stream } from "effect"
import type * as Artifact from "../../dsl/Artifact.ts"
import { Texts } from "../../dsl/artifacts.ts"
import * as Stage from "../../dsl/Stage.ts"
import { Device } from "../../runtime/device/Device.ts"
import { stageLaws } from "../../runtime/executor/stageLaws.ts"
import { Store } from "../../runtime/store/Store.ts"
import { temporaryStore } from "../runtime/executor/support.ts"
import { type Given, givens } from "./givens.ts"
import { stages } from "./inventory.ts"

const temporary = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(Effect.sync(temporaryStore), ({ remove }) => Effect.sync(remove)),
    ({ root }) => Store.layer(root)
  )
)
const world = Layer.mergeAll(temporary, Device.layer("wasm"), NodeServices.layer)

describe("every stage", () => {
  it("is called by the laws", () => assert.sameMembers(Object.keys(givens), [...stages.keys()]))
})

layer(world)("the free laws", (it) => {
  for (const [name, constructor] of stages) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const { laws } = constructor.stage
        for (const law of [...stageLaws(constructor, givens[name]!, { runs: 4 }), ...laws]) {
          const verdict = yield* law.check({ ...(laws.includes(law) ? {} : { runs: 4 }), seed: 1 })
          assert.strictEqual(verdict._tag === "Broken" ? `${verdict.law}: ${verdict.reason}` : "holds", "holds")
        }
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
  const once: Given = givens["rank"]!
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
