/** How the time of a step and the peak memory grow with the model's width, the context and the batch. */
import { Effect } from "effect"
import * as Engine from "../support/Engine.ts"
import type { Report, Settings } from "../support/Report.ts"
import { exponent, type Summary, summarize } from "../support/statistics.ts"
import { mebibytes, number } from "../support/table.ts"
import { type Sizes, sized } from "../support/workload.ts"

const AXES = {
  width: { values: [64, 128, 256], sizes: (hidden: number) => sized({ hidden }) },
  context: { values: [32, 64, 128, 256], sizes: (length: number) => sized({ length }) },
  batch: { values: [4, 8, 16, 32], sizes: (pairs: number) => sized({ pairs }) }
} as const

interface Point {
  readonly value: number
  readonly times: Summary
  readonly peakBytes: number
  /** Above what the process has before it has a model. */
  readonly ownBytes: number
}

interface Growth {
  readonly engine: string
  readonly axis: string
  readonly points: ReadonlyArray<Point>
  readonly exponents: { readonly cpu: number; readonly wall: number; readonly memory: number }
}

/** Every point is measured in a process of its own; the engines take turns. */
export const growth = Effect.fnUntraced(function* ({ python, quick, say }: Settings) {
  const commands = [Engine.prefline, ...(python ? [Engine.pytorch(python, 1)] : [])]
  const grown: Array<Growth> = []
  for (const [axis, { sizes, values }] of Object.entries(AXES)) {
    const points = new Map<string, Array<Point>>(commands.map(({ name }) => [name, []]))
    for (const value of quick ? [values[0], values.at(-1)!] : values)
      for (const command of commands) {
        say(`growth, ${axis} ${value}, ${command.name}`)
        points.get(command.name)!.push(yield* measure(command, value, sizes(value), quick ? 5 : 12))
      }
    for (const [engine, of] of points) grown.push({ engine, axis, points: of, exponents: exponents(of) })
  }
  return report(grown)
})

const measure = Effect.fnUntraced(function* (command: Engine.Command, value: number, sizes: Sizes, steps: number) {
  const engine = yield* Engine.open(command)
  const before = yield* engine.ask({ op: "sizes", sizes })
  yield* engine.ask({ op: "train", steps: 3 })
  const times = summarize(yield* engine.ask({ op: "train", steps }))
  const { peakBytes } = yield* engine.ask({ op: "end" })
  return { value, times, peakBytes, ownBytes: peakBytes - before.peakBytes }
}, Effect.scoped)

const exponents = (points: ReadonlyArray<Point>) => {
  const slope = (of: (point: Point) => number) => exponent(points.map((point) => [point.value, of(point)] as const))
  return {
    cpu: slope(({ times }) => times.cpuMin),
    wall: slope(({ times }) => times.wallMin),
    memory: slope(({ ownBytes }) => ownBytes)
  }
}

const report = (grown: ReadonlyArray<Growth>): Report => ({
  title: "Growth of the train step (base: width 64, 64 tokens, 8 pairs; k of the y = c x^k that fits best)",
  rows: [
    ["what grows", "engine", "CPU ms, least", "k", "peak memory", "k above the empty process"],
    ...grown.map(({ axis, engine, exponents, points }) => [
      `${axis} ${points.map(({ value }) => value).join(" ")}`,
      engine,
      points.map(({ times }) => number(times.cpuMin)).join(" "),
      exponents.cpu.toFixed(2),
      points.map(({ peakBytes }) => mebibytes(peakBytes)).join(", "),
      exponents.memory.toFixed(2)
    ])
  ],
  notes: ["Parameters outside the embedding grow with the square of the width, attention with that of the context."],
  failures: [],
  json: grown
})
