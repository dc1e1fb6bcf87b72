/** Runs checks of a pipeline in a store of their own. */
import { NodeServices } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type * as Check from "../../dsl/Check.ts"
import type * as Pipeline from "../../dsl/Pipeline.ts"
import * as Claims from "../../runtime/executor/Claims.ts"
import { source, temporaryStore } from "../runtime/executor/support.ts"

/** A temporary store with what pipelines of solved worlds need. */
export const temporary = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(Effect.sync(temporaryStore), ({ remove }) => Effect.sync(remove)),
    (store) => Layer.merge(store.layer, NodeServices.layer)
  )
)

/** The verdict on one check, with nothing run that it does not look at; `over` in place of its settings. */
export const verdictOn = Effect.fnUntraced(function* (
  pipeline: Pipeline.Pipeline,
  name: string,
  over?: Check.Check["over"]
) {
  const found = pipeline.checks.find((check) => check.name === name)
  if (found === undefined) throw new Error(`${pipeline.name} has no check ${JSON.stringify(name)}`)
  const check = over === undefined ? found : { ...found, over }
  const looked: Pipeline.Pipeline = {
    ...pipeline,
    outputs: (params) =>
      Object.fromEntries(Object.entries(pipeline.outputs(params)).filter(([output]) => check.outputs?.includes(output)))
  }
  const built = (yield* Claims.build(looked, check, { source })) as Parameters<typeof Claims.verdict<never, never>>[1]
  return yield* Claims.verdict(check, built, { source })
})

/** Asserts that a check holds, with what was measured where it does not. */
export const holds = (pipeline: Pipeline.Pipeline, name: string, over?: Check.Check["over"]) =>
  Effect.map(verdictOn(pipeline, name, over), ({ holds, measured }) =>
    assert.isTrue(holds, `${name}: measured ${measured.value} [${measured.interval}]`)
  )
