import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Artifact from "../../../dsl/Artifact.ts"
import { Count, withDefault } from "../../../dsl/Params.ts"
import * as Pipeline from "../../../dsl/Pipeline.ts"
import * as Stage from "../../../dsl/Stage.ts"
import * as Claims from "../../../runtime/executor/Claims.ts"
import * as Support from "./support.ts"

const size = Stage.make({
  name: "size",
  description: "Width times depth",
  module: import.meta.url,
  params: { width: Count, depth: Count },
  output: Artifact.value("size", Schema.Finite),
  run: ({ params }) => Effect.succeed(params.width * params.depth)
})

const Model = Schema.Struct({ width: Count, depth: Count.pipe(withDefault(2)) })

const sizes = Pipeline.make(
  "sizes",
  {
    description: "",
    params: { model: Model },
    checks: [
      {
        name: "grow",
        kind: "exact",
        expected: "the second is larger by two",
        over: { model: [{ width: 1 }, { width: 2 }] },
        measure: ([one, two]) => Effect.sync(() => ({ value: two!.outputs.size - one!.outputs.size })),
        holds: ({ value }) => value === 2
      }
    ]
  },
  ({ model }) => ({ size: size(model) })
)

it.effect("a check is handed the outputs of settings whose values leave defaults out", () => {
  const store = Support.temporaryStore()
  return Effect.gen(function* () {
    const [check] = sizes.checks
    const options = { source: Support.source }
    const verdict = yield* Claims.verdict(check!, yield* Claims.build(sizes, check!, options), options)
    assert.deepStrictEqual([verdict.measured.value, verdict.holds], [2, true])
  }).pipe(Effect.provide(store.layer), Effect.ensuring(Effect.sync(store.remove)))
})
