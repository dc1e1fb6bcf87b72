import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Evaluation } from "../../dsl/artifacts.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import modpo from "../../pipelines/direct/modpo.ts"
import * as Executor from "../../runtime/executor/Executor.ts"
import { Store } from "../../runtime/store/Store.ts"
import { source } from "../runtime/executor/support.ts"
import { holds, temporary, verdictOn } from "./held.ts"

/** The pipeline with some of its outputs. */
const only = (names: ReadonlyArray<string>): Pipeline.Pipeline => ({
  ...modpo,
  outputs: (params) =>
    Object.fromEntries(Object.entries(modpo.outputs(params)).filter(([name]) => names.includes(name)))
})

/** The estimates of some outputs. */
const estimates = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
  const built = (yield* Pipeline.build(only(names))) as Pipeline.Built<never, never>
  const result = yield* Executor.run(built, { source })
  const store = yield* Store
  return yield* Effect.forEach(names, (name) => {
    const { artifact } = built.graph.byId.get(built.graph.outputs[name]!)!.node
    return Effect.map(store.read(artifact, result.outputs[name]!), (value) => (value as Evaluation).estimates)
  })
})

layer(temporary)("MODPO's claims in solved worlds", (it) => {
  for (const name of [
    "the population loss is minimal at the optimum of the weighted sum of rewards",
    "weights trace the trade of the two rewards",
    "the other objective's DPO is as good a margin as its reward",
    "either objective's preferences do",
    "with all weight on its own objective it is DPO",
    "a margin that is the same for all answers leaves DPO at beta / weight"
  ])
    it.effect(name, () => holds(modpo, name), 60_000)

  it.effect("plain DPO is 0.964078 nats from the optimum of equal weights", () =>
    Effect.map(verdictOn(modpo, "plain DPO on the first objective ends elsewhere"), ({ measured }) =>
      assert.closeTo(measured.value, 0.964078, 1e-6)
    )
  )

  it.effect("the front's rewards are those of the closed form", () =>
    Effect.gen(function* () {
      const found = yield* estimates(["weight0.1", "weight0.5", "weight0.9", "weight1"])
      const expected = [
        [-0.908825, 0.774352],
        [0.492761, -0.101624],
        [1.695531, -1.242811],
        [1.802759, -1.345662]
      ] as const
      for (const [i, [first, second]] of expected.entries()) {
        assert.closeTo(found[i]!["reward0/policy"]!.mean, first, 1e-6)
        assert.closeTo(found[i]!["reward1/policy"]!.mean, second, 1e-6)
      }
    })
  )

  it.effect("a point of the front on text takes one training, and samples what all others sample", () =>
    Effect.gen(function* () {
      const nodesOf = (...names: ReadonlyArray<string>) =>
        Effect.map(
          Pipeline.build(only(names)),
          ({ graph }) =>
            (stage: string) =>
              graph.nodes.filter(({ node }) => node.stage.name === stage).length
        )
      const [one, two] = [yield* nodesOf("modpo.0.1"), yield* nodesOf("modpo.0.1", "modpo.0.9")]
      assert.deepStrictEqual([one("optimize.preference"), two("optimize.preference")], [1, 2])
      assert.deepStrictEqual([one("sample"), two("sample")], [1, 1])
    })
  )
})
