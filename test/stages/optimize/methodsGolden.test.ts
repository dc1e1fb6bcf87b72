/** The papers' worked examples, reductions of one method to another, and the laws that hold between them. */
import { assert, describe, it } from "@effect/vitest"
import type * as Component from "../../../dsl/Component.ts"
import * as Law from "../../../dsl/Law.ts"
import type { Objective } from "../../../stages/optimize/Objective.ts"
import { evaluate, gradient64, type Item, itemsFor, near } from "../../../stages/optimize/objectiveSamples.ts"
import { bradleyTerry } from "../../../stages/optimize/objectives/bradleyTerry.ts"
import { brain } from "../../../stages/optimize/objectives/brain.ts"
import { dno } from "../../../stages/optimize/objectives/dno.ts"
import { dpo } from "../../../stages/optimize/objectives/dpo.ts"
import { fDpo } from "../../../stages/optimize/objectives/fDpo.ts"
import { flexDpo } from "../../../stages/optimize/objectives/flexDpo.ts"
import { gpm } from "../../../stages/optimize/objectives/gpm.ts"
import { gpo } from "../../../stages/optimize/objectives/gpo.ts"
import { ldDpo } from "../../../stages/optimize/objectives/ldDpo.ts"
import { modpo } from "../../../stages/optimize/objectives/modpo.ts"
import { plackettLuce } from "../../../stages/optimize/objectives/plackettLuce.ts"
import { rpo } from "../../../stages/optimize/objectives/rpo.ts"
import { simpo } from "../../../stages/optimize/objectives/simpo.ts"
import { sppo } from "../../../stages/optimize/objectives/sppo.ts"
import { sppoHard } from "../../../stages/optimize/objectives/sppoHard.ts"
import { srpo } from "../../../stages/optimize/objectives/srpo.ts"
import { tgdpo } from "../../../stages/optimize/objectives/tgdpo.ts"
import { tpo, tpoL } from "../../../stages/optimize/objectives/tpo.ts"
import { vpo } from "../../../stages/optimize/objectives/vpo.ts"
import { withDegree } from "../../../stages/optimize/objectives/withDegree.ts"
import { withSft } from "../../../stages/optimize/objectives/withSft.ts"
import { assertLaws } from "../support.ts"

type AnyObjective = Component.Component<"objective", Objective>
type Row = readonly [policy: ReadonlyArray<number>, reference?: ReadonlyArray<number>, guide?: ReadonlyArray<number>]

/** An item of answers by role: policy, reference (else the policy) and guide (else the reference). */
const itemOf = (
  rows: Readonly<Record<string, Row>>,
  numbers: Item["numbers"] = {},
  heads: Readonly<Record<string, ReadonlyArray<number>>> = {}
): Item => ({
  answers: Object.fromEntries(
    Object.entries(rows).map(([role, [policy, reference = policy, guide = reference]]) => [
      role,
      policy.map((value, t) => ({ policy: value, reference: reference[t]!, guide: guide[t]!, direction: 0 }))
    ])
  ),
  heads: Object.fromEntries(
    Object.keys(rows).map((role) => [role, (heads[role] ?? []).map((value) => ({ value, direction: 0 }))])
  ),
  numbers
})
const loss = (objective: AnyObjective, item: Item) => evaluate(objective.implementation, [item]).loss[0]!
const pulls = (objective: AnyObjective, item: Item, role: string) =>
  gradient64(objective.implementation, [item]).logProbs[role]![0]!
const is = (found: number, printed: number, digits = 6) => assert.closeTo(found, printed, 0.6 * 10 ** -digits)

const pair = { chosen: [[-10], [-11]], rejected: [[-12], [-11.5]] } as const

