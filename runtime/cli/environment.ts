/** The services that commands work with. */
import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { Effect, type FileSystem, Layer, type Path, Schema } from "effect"
import type * as Graph from "../../dsl/Graph.ts"
import { Choice, Device, type DeviceUnavailable } from "../device/Device.ts"
import type { CodeHash } from "../store/CodeHash.ts"
import { Store } from "../store/Store.ts"
import type { Output } from "./Output.ts"
import type { Found } from "./PipelineSource.ts"

/** A command that reads results was pointed to a folder without any. */
export class StoreMissing extends Schema.TaggedError<StoreMissing>()("StoreMissing", { root: Schema.String }) {
  override get message() {
    return `there is no store in ${this.root}: nothing was run there yet, or --store has to name another folder`
  }
}

/** The store in a folder, which is made if need be. */
export const storeAt = (folder: string) => Store.layer(resolve(folder))

/** The store in a folder that has to be one already: looking at results makes no store. */
export const existingStoreAt = (folder: string) =>
  Layer.unwrap(
    Effect.suspend(() => {
      const root = resolve(folder)
      return existsSync(`${root}/format.json`)
        ? Effect.succeed(Store.layer(root))
        : Effect.fail(new StoreMissing({ root }))
    })
  )

/** Whether a stage of these nodes works on the tensor device, or has keys that its numerics enter. */
const computesOnDevice = (nodes: Graph.Graph["nodes"]) =>
  nodes.some(({ node }) => node.stage.numerics || node.stage.resource === "device")

/** What every command has at hand while it computes. */
type Surroundings = Store | CodeHash | Output | FileSystem.FileSystem | Path.Path

/**
 * Provides what the stages of a pipeline need: its module's own services and, if some stage computes on it, the device.
 * Nodes that need none do not pay for loading the tensor library; an unknown device fails all the same.
 * **Gotchas** What a pipeline found at run time needs, no type can say: a service that is missing shows as a failure of
 * the stage that asks for it.
 */
export const withServices = <A, E>(
  effect: Effect.Effect<A, E, any>,
  {
    device,
    layer,
    nodes
  }: { readonly device: string; readonly layer: Found["layer"]; readonly nodes: Graph.Graph["nodes"] }
): Effect.Effect<A, E | DeviceUnavailable, Surroundings> => {
  const asked: Effect.Effect<A, E, Surroundings | Device> = effect
  const provided = layer === undefined ? asked : Effect.provide(asked, layer)
  return computesOnDevice(nodes) || !Schema.is(Choice)(device)
    ? Effect.provide(provided, Device.layer(device))
    : (provided as Effect.Effect<A, E, Surroundings>)
}
