/** Executes one node: reads its inputs from the store, runs the stage, writes what it makes to the store. */
import { join } from "node:path"
import { Effect, Option } from "effect"
import type * as Node from "../../dsl/Node.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { Device, withoutLeak, withRenewal } from "../device/Device.ts"
import * as ResponseCache from "../services/ResponseCache.ts"
import type { ArtifactRef } from "../store/ArtifactRef.ts"
import * as Layout from "../store/internal/layout.ts"
import { Store } from "../store/Store.ts"
import { RandomnessUndeclared, StageTimedOut } from "./errors.ts"

/**
 * Runs the stage of `node` on stored inputs and returns the address of its output. A stage with numerics is held to
 * leave no tensor behind. Partial state is kept under `key`; whoever asked drops it once the output is on record.
 */
export const perform = Effect.fnUntraced(function* (
  node: Node.Any,
  key: string,
  inputs: Readonly<Record<string, ArtifactRef>>
) {
  const store = yield* Store
  // By the artifacts that the stage declares, whose code is in its key; those of the nodes before it are not.
  const declared = Stage.inputArtifacts(node.stage)
  const values = yield* Effect.forEach(Object.keys(node.inputs), (name) =>
    store.read(declared[name]!, inputs[name]!).pipe(Effect.map((value) => [name, value] as const))
  )
  const { input, ...further } = Object.fromEntries(values) as { input?: unknown } & Record<string, unknown>
  const context: Stage.Context<any, any, any> = {
    params: node.params as never,
    input: input as never,
    inputs: further as never,
    rng: generatorOf(node),
    partial: store.partial(key)
  }
  const responses = ResponseCache.inFolder(join(store.root, "responses"), Layout.make(store.root).temporary)
  const produce = Effect.suspend(() => store.write(node.artifact, node.stage.run(context) as never)).pipe(
    Effect.provideService(ResponseCache.ResponseCache, responses)
  )
  const device = yield* Effect.serviceOption(Device)
  const checked =
    node.stage.numerics && Option.isSome(device)
      ? Effect.provideService(withRenewal(withoutLeak(produce)), Device, device.value)
      : produce
  const { timeout } = node.stage
  return yield* timeout === undefined
    ? checked
    : Effect.timeoutOrElse(checked, {
        duration: timeout,
        orElse: () => Effect.fail(new StageTimedOut({ stage: node.stage.name, limit: String(timeout) }))
      })
})

const generatorOf = (node: Node.Any): Rng.Rng => {
  if (node.random !== undefined) return Rng.make(node.random.seed, node.random.stream)
  const refuse = (): never => {
    throw new RandomnessUndeclared({ stage: node.stage.name })
  }
  return { words: refuse, uniform: refuse, normal: refuse, int: refuse, permutation: refuse, fork: refuse }
}
