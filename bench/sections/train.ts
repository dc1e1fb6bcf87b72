/** One DPO step of the same Llama on every engine: equal weights, batches and formulas, float32. */
import { Effect } from "effect"
import * as Engine from "../support/Engine.ts"
import { FULL, interleaved, QUICK } from "../support/interleave.ts"
import type { Report, Settings } from "../support/Report.ts"
import { type Summary, summarize } from "../support/statistics.ts"
import { mebibytes, number, ratio } from "../support/table.ts"
import { KNOWN_LOSSES, sized } from "../support/workload.ts"

/** Losses may differ by what rounding does in so few steps. */
const TOLERANCE = 2e-5

interface Measured {
  readonly width: number
  readonly engines: ReadonlyArray<{
    readonly name: string
    readonly describe: string
    readonly losses: ReadonlyArray<number>
    readonly times: Summary
    readonly peakBytes: number
  }>
}

export const train = Effect.fnUntraced(function* ({ python, quick, say }: Settings) {
  const measured: Array<Measured> = []
  for (const width of quick ? [64, 128] : [64, 128, 256]) {
    say(`train step, width ${width}`)
    measured.push({ width, engines: yield* Effect.scoped(measure(width, python, quick)) })
  }
  return report(measured)
})

const measure = Effect.fnUntraced(function* (width: number, python: string | undefined, quick: boolean) {
  const commands = [Engine.prefline, Engine.published, ...(python ? [1, 2].map((n) => Engine.pytorch(python, n)) : [])]
  const started = yield* Effect.forEach(
    commands,
    Effect.fnUntraced(function* (command) {
      const engine = yield* Engine.open(command)
      const { describe } = yield* engine.ask({ op: "sizes", sizes: sized({ hidden: width }) })
      const warming = quick ? 3 : KNOWN_LOSSES.length
      const { losses, wall } = yield* engine.ask({ op: "train", steps: warming })
      return { engine, describe, losses, warm: wall.at(-1)! }
    })
  )
  const times = yield* interleaved(started, quick ? QUICK : FULL, (engine, steps) => engine.ask({ op: "train", steps }))
  return yield* Effect.forEach(
    started,
    Effect.fnUntraced(function* ({ describe, engine, losses }) {
      const { peakBytes } = yield* engine.ask({ op: "end" })
      return { name: engine.name, describe, losses, times: summarize(times.get(engine.name)!), peakBytes }
    })
  )
})

const report = (measured: ReadonlyArray<Measured>): Report => {
  const rows: Array<ReadonlyArray<string>> = [["width", "", ...measured[0]!.engines.map(({ name }) => name)]]
  const failures: Array<string> = []
  for (const { engines, width } of measured) {
    const own = engines[0]!
    const line = (label: string, of: (times: Summary) => number) =>
      rows.push([
        String(width),
        label,
        ...engines.map(({ name, times }) =>
          name === own.name ? number(of(times)) : `${number(of(times))}  ${ratio(of(times) / of(own.times))}`
        )
      ])
    line("wall, median", (times) => times.wallMedian)
    line("wall, least", (times) => times.wallMin)
    line("CPU, least", (times) => times.cpuMin)
    rows.push([String(width), "peak memory", ...engines.map(({ peakBytes }) => mebibytes(peakBytes))])
    const steps = Math.min(...engines.map(({ losses }) => losses.length))
    rows.push([String(width), `loss of step ${steps}`, ...engines.map(({ losses }) => losses[steps - 1]!.toFixed(6))])
    const expected = width === 64 ? KNOWN_LOSSES : own.losses
    for (const { losses, name } of engines)
      losses.forEach((loss, step) => {
        const wanted = expected[step]
        if (wanted !== undefined && !(Math.abs(loss - wanted) <= TOLERANCE))
          failures.push(`width ${width}, step ${step + 1}: ${name} has loss ${loss}, expected ${wanted}`)
      })
  }
  return {
    title: "Train step, ms: DPO, 2 layers, 4 heads, vocabulary 512, 64 tokens, 8 pairs, Adam (x: slower than prefline)",
    rows,
    notes: [
      ...measured[0]!.engines.map(({ describe }) => describe),
      `The first losses of all engines agree within ${TOLERANCE}${failures.length === 0 ? "" : ", except as told below"}; at width 64 they are PyTorch 1.13's of the parity workload.`
    ],
    failures,
    json: measured
  }
}
