/** How far a whole run is: its nodes, and how long it may still take. */
import type * as Graph from "../../../dsl/Graph.ts"
import * as Format from "../format.ts"
import * as History from "./history.ts"
import { type Running, timeLeft } from "./progress.ts"

export interface Overall {
  readonly total: number
  /** Nothing of many runs side by side: of these no time is told. */
  readonly graph: Graph.Graph | undefined
  readonly begun: number
  readonly ended: Set<string>
  /** Until it is read, nothing is known. */
  history: History.History
}

export const begin = (graph: Graph.Graph, now: number): Overall => ({ ...ofMany(graph.nodes.length, now), graph })

export const ofMany = (total: number, now: number): Overall => ({
  total,
  graph: undefined,
  begun: now,
  ended: new Set(),
  history: () => undefined
})

/** Characters of the bar on a wide terminal. */
const BAR = 24
const TOO_NARROW = 60

/** `████████░░░░ 12/40 nodes  1 min 05 s  about 40.0 s left` */
export const describe = (
  overall: Overall,
  running: ReadonlyMap<string, Running>,
  now: number,
  columns: number
): string => {
  const { begun, ended, total } = overall
  return [
    ...(columns < TOO_NARROW ? [] : [bar(ended.size / Math.max(total, 1))]),
    `${ended.size}/${total} nodes`,
    Format.duration(now - begun),
    ...estimate(overall, running, now)
  ].join("  ")
}

const bar = (share: number) => {
  const full = Math.floor(share * BAR)
  return "█".repeat(full) + "░".repeat(BAR - full)
}

/** By the pace of what runs, else by what it took before: nothing is promised where neither is known of anything. */
const estimate = ({ ended, graph, history }: Overall, running: ReadonlyMap<string, Running>, now: number) => {
  if (graph === undefined) return []
  const left = (node: string) => {
    const known = running.get(node)
    const before = history(node)
    if (known === undefined) return before
    return timeLeft(known, now) ?? (before === undefined ? undefined : Math.max(0, before - (now - known.begun)))
  }
  const { isWhole, ms } = History.remaining(graph, ended, left, Math.max(1, running.size))
  return ms < 500 ? [] : [`${isWhole ? "about" : "at least"} ${Format.duration(ms)} left`]
}
