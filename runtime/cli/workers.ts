/** The worker processes that a command computes with. */
import { Effect, Option } from "effect"
import type * as Graph from "../../dsl/Graph.ts"
import { Device } from "../device/Device.ts"
import * as Pool from "../executor/pool/Pool.ts"
import { sizeFor } from "../executor/pool/size.ts"
import type { Store } from "../store/Store.ts"

/** As many as were asked for, else as one of the graphs is worth at most; 1 where nothing computes on a device. */
export const count = Effect.fnUntraced(function* (asked: number | "auto", graphs: ReadonlyArray<Graph.Graph>) {
  const device = yield* Effect.serviceOption(Device)
  if (Option.isNone(device)) return 1
  const { kind } = device.value
  return asked === "auto" ? Math.max(...graphs.map((graph) => sizeFor(graph, kind))) : asked
})

/** Runs an effect with this many workers; one is this process itself. */
export const provide =
  (workers: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Store | Device> =>
    workers > 1 ? Effect.provide(effect, Pool.layer(workers)) : effect
