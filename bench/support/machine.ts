import * as Os from "node:os"

/** What a reader needs to judge the figures; the load averages say whether the machine did anything else. */
export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryBytes: number
  readonly node: string
  readonly platform: string
  readonly loadAtStart: ReadonlyArray<number>
  readonly loadAtEnd?: ReadonlyArray<number>
}

export const describe = (): Machine => ({
  processor: Os.cpus()[0]?.model ?? "unknown",
  cores: Os.availableParallelism(),
  memoryBytes: Os.totalmem(),
  node: process.version,
  platform: `${Os.platform()} ${Os.arch()} ${Os.release()}`,
  loadAtStart: Os.loadavg()
})

export const atEnd = (machine: Machine): Machine => ({ ...machine, loadAtEnd: Os.loadavg() })

export const toText = ({ cores, loadAtStart, memoryBytes, node, platform, processor }: Machine): string =>
  [
    `${processor}, ${cores} cores, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB, ${platform}, Node ${node}`,
    `load average (1, 5, 15 minutes) at the start: ${load(loadAtStart)}`
  ].join("\n")

/** The load at the end counts the bench's own processes, about one at a time. */
export const load = (averages: ReadonlyArray<number>): string => averages.map((x) => x.toFixed(2)).join(" ")
