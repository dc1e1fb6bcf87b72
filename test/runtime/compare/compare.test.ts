import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { Evaluation } from "../../../dsl/artifacts.ts"
import { compare, why } from "../../../runtime/compare/index.ts"
import { metricChanges } from "../../../runtime/compare/metrics.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { folder } from "../store/scratch.ts"
import { estimate, type Made, recorded } from "./recorded.ts"

/** A store of the test's own. Runs are an hour apart. */
const inStore = <A, E>(body: Effect.Effect<A, E, Store>) =>
  Effect.scoped(Effect.flatMap(folder, (root) => Effect.provide(body, Store.layer(root))))

const base: Readonly<Record<string, Made>> = {
  words: { output: 1 },
  train: { inputs: { input: "words" }, params: { beta: 0.1 }, output: 2 },
  judge: { inputs: { policy: "train" }, output: { gain: estimate(1, 0.3), length: estimate(7) } }
}

const both = Effect.fnUntraced(function* (
  a: Readonly<Record<string, Made>>,
  b: Readonly<Record<string, Made>>,
  params = [{}, {}]
) {
  const first = yield* recorded(a, { params: params[0]! })
  yield* TestClock.adjust("1 hour")
  const second = yield* recorded(b, { params: params[1]! })
  return { first, second, comparison: yield* compare(first, second) }
})

describe("compare", () => {
  it.effect("finds nothing between a run and itself", () =>
    inStore(
      Effect.gen(function* () {
        const { comparison } = yield* both(base, base)
        assert.deepStrictEqual(
          comparison.nodes.map(({ status }) => status),
          ["same", "same", "same"]
        )
        assert.deepStrictEqual(comparison.parting, [])
        assert.deepStrictEqual([comparison.params, comparison.code, comparison.sources], [[], [], []])
        for (const { change, method } of comparison.metrics) {
          assert.strictEqual(method, "identical")
          assert.deepStrictEqual(change, { mean: 0, low: 0, high: 0 })
        }
      })
    )
  )

  it.effect("tells the parameter, the node where the runs part, and what follows from it", () =>
    inStore(
      Effect.gen(function* () {
        const after = {
          ...base,
          train: { ...base["train"]!, params: { beta: 0.2 }, output: 3 },
          judge: { ...base["judge"]!, output: { gain: estimate(1.5, 0.4), length: estimate(9), kl: estimate(1) } }
        }
        const { comparison } = yield* both(base, after, [
          { beta: 0.1, seed: 0 },
          { beta: 0.2, seed: 0 }
        ])
        assert.deepStrictEqual(comparison.params, [{ at: "beta", a: 0.1, b: 0.2 }])
        assert.deepStrictEqual(comparison.parting, ["train"])
        const [, train, judge] = comparison.nodes
        assert.deepStrictEqual(train!.changes, [{ kind: "params", at: "params.beta", left: 0.1, right: 0.2 }])
        assert.isFalse(judge!.inputsAgree)
        const [gain, length, kl] = comparison.metrics
        assert.strictEqual(gain!.method, "unpaired")
        assert.closeTo(gain!.change!.mean, 0.5, 1e-12)
        assert.closeTo(gain!.change!.high - gain!.change!.mean, 0.5, 1e-12) // 0.3, 0.4, 0.5
        assert.closeTo(gain!.change!.mean - gain!.change!.low, 0.5, 1e-12)
        assert.strictEqual(length!.method, "point")
        assert.deepStrictEqual(length!.change, { mean: 2, low: 2, high: 2 })
        assert.deepStrictEqual([kl!.a, kl!.change, kl!.method], [null, null, null])
      })
    )
  )

  it("pairs the prompts of two evaluations, in whatever order they stand", () => {
    const measured = (values: Readonly<Record<string, number>>): Evaluation => ({
      estimates: { kl: estimate(5, 1) },
      byPrompt: { prompts: Object.keys(values), values: { kl: Object.values(values) } },
      examples: []
    })
    const a = measured({ p: 1, q: 5, r: 9 })
    const [change] = metricChanges("judge", a, measured({ r: 10, p: 2, q: 6.3 }), false)
    assert.strictEqual(change!.method, "paired")
    const { high, low, mean: found } = change!.change!
    // changes 1, 1.3, 1: deviation sqrt(0.03)
    assert.closeTo(found, 1.1, 1e-12)
    assert.closeTo(high - found, 1.959964 * Math.sqrt(0.03 / 3), 1e-12)
    assert.closeTo(found - low, high - found, 1e-12)
    // Pairs of one prompt belong together: as many times the same values, the same interval.
    const twice = ({ byPrompt, ...rest }: Evaluation): Evaluation => ({
      ...rest,
      byPrompt: {
        prompts: [...byPrompt!.prompts, ...byPrompt!.prompts],
        values: { kl: [...byPrompt!.values["kl"]!, ...byPrompt!.values["kl"]!] }
      }
    })
    const b = measured({ r: 10, p: 2, q: 6.3 })
    const [again] = metricChanges("judge", twice(a), twice(b), false)
    assert.closeTo(again!.change!.high, high, 1e-12)
    assert.strictEqual(metricChanges("judge", a, twice(b), false)[0]!.method, "unpaired")
    const { byPrompt: _, ...without } = a
    for (const b of [measured({ p: 1, q: 2 }), measured({ p: 1, q: 2, s: 3 }), without])
      assert.strictEqual(metricChanges("judge", a, b, false)[0]!.method, "unpaired")
  })

  it.effect("tells which module changed, and an edit that leaves the content as it was", () =>
    inStore(
      Effect.gen(function* () {
        const modules = { "stages/a.ts": "a", "stages/loss.ts": "edited" }
        const { comparison } = yield* both(
          { ...base, train: { ...base["train"]!, modules: { ...modules, "stages/loss.ts": "before" } } },
          { ...base, train: { ...base["train"]!, modules } }
        )
        assert.deepStrictEqual(
          comparison.code.map(({ kind, name, stages }) => ({ kind, name, stages })),
          [{ kind: "module", name: "stages/loss.ts", stages: ["train"] }]
        )
        assert.deepStrictEqual(
          comparison.nodes.map(({ status }) => status),
          ["same", "same content", "same"]
        )
        assert.deepStrictEqual(comparison.parting, ["train"])
      })
    )
  )

  it.effect("tells what was read from outside, nodes of one only, and what was not finished", () =>
    inStore(
      Effect.gen(function* () {
        const { comparison } = yield* both(
          { ...base, words: { output: 1, source: { size: 3 } }, dropped: { output: 5 } },
          {
            words: { output: 4, source: { size: 9 } },
            filter: { inputs: { input: "words" }, output: 6 },
            train: { ...base["train"]!, inputs: { input: "filter" }, unfinished: true }
          }
        )
        assert.deepStrictEqual(comparison.sources, [{ at: "words/source.size", a: 3, b: 9 }])
        assert.deepStrictEqual(
          comparison.onlyA.map(({ id }) => id),
          ["judge", "dropped"]
        )
        assert.deepStrictEqual(comparison.onlyB, [{ id: "filter", stage: "filter" }])
        assert.strictEqual(comparison.nodes.find(({ a }) => a === "train")!.status, "unfinished")
        assert.deepStrictEqual(comparison.parting, ["words"])
      })
    )
  )

  it.effect("matches nodes that another id stands for, by key", () =>
    inStore(
      Effect.gen(function* () {
        const { comparison } = yield* both(
          { train: { stage: "train", params: { n: 1 }, output: 1 } },
          {
            first: { stage: "train", params: { n: 2 }, output: 2 },
            second: { stage: "train", params: { n: 1 }, output: 1 }
          }
        )
        assert.deepStrictEqual(
          comparison.nodes.map(({ a, b, status }) => [a, b, status]),
          [["train", "second", "same"]]
        )
        assert.deepStrictEqual(comparison.onlyB, [{ id: "first", stage: "train" }])
      })
    )
  )
})

