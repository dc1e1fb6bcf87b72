import { Effect } from "effect"
import type { Engine, EngineFailed } from "./Engine.ts"
import { join, type Times } from "./statistics.ts"

export interface Plan {
  /** How often every engine has its turn. */
  readonly rounds: number
  /** About how long one turn is, milliseconds: it is filled with as many repetitions as fit, at least one, at most 20. */
  readonly turn: number
  /** An engine that has used this much, milliseconds, has no more turns after its second. */
  readonly limit: number
}

export const QUICK: Plan = { rounds: 5, turn: 150, limit: 6_000 }
export const FULL: Plan = { rounds: 12, turn: 400, limit: 40_000 }

/**
 * Measures engines in turns, so that whatever else the machine does meets all of them. Each round begins with another one.
 * `repeat` measures an engine `count` times; the time that a warm repetition takes is given.
 */
export const interleaved = Effect.fnUntraced(function* (
  engines: ReadonlyArray<{ readonly engine: Engine; readonly warm: number }>,
  plan: Plan,
  repeat: (engine: Engine, count: number) => Effect.Effect<Times, EngineFailed>
) {
  const measured = new Map<string, Array<Times>>(engines.map(({ engine }) => [engine.name, []]))
  for (let round = 0; round < plan.rounds; round++) {
    for (let turn = 0; turn < engines.length; turn++) {
      const { engine, warm } = engines[(round + turn) % engines.length]!
      const before = measured.get(engine.name)!
      const used = join(before).wall.reduce((sum, ms) => sum + ms, 0)
      if (before.length >= 2 && used > plan.limit) continue
      const count = Math.min(20, Math.max(1, Math.round(plan.turn / warm)))
      before.push(yield* repeat(engine, count))
    }
  }
  return new Map([...measured].map(([name, times]) => [name, join(times)]))
})
