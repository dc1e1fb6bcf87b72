import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ScoredCompletion, ScoredGroup } from "../../../dsl/artifacts.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { rejectionSampling } from "../../../stages/filter/rejectionSampling.ts"
import { statisticalRejection, TooFewCandidates } from "../../../stages/filter/statisticalRejection.ts"
import { assertLaws, collect } from "../support.ts"

const places = (rewards: ReadonlyArray<number>, k: number, beta: number, uniform = (_: number) => 0.5) =>
  rejectionSampling(rewards, { k, beta }, uniform).map(({ index }) => index)

describe("rejectionSampling", () => {
  it("takes the best at beta 0 and the first at a large beta", () => {
    assert.deepEqual(places([0, 1, 2], 2, 0), [2, 1])
    assert.deepEqual(places([0, 1, 2], 2, 1e9), [0, 1])
    assert.deepEqual(places([1, 2, 2, 0], 3, 0), [1, 2, 0])
    assert.deepEqual(places([], 0, 1), [])
  })

  it("asks one uniform a candidate visited, in order, and fixes the highest reward for a pass", () => {
    const asked: Array<number> = []
    const draws = [0.9, 0.2, 0.1, 0.99, 0.3]
    const uniform = (visit: number) => {
      asked.push(visit)
      return draws[visit]!
    }
    // pass 0, M = 2: exp(-2) = 0.135 < 0.9 skip; exp(-1) = 0.368 > 0.2 take; 1 > 0.1 take.
    // pass 1, M = 0: the first alone
    assert.deepEqual(rejectionSampling([0, 1, 2], { k: 3, beta: 1 }, uniform), [
      { index: 1, pass: 0 },
      { index: 2, pass: 0 },
      { index: 0, pass: 1 }
    ])
    assert.deepEqual(asked, [0, 1, 2, 3])
    asked.length = 0
    rejectionSampling([0, 1, 2], { k: 1, beta: 0 }, uniform)
    assert.deepEqual(asked, [0, 1, 2])
  })

  it("throws for more than there are", () => assert.throws(() => places([1], 2, 1), /cannot accept 2 of 1/))
})

describe("the law of the first accepted answer", () => {
  const [RESPONSES, BETA, CANDIDATES, REPEATS] = [6, 0.5, 64, 20_000] as const
  const normals = (label: string, rng: Rng.Rng) =>
    Array.from({ length: RESPONSES }, (_, i) => rng.fork(label).normal(i))
  const normalized = (weights: ReadonlyArray<number>) => {
    const sum = weights.reduce((total, weight) => total + weight, 0)
    return weights.map((weight) => weight / sum)
  }
  const distance = (p: ReadonlyArray<number>, q: ReadonlyArray<number>) =>
    p.reduce((sum, x, i) => sum + Math.abs(x - q[i]!), 0) / 2
  /** The first seed whose best response is no rare one and whose tilt is far from its start. */
  const world = (() => {
    for (let seed = 0; ; seed++) {
      const rng = Rng.make(seed, "support")
      const start = normalized(normals("logits", rng).map(Math.exp))
      const rewards = normals("rewards", rng)
      const optimum = normalized(start.map((p, y) => p * Math.exp(rewards[y]! / BETA)))
      const best = rewards.indexOf(Math.max(...rewards))
      if (start[best]! >= 0.1 && distance(start, optimum) >= 0.3) return { optimum, rewards, rng, start }
    }
  })()
  const drawFrom = (p: ReadonlyArray<number>, u: number) => {
    let [y, left] = [0, u]
    while (y < p.length - 1 && left >= p[y]!) left -= p[y++]!
    return y
  }
  const candidates = (repeat: number) => {
    const draws = world.rng.fork("candidates").fork(repeat)
    return Array.from({ length: CANDIDATES }, (_, i) => drawFrom(world.start, draws.uniform(i)))
  }
  const first = (ys: ReadonlyArray<number>, repeat: number) => {
    const rewards = ys.map((y) => world.rewards[y]!)
    const uniform = world.rng.fork("accept").fork(repeat).uniform
    return ys[rejectionSampling(rewards, { k: 1, beta: BETA }, uniform)[0]!.index]!
  }
  const empirical = (distinct: boolean) => {
    const counts = Array<number>(RESPONSES).fill(0)
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      const ys = candidates(repeat)
      counts[first(distinct ? [...new Set(ys)] : ys, repeat)]!++
    }
    return counts.map((count) => count / REPEATS)
  }

  it("is the tilted policy, unless repeated answers are dropped first", { timeout: 60_000 }, () => {
    const { optimum, start } = world
    const [kept, dropped] = [distance(empirical(false), optimum), distance(empirical(true), optimum)]
    console.info(
      `rejection sampling: total variation ${kept.toFixed(4)} (without repeats ${dropped.toFixed(4)}, start ${distance(start, optimum).toFixed(3)})`
    )
    assert.isAtMost(kept, 0.02)
    assert.isAbove(dropped, 0.02)
    assert.isAtLeast(distance(start, optimum), 0.3)
  })

  it("accepts in a full pass at the rate E exp((r - max) / beta)", { timeout: 60_000 }, () => {
    const { rewards, start } = world
    const best = Math.max(...rewards)
    const rate = start.reduce((sum, p, y) => sum + p * Math.exp((rewards[y]! - best) / BETA), 0)
    let accepted = 0
    const repeats = 500
    for (let repeat = 0; repeat < repeats; repeat++) {
      const scores = candidates(repeat).map((y) => rewards[y]!)
      const uniform = world.rng.fork("rate").fork(repeat).uniform
      const made = rejectionSampling(scores, { k: CANDIDATES, beta: BETA }, uniform)
      accepted += made.filter(({ pass }) => pass === 0).length
    }
    const visited = repeats * CANDIDATES
    assert.closeTo(accepted / visited, rate, 4 * Math.sqrt((rate * (1 - rate)) / visited))
  })
})

