/** What is counted and measured of runs. Names and units are those of a collector's; none of it enters a result. */
import { Effect, Metric, Option } from "effect"
import { Device } from "../device/Device.ts"

const nodes = Metric.counter("prefline_nodes", {
  description: "Nodes that ended, by stage and status",
  incremental: true
})
const cache = Metric.counter("prefline_cache", {
  description: "Nodes by whether the store had them",
  incremental: true
})
const stageTime = Metric.histogram("prefline_stage_time", {
  description: "Time that computing a node took",
  // From what is hardly worth a node to a training of hours.
  boundaries: [10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7],
  attributes: { unit: "milliseconds" }
})
const tensorBytes = Metric.gauge("prefline_tensor_memory", {
  description: "Bytes of the live tensors of this process",
  attributes: { unit: "bytes" }
})
const tensors = Metric.gauge("prefline_tensors", { description: "Live tensors of this process" })

/** A node has ended. */
export const nodeEnded = (node: {
  readonly stage: string
  readonly status: "computed" | "cached" | "failed" | "skipped"
  readonly ms: number
}): Effect.Effect<void> => {
  const { ms, stage, status } = node
  const isAnswer = status === "computed" || status === "cached"
  return Effect.all(
    [
      Metric.update(Metric.withAttributes(nodes, { stage, status }), 1),
      ...(isAnswer
        ? [Metric.update(Metric.withAttributes(cache, { result: status === "cached" ? "hit" : "miss" }), 1)]
        : []),
      ...(status === "computed" ? [Metric.update(Metric.withAttributes(stageTime, { stage }), ms)] : [])
    ],
    { discard: true }
  )
}

/** What the device of this process holds at this moment, if there is one. */
export const deviceNow: Effect.Effect<void> = Effect.flatMap(Effect.serviceOption(Device), (device) => {
  if (Option.isNone(device)) return Effect.void
  const { bytes, count } = device.value.tensors()
  return Effect.andThen(Metric.update(tensorBytes, bytes), Metric.update(tensors, count))
})
