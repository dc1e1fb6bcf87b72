/** How many workers a graph is worth. */
import { availableParallelism } from "node:os"
import type * as Graph from "../../../dsl/Graph.ts"
import type { Kind } from "../../device/Device.ts"

/** What a worker needs at most for models of the size that are trained on cores: its code, its heap and its tensors. */
const WORKER_BYTES = 1024 ** 3

/** Devices that compute on one core, so that two of them are twice one. All others take what there is by themselves. */
const ON_ONE_CORE: ReadonlySet<string> = new Set<Kind>(["wasm", "cpu"])

/** What decides the number: the machine's own cores and memory unless told. */
export interface Machine {
  readonly cores: number
  /** Bytes that a process may still take. */
  readonly memory: number
}

const thisMachine = (): Machine => ({ cores: availableParallelism(), memory: process.availableMemory() })

/**
 * As many as there are cores, memory and nodes for: nodes on the device, none of which waits for another. A chain gets 1,
 * which is no worker but this process: it would only pay for a worker's start, 0.7 s of computing.
 */
export const sizeFor = (graph: Graph.Graph, device: Kind, machine: Machine = thisMachine()): number =>
  ON_ONE_CORE.has(device)
    ? Math.max(1, Math.min(machine.cores, Math.floor(machine.memory / WORKER_BYTES), width(graph)))
    : 1

/**
 * The largest number of device nodes that have the same number of device nodes before them, along the longest way: none of
 * them depends on another.
 */
export const width = (graph: Graph.Graph): number => {
  const depths = new Map<string, number>()
  const counts = new Map<number, number>()
  for (const { id, inputs, node } of graph.nodes) {
    const before = Math.max(0, ...Object.values(inputs).map((input) => depths.get(input)!))
    const isOnDevice = node.stage.resource === "device"
    depths.set(id, before + (isOnDevice ? 1 : 0))
    if (isOnDevice) counts.set(before, (counts.get(before) ?? 0) + 1)
  }
  return Math.max(0, ...counts.values())
}
