import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Chart from "../../../runtime/report/chart.ts"
import * as Sweeps from "../../../runtime/report/sweeps.ts"
import * as Trainings from "../../../runtime/report/trainings.ts"

describe("chart", () => {
  const spec = (name: string) => ({
    data: { values: [{ x: name, y: 0.125 }] },
    mark: "point" as const,
    encoding: {
      x: { field: "x", type: "nominal" as const },
      y: { field: "y", type: "quantitative" as const, axis: { values: [0.12345], format: ".5f" } }
    }
  })

  it.effect("is one picture with a name, without ids, fonts or addresses", () =>
    Effect.gen(function* () {
      const { html } = yield* Chart.draw('what it "shows"', spec("a"))
      assert.match(html, /^<svg role="img" aria-label="what it &quot;shows&quot;"/)
      assert.notMatch(html, / id="| class="|url\(|font-family|script/)
      // Digits are saved in paths, never in what is read.
      assert.include(html, ">0.12345<")
    })
  )

  it.effect("keeps names of data from being markup", () =>
    Effect.gen(function* () {
      const { html } = yield* Chart.draw("$& $` $1", spec("<img src=x onerror=alert(1)>"))
      assert.notInclude(html, "<img")
      assert.include(html, "&lt;img")
      assert.include(html, 'aria-label="$&amp; $` $1"')
    })
  )

  it.effect("names the chart that cannot be drawn", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Chart.draw("broken", { mark: "no such mark" }))
      assert.instanceOf(error, Chart.ChartNotDrawn)
      assert.include(error.message, "broken")
    })
  )
})

describe("trainings", () => {
  const view = (outputs: Readonly<Record<string, string>>) => {
    const node = (id: string) => ({
      id,
      stage: "optimize.preference",
      inputs: {},
      status: "computed" as const,
      key: undefined,
      ms: 1,
      output: undefined,
      error: undefined
    })
    return { nodes: ["policy", "policy-2", "policy-3", "policy-4"].map(node), outputs }
  }
  const training = (node: string, losses: ReadonlyArray<number>) => ({
    node,
    stage: "optimize.preference",
    log: losses.map((loss, i) => ({ step: (i + 1) * 10, loss, "rewards/chosen": -loss }))
  })
  const trainings = [
    training("policy", [1, 2]),
    training("policy-2", [3, 4]),
    training("policy-3", [5, 6]),
    training("policy-4", [7, 8])
  ]

  it("are one curve where only their seeds differ", () => {
    const outputs = {
      "policy[beta=1,seed=0]": "policy",
      "policy[beta=1,seed=1]": "policy-2",
      "policy[beta=2,seed=0]": "policy-3",
      "policy[beta=2,seed=1]": "policy-4"
    }
    const [kind, ...others] = Trainings.kinds(trainings, view(outputs))
    assert.lengthOf(others, 0)
    assert.deepStrictEqual(
      kind!.series.map(({ members, name }) => [name, members.map(({ node }) => node)]),
      [
        ["beta = 1", ["policy", "policy-2"]],
        ["beta = 2", ["policy-3", "policy-4"]]
      ]
    )
  })

  it.effect("say where they begin and end, the mean over seeds", () =>
    Effect.gen(function* () {
      const outputs = { "policy[beta=1,seed=0]": "policy", "policy[beta=1,seed=1]": "policy-2" }
      const [rendered] = yield* Trainings.render(trainings.slice(0, 2), view(outputs))
      assert.include(rendered!.html, "Loss against step: from 2.00 at step 10 to 3.00 at step 20")
      assert.include(rendered!.html, "Implicit rewards")
    })
  )
})

describe("sweeps", () => {
  const evaluated = (name: string, mean: number): Sweeps.Evaluated => ({
    name,
    node: name,
    evaluation: { estimates: { kl: { mean, low: mean - 1, high: mean + 1, count: 3 } }, examples: [] }
  })

  it("are means over seeds with Student's interval", () => {
    const values = [
      ["0.5", [1, 2, 4]],
      ["0.1", [10, 10, 10]]
    ] as const
    const [sweep] = Sweeps.gather(
      values.flatMap(([beta, means]) => means.map((mean, seed) => evaluated(`report[beta=${beta},seed=${seed}]`, mean)))
    )
    assert.deepStrictEqual(sweep!.swept, ["beta"])
    assert.strictEqual(sweep!.seeds, 3)
    assert.deepStrictEqual(
      sweep!.rows.map(({ setting }) => setting["beta"]),
      ["0.1", "0.5"]
    )
    const [still, moved] = sweep!.rows.map(({ results }) => results["kl"]!)
    assert.deepStrictEqual([still!.mean, still!.interval], [10, [10, 10]])
    // 7/3, and 4.3027 times the standard error sqrt(((4/3)^2 + (1/3)^2 + (5/3)^2) / 2 / 3).
    const half = 4.3027 * Math.sqrt((16 / 9 + 1 / 9 + 25 / 9) / 6)
    assert.closeTo(moved!.mean, 7 / 3, 1e-12)
    assert.closeTo(moved!.interval![0], 7 / 3 - half, 1e-9)
    assert.closeTo(moved!.interval![1], 7 / 3 + half, 1e-9)
  })

  it("keep an evaluation's own interval where there is one seed", () => {
    const [sweep] = Sweeps.gather([evaluated("report[beta=1]", 3), evaluated("report[beta=2]", 5)])
    assert.deepStrictEqual(
      sweep!.rows.map(({ results }) => results["kl"]!.interval),
      [
        [2, 4],
        [4, 6]
      ]
    )
  })

  it("are one row where no setting makes a difference", () => {
    const [sweep] = Sweeps.gather([
      evaluated("report[beta=1]", 3),
      evaluated("report[beta=2]", 3),
      evaluated("plain", 1)
    ])
    assert.deepStrictEqual(
      sweep!.rows.map(({ setting }) => setting),
      [{}]
    )
  })
})