describe("worked examples", () => {
  it("modpo", () => {
    const item = itemOf(pair, { marginChosen: 0.4, marginRejected: 1 })
    for (const [weight, printed] of [
      [0.5, 0.341154],
      [1, 0.620957],
      [0.1, 0.001007]
    ] as const)
      is(loss(modpo({ weight }), item), printed)
  })

  it("vpo", () => {
    // two calibration answers differ from the reference by -0.5 and 0.4: their mean is -0.05
    const both = (setting: "online" | "offline") =>
      [
        [[-10.5], [-10]],
        [[-9], [-9.4]]
      ].map((calibration) =>
        loss(vpo({ alpha: 0.5, setting }), itemOf({ ...pair, calibration: calibration as unknown as Row }))
      )
    const mean = ([a, b]: ReadonlyArray<number>) => (a! + b!) / 2
    is(mean(both("online")), 0.618457)
    is(mean(both("offline")), 0.623457)
  })

  it("srpo", () => {
    const ratio = (x: number): Row => [[x - 3], [-3]]
    const views = { wl: ratio(1), ll: ratio(-0.5), lw: ratio(-0.8), ww: ratio(0.4) }
    const item = itemOf({ ...views, chosen: ratio(0.6), rejected: ratio(-0.2) })
    is(loss(srpo({ beta: 0.1, alpha: 0 }), item), 0.5476)
    is(loss(srpo({ beta: 0.1, alpha: 1 }), item), 0.2669)
    is(loss(srpo({ beta: 0.1 }), item), 0.32304)
  })

  it("tgdpo", () => {
    const item = itemOf({
      chosen: [
        [0.5, -0.2, 1],
        [0, 0, 0],
        [2, 0, -1]
      ],
      rejected: [
        [-0.4, 0.3],
        [0, 0],
        [-3, 1]
      ]
    })
    is(loss(tgdpo(), item), 0.6221142501, 10)
    const [chosen, rejected] = [pulls(tgdpo(), item, "chosen"), pulls(tgdpo(), item, "rejected")]
    for (const [t, printed] of [-0.050951, -0.046319, -0.044003].entries()) is(chosen[t]!, printed)
    for (const [t, printed] of [0.053267, 0.044003].entries()) is(rejected[t]!, printed)
    is(loss(tgdpo({ beta: 1 }), item), 0.110184603, 9)
    is(loss(tgdpo({ alpha: 0 }), item), 0.6255951823, 10)
  })

  it("brain", () => {
    const answers = { answer0: [[-1], [-1.2]], answer1: [[-2], [-1.8]], answer2: [[-1.5], [-1.5]] } as const
    const item = itemOf({ ...answers }, { score0: 1, score1: 0, score2: -1 })
    const objective = brain({ answers: 3 })
    is(loss(objective, item), 1.0277989, 7)
    const alpha = [0.66524096, 0.24472847, 0.09003057]
    is(loss(objective, item) + alpha.reduce((sum, a) => sum + a * Math.log(a), 0), 0.1954034, 7)
    for (const [i, printed] of [0.26348138, -0.02457903, -0.23890235].entries())
      is(-pulls(objective, item, `answer${i}`)[0]!, printed, 8)
    is(loss(brain({ answers: 2, gamma: 1e-3 }), item), 0.5130152524, 10)
  })

  it("dno", () => {
    const at = (chosen: number, rejected: number) =>
      itemOf(
        { chosen: [[chosen - 1], [-1]], rejected: [[rejected - 1], [-1]] },
        { winRateChosen: 0.7, winRateRejected: 0.5 }
      )
    is(loss(dno(), at(0.1, -0.2)), 0.6894050453, 10)
    is(loss(dno(), at(0.1, -0.1)), 0.6881720699, 10)
    assert.closeTo(pulls(dno(), at(0.1, -0.1), "chosen")[0]!, 0, 1e-12)
    is(loss(dpo({ beta: 0.5 }), at(0.1, -0.2)), 0.6209570478, 10)
  })

  it("rpo", () => {
    const item = itemOf({ chosen: [[-12], [-12.5]], rejected: [[-11], [-10]] })
    is(loss(dpo(), item), 0.6209570478, 10)
    is(loss(rpo({ eta: 0.5 }), item), 1.2209570478, 10)
  })

  it("gpm", () => {
    const score = (v: ReadonlyArray<number>, w: ReadonlyArray<number>, blocks = 1) =>
      loss(gpm({ blocks }), itemOf(pair, {}, { chosen: v, rejected: w }))
    is(score([0.6, 0.8], [1, 0]), 8.0003354064, 10)
    is(score([1, 0], [0.6, 0.8]), 0.0003354064, 10)
    is(score([0.5, 0.5, -0.5, 0.5], [0.1, 0.7, 0.7, -0.1], 2), Math.LN2, 10)
    const circle = [0, 120, 240].map((degrees) => [
      Math.cos((degrees * Math.PI) / 180),
      Math.sin((degrees * Math.PI) / 180)
    ])
    for (const i of [0, 1, 2]) {
      const { reward } = gpm({ tau: 1 }).implementation
      const item = itemOf(pair, {}, { chosen: circle[i]!, rejected: circle[(i + 1) % 3]! })
      is(2 * evaluate({ loss: reward("chosen"), reward }, [item]).loss[0]!, 0.8660254, 7)
    }
  })

  it("gpo", () => {
    const item = itemOf({ chosen: [[-1], [-1.2]], rejected: [[-2], [-1.5]] }, { scoreChosen: 0.4, scoreRejected: -0.6 })
    is(loss(gpo({ beta: 2 }), item), 0.02, 10)
  })

  it("sppo", () => {
    const item = itemOf(
      { chosen: [[-0.7], [-1]], rejected: [[-1.2], [-1]] },
      { winRateChosen: 0.8, winRateRejected: 0.3 }
    )
    is(loss(sppo({ eta: 10 }), item), 5.265, 10)
  })

  it("ldDpo", () => {
    const item = itemOf({
      chosen: [
        [-1, -2, -0.5, -1.5],
        [-1.2, -2.1, -1, -2.5]
      ],
      rejected: [
        [-0.7, -1.6],
        [-0.9, -1]
      ]
    })
    for (const [alpha, printed] of [
      [1, 0.589185019],
      [0.5, 0.6232730064],
      [0, 0.6587595555]
    ] as const)
      is(loss(ldDpo({ alpha }), item), printed, 9)
    assert.deepEqual([...pulls(ldDpo({ alpha: 0 }), item, "chosen")].slice(2).map(Math.abs), [0, 0])
  })

  it("flexDpo", () => {
    const at = (minus: number) =>
      itemOf({ chosen: [[Math.log(0.3)], [Math.log(0.25)]], rejected: [[Math.log(minus)], [Math.log(0.25)]] })
    const same = flexDpo({ betaMinus: 0.1 })
    is(loss(same, at(0.02)), 0.5668837, 7)
    is(loss(flexDpo(), at(0.02)), 0.5890557, 7)
    const byProbability = (minus: number) =>
      [pulls(same, at(minus), "chosen")[0]! / 0.3, pulls(same, at(minus), "rejected")[0]! / minus] as const
    is(byProbability(0.02)[0], -0.1442365, 7)
    is(byProbability(0.02)[1], 2.1635474, 7)
    const [up, down] = [
      [-0.157521, -0.138593, -0.120383, -0.103296],
      [0.472562, 4.157804, 36.114955, 309.889327]
    ]
    for (const [i, minus] of [0.1, 0.01, 0.001, 0.0001].entries()) {
      is(byProbability(minus)[0], up[i]!)
      is(byProbability(minus)[1], down[i]!)
    }
  })

  it("tpo and tpoL", () => {
    const gold: Row = [[-0.2, -0.4, -0.6]]
    is(loss(tpo(), itemOf({ chosen: [[-5]], rejected: [[-7]], gold })), 0.8730153, 7)
    const item = itemOf({ chosen: [[-1, -1, -1, -1, -1]], rejected: [[-1, -2, -2, -2]], gold })
    is(loss(tpoL(), item), 1.2433822, 7)
  })

  it("withDegree", () => {
    const logits = [2, 1, 0, -1]
    const degraded = { degradedChosen: [[-1]], degradedRejected: [[-1]] } as const
    const item = (label: number) =>
      itemOf(
        { ...pair, ...degraded },
        { degreeChosen: label, degreeRejected: label },
        { degradedChosen: logits, degradedRejected: logits }
      )
    is(loss(withDegree({ objective: dpo() }), item(1)), 0.764976)
    is(loss(withDegree({ objective: dpo(), gamma: 1 }), item(1)) - loss(dpo(), item(1)), 1.44019)
    assert.strictEqual(loss(withDegree({ objective: dpo() }), item(-1)), loss(dpo(), item(-1)))
    const zero = {
      ...item(2),
      heads: itemOf({ ...pair, ...degraded }, {}, { degradedChosen: [0, 0, 0, 0], degradedRejected: [0, 0, 0, 0] })
        .heads
    }
    is(loss(withDegree({ objective: dpo(), gamma: 1 }), zero) - loss(dpo(), zero), Math.log(4), 12)
  })

  it("fDpo", () => {
    const item = itemOf({ chosen: [[Math.log(1.5)], [0]], rejected: [[Math.log(0.5)], [0]] })
    const printed = { reverse_kl: 0.4557464, forward_kl: 0.4143701, jsd: 0.5569585, alpha: 0.4382975 } as const
    for (const divergence of ["reverse_kl", "forward_kl", "jsd", "alpha"] as const)
      is(loss(fDpo({ beta: 0.5, divergence }), item), printed[divergence], 7)
    is(loss(fDpo({ beta: 0.5, divergence: "alpha", alpha: 0.3 }), item), 0.4460121, 7)
    const far = itemOf({ chosen: [[-100], [0]], rejected: [[0], [0]] })
    const forward = fDpo({ divergence: "forward_kl" })
    assert.isTrue(Number.isFinite(loss(forward, far)))
    assert.strictEqual(Math.abs(pulls(forward, far, "chosen")[0]!), 0)
  })
})

