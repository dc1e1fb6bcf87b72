/** Sampling with a cache of keys and values: this project's `generate`, plain tfjs, and `generate` of `transformers`. */
import { Effect } from "effect"
import * as Engine from "../support/Engine.ts"
import { FULL, interleaved, QUICK } from "../support/interleave.ts"
import type { Report, Settings } from "../support/Report.ts"
import { type Summary, summarize } from "../support/statistics.ts"
import { mebibytes, number, ratio } from "../support/table.ts"
import { sized } from "../support/workload.ts"

const ROWS = 64
const PROMPT = 8
const NEW = 56
/** Of the greedy decoding that shows that engines do the same work: where two differ once, they differ from then on. */
const GREEDY = 16
/** Share of greedy tokens that have to be alike: rounding may decide between two tokens of almost equal probability. */
const ALIKE = 0.98

type Tokens = ReadonlyArray<ReadonlyArray<number>>

interface Measured {
  readonly width: number
  readonly engines: ReadonlyArray<{
    readonly name: string
    readonly describe: string
    readonly alike: number
    readonly times: Summary
    readonly peakBytes: number
  }>
}

export const sampling = Effect.fnUntraced(function* ({ python, quick, say }: Settings) {
  const measured: Array<Measured> = []
  for (const width of quick ? [64, 128] : [64, 128, 256]) {
    say(`sampling, width ${width}`)
    measured.push({ width, engines: yield* Effect.scoped(measure(width, python, quick)) })
  }
  return report(measured)
})

const measure = Effect.fnUntraced(function* (width: number, python: string | undefined, quick: boolean) {
  const generate = python ? [1, 2].map((n) => Engine.pytorch(python, n, "transformers")) : []
  const sample = { op: "sample", rows: ROWS, prompt: PROMPT, new: NEW, greedy: false } as const
  const started = yield* Effect.forEach(
    [Engine.prefline, Engine.published, ...generate],
    Effect.fnUntraced(function* (command) {
      const engine = yield* Engine.open(command)
      const { describe } = yield* engine.ask({ op: "sizes", sizes: sized({ hidden: width }) })
      const greedy = yield* engine.ask({ ...sample, new: GREEDY, greedy: true })
      yield* engine.ask(sample)
      const warm = yield* engine.ask(sample)
      return { engine, describe, greedy: greedy.tokens, warm: warm.wall[0]! }
    })
  )
  const times = yield* interleaved(
    started,
    quick ? QUICK : FULL,
    Effect.fnUntraced(function* (engine, count) {
      const made = yield* Effect.forEach(Array.from({ length: count }), () => engine.ask(sample))
      return { wall: made.flatMap(({ wall }) => wall), cpu: made.flatMap(({ cpu }) => cpu) }
    })
  )
  return yield* Effect.forEach(
    started,
    Effect.fnUntraced(function* ({ describe, engine, greedy }) {
      const { peakBytes } = yield* engine.ask({ op: "end" })
      const alike = share(greedy, started[0]!.greedy)
      return { name: engine.name, describe, alike, times: summarize(times.get(engine.name)!), peakBytes }
    })
  )
})

const share = (left: Tokens, right: Tokens): number => {
  const same = left.flatMap((row, i) => row.map((token, t) => (token === right[i]?.[t] ? 1 : 0)))
  return same.reduce<number>((sum, one) => sum + one, 0) / (ROWS * GREEDY)
}

const report = (measured: ReadonlyArray<Measured>): Report => {
  const rows: Array<ReadonlyArray<string>> = [["width", "", ...measured[0]!.engines.map(({ name }) => name)]]
  const failures: Array<string> = []
  for (const { engines, width } of measured) {
    const own = engines[0]!
    const line = (label: string, of: (times: Summary) => number) => {
      const rate = (times: Summary) => (1000 * ROWS * NEW) / of(times)
      rows.push([
        String(width),
        label,
        ...engines.map(({ name, times }) =>
          name === own.name
            ? rate(times).toFixed(0)
            : `${rate(times).toFixed(0)}  ${ratio(rate(own.times) / rate(times))}`
        )
      ])
    }
    line("tokens/s, median", (times) => times.wallMedian)
    line("tokens/s, best", (times) => times.wallMin)
    line("tokens/s of CPU, best", (times) => times.cpuMin)
    rows.push([String(width), "peak memory", ...engines.map(({ peakBytes }) => mebibytes(peakBytes))])
    rows.push([String(width), "greedy tokens alike", ...engines.map(({ alike }) => `${number(100 * alike)} %`)])
    for (const { alike, name } of engines)
      if (!(alike >= ALIKE)) failures.push(`width ${width}: ${name} has only ${alike} of the greedy tokens in common`)
  }
  return {
    title: `Sampling, tokens a second: ${ROWS} prompts of ${PROMPT} tokens, ${NEW} new tokens each, no stopping (x: slower than prefline)`,
    rows,
    notes: measured[0]!.engines.map(({ describe }) => describe),
    failures,
    json: measured
  }
}