describe("why", () => {
  it.effect("follows other content back to the file that changed", () =>
    inStore(
      Effect.gen(function* () {
        const { first, second } = yield* both(base, {
          words: { output: 10, modules: { "stages/a.ts": "edited" } },
          train: { ...base["train"]!, output: 11 },
          judge: { ...base["judge"]!, output: { gain: estimate(3) } }
        })
        const found = yield* why(second, "judge")
        assert.strictEqual(found.status, "computed")
        assert.strictEqual(found.nearest?.run, first)
        assert.deepStrictEqual(
          found.changes!.map(({ at, kind }) => [kind, at]),
          [["input", "policy"]]
        )
        assert.deepStrictEqual(
          found.upstream.map(({ changes, node }) => [node, changes!.map(({ at, kind }) => `${kind} ${at}`)]),
          [
            ["train", ["input input"]],
            ["words", ["module stages/a.ts"]]
          ]
        )
      })
    )
  )

  it.effect("compares with the most alike of the earlier keys, not with the last one", () =>
    inStore(
      Effect.gen(function* () {
        const made = (params: { readonly [name: string]: number }, output: number) =>
          recorded({ train: { params, output } })
        const near = yield* made({ beta: 0.1, steps: 100, seed: 1 }, 1)
        yield* TestClock.adjust("1 hour")
        yield* made({ beta: 0.5, steps: 200, seed: 2 }, 2)
        yield* TestClock.adjust("1 hour")
        const found = yield* why(yield* made({ beta: 0.2, steps: 100, seed: 1 }, 3), "train")
        assert.strictEqual(found.nearest?.run, near)
        assert.deepStrictEqual(found.changes, [{ kind: "params", at: "params.beta", left: 0.1, right: 0.2 }])
      })
    )
  )

  it.effect("names who made what was served, and a first computation", () =>
    inStore(
      Effect.gen(function* () {
        const first = yield* recorded(base)
        yield* TestClock.adjust("1 hour")
        const served = yield* recorded({ words: { ...base["words"]!, status: "cached" } })
        assert.strictEqual((yield* why(served, "words")).madeBy?.run, first)
        const { changes, nearest } = yield* why(first, "train")
        assert.isNull(nearest)
        assert.deepStrictEqual(changes, [{ kind: "new", at: "" }])
      })
    )
  )

  it.effect("says that of a node without a result no key is on record", () =>
    inStore(
      Effect.gen(function* () {
        const run = yield* recorded({ words: { output: 1, unfinished: true } })
        const error = yield* Effect.flip(why(run, "words"))
        assert.strictEqual(error._tag, "NodeNotFinished")
        assert.include(error.message, "was not finished: only what was finished has its key on record")
      })
    )
  )
})