const same = (a: AnyObjective, b: AnyObjective, change: (item: Item) => Item = (item) => item, tolerance = 0) => {
  const given = itemsFor(a.implementation)
  return assertLaws([
    Law.make(`${a.name} is ${b.name}`, given, (found) => {
      const items = found.map(change)
      const [mine, theirs] = [gradient64(a.implementation, items), gradient64(b.implementation, items)]
      return (
        near(evaluate(a.implementation, items).loss, evaluate(b.implementation, items).loss, tolerance) &&
        Object.keys(mine.logProbs).every((role) =>
          mine.logProbs[role]!.every((row, i) => near([...row], [...theirs.logProbs[role]![i]!], tolerance))
        )
      )
    })
  ])
}
const withAnswer = (role: string, from: string) => (item: Item) => ({
  ...item,
  answers: { ...item.answers, [role]: item.answers[from]! }
})

describe("one method is another", () => {
  const asDpo: ReadonlyArray<readonly [string, AnyObjective]> = [
    ["modpo with all weight on its own", modpo({ weight: 1 })],
    ["vpo without the value term", vpo({ alpha: 0 })],
    ["tgdpo without guidance", tgdpo({ alpha: 0 })],
    ["rpo without the supervised term", rpo({ eta: 0 })],
    ["ldDpo with all tokens alike", ldDpo({ alpha: 1 })],
    ["flexDpo with equal betas", flexDpo({ betaMinus: 0.1 })],
    ["fDpo of the reverse KL", fDpo()],
    ["withDegree at gamma 0", withDegree({ objective: dpo(), gamma: 0 })],
    ["withSft at weight 0", withSft({ objective: dpo(), weight: 0 })]
  ]
  for (const [name, objective] of asDpo) it.effect(`${name} is dpo, bit for bit`, () => same(objective, dpo()))

  it.effect("tgdpo with the reference for guide is dpo", () =>
    same(tgdpo(), dpo(), (item) => ({
      ...item,
      answers: Object.fromEntries(
        Object.entries(item.answers).map(([role, row]) => [role, row.map((t) => ({ ...t, guide: t.reference }))])
      )
    }))
  )
  const asPair = (item: Item) => withAnswer("rejected", "answer1")(withAnswer("chosen", "answer0")(item))
  for (const [name, objective] of [
    ["plackettLuce", plackettLuce({ answers: 2 })],
    ["brain", brain({ answers: 2, kappa: 0.1, gamma: 1e-6 })]
  ] as const)
    it.effect(`${name} of two answers costs what dpo does`, () =>
      assertLaws([
        Law.make(name, itemsFor(objective.implementation), (found) => {
          const items = found.map((item) => ({ ...asPair(item), numbers: { score0: 1, score1: 0 } }))
          return near(evaluate(objective.implementation, items).loss, evaluate(dpo().implementation, items).loss, 1e-12)
        })
      ])
    )
  it.effect("rpo is withSft of dpo", () =>
    same(rpo({ eta: 0.4 }), withSft({ objective: dpo(), weight: 0.4 * 0.1, normalization: "sum" }))
  )
  it.effect("tpoL without gold is simpo", () =>
    same(tpoL({ alpha: 0, beta: 2, gamma: 0.5 }), simpo({ beta: 2, gammaBetaRatio: 0.25 }))
  )
  it.effect("sppoHard is twice sppo at win rates 1 and 0", () =>
    assertLaws([
      Law.make("twice", itemsFor(sppo().implementation), (found) => {
        const items = found.map((item) => ({ ...item, numbers: { winRateChosen: 1, winRateRejected: 0 } }))
        const [hard, soft] = [sppoHard({ beta: 1 }), sppo()].map((o) => evaluate(o.implementation, items).loss)
        return near(
          hard!,
          soft!.map((x) => 2 * x),
          1e-15
        )
      })
    ])
  )
  it.effect("gpm of (r, 1) is bradleyTerry of r", () =>
    assertLaws([
      Law.make("bt", itemsFor(bradleyTerry().implementation), (found) => {
        const items = found.map((item) => ({
          ...item,
          heads: Object.fromEntries(
            Object.entries(item.heads).map(([role, row]) => [role, [row[0]!, { value: 1, direction: 0 }]])
          )
        }))
        const both = [gpm({ normalized: false, tau: 0.5 }), bradleyTerry({ tau: 0.5 })]
        const [a, b] = both.map((o) => evaluate(o.implementation, items).loss)
        return near(a!, b!, 1e-14)
      })
    ])
  )
})