describe("filter.statistical-rejection", () => {
  const answer = (text: string, score: number): ScoredCompletion => ({ text, score, finish: "stop" })
  const group = (id: string, ...completions: ReadonlyArray<ScoredCompletion>): ScoredGroup => ({
    prompt: { id, text: id },
    completions
  })
  const run = (params: object, ...input: ReadonlyArray<ScoredGroup>) =>
    collect<ScoredGroup, any>(statisticalRejection, { params: params as Record<string, unknown>, input })

  it.effect("obeys its laws", () => assertLaws(statisticalRejection.stage.laws, { runs: 400, seed: 5 }))

  it.effect(
    "keeps accepted answers in order of acceptance; a repeated text has its last score where it first stood",
    () =>
      Effect.gen(function* () {
        const full = group("p", answer("a", 5), answer("b", 1), answer("a", 0), answer("c", 2))
        const [repeats] = yield* run({ k: 3, beta: 0, dedupe: false }, full)
        assert.deepEqual(repeats!.completions, [answer("a", 5), answer("c", 2), answer("b", 1)])
        const [once] = yield* run({ k: 3, beta: 0 }, full)
        assert.deepEqual(once!.completions, [answer("c", 2), answer("b", 1), answer("a", 0)])
        const [first] = yield* run({ k: 2, beta: 1e9 }, full)
        assert.deepEqual(first!.completions, [answer("a", 0), answer("b", 1)])
      })
  )

  it.effect("a prompt's draws do not depend on the prompts beside it", () =>
    Effect.gen(function* () {
      const spread = (id: string) => group(id, ...Array.from({ length: 12 }, (_, i) => answer(`${i}`, (i % 5) / 4)))
      const together = yield* run({ k: 4 }, spread("p"), spread("q"))
      assert.deepEqual(yield* run({ k: 4 }, spread("q")), together.slice(1))
      assert.notDeepEqual(together[0]!.completions, together[1]!.completions)
    })
  )

  it.effect("refuses to accept more than there are, repeats counted once", () =>
    Effect.gen(function* () {
      const error: TooFewCandidates = yield* Effect.flip(run({ k: 2 }, group("p", answer("a", 1), answer("a", 2))))
      assert.instanceOf(error, TooFewCandidates)
      assert.include(error.message, 'prompt "p" has 1 candidates, of which 2')
      assert.lengthOf(yield* run({ k: 2, dedupe: false }, group("p", answer("a", 1), answer("a", 2))), 1)
    })
  )
})
