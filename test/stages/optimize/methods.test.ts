/** Every method against a scalar formula of its own, in value and gradient, on generated items. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Arbitrary } from "effect"
import type * as Component from "../../../dsl/Component.ts"
import * as Law from "../../../dsl/Law.ts"
import { Objective } from "../../../stages/optimize/Objective.ts"
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
import { sppo } from "../../../stages/optimize/objectives/sppo.ts"
import { srpo } from "../../../stages/optimize/objectives/srpo.ts"
import { tgdpo } from "../../../stages/optimize/objectives/tgdpo.ts"
import { tpo, tpoL } from "../../../stages/optimize/objectives/tpo.ts"
import { vpo } from "../../../stages/optimize/objectives/vpo.ts"
import { withDegree } from "../../../stages/optimize/objectives/withDegree.ts"
import { withSft } from "../../../stages/optimize/objectives/withSft.ts"
import { assertLaws } from "../support.ts"
import * as Oracle from "./methodOracles.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

type AnyObjective = Component.Component<"objective", Objective>
const n = (item: Item, name: string) => item.numbers[name]!
const pair = ["chosen", "rejected"]
const three = ["answer0", "answer1", "answer2"]
const plain = { gamma: 0.7, kappa: 0.6, proposal: "reference", estimator: "self-normalized" } as const
const brains = [
  plain,
  { ...plain, proposal: "guide" },
  { ...plain, estimator: "no-baseline" },
  { ...plain, estimator: "dpg", kappa: 1 },
  { ...plain, estimator: "gdc", kappa: 1 }
] as const

/** Without kinks. `tame`: exponentials of log-ratios, compared where these are of a few nats. */
const smooth: ReadonlyArray<readonly [objective: AnyObjective, oracle: Oracle.Oracle, tame?: true]> = [
  [modpo(), Oracle.modpo(0.1, 0.5, 0.5)],
  [modpo({ beta: 0.4, weight: 0.3, marginWeight: 1 }), Oracle.modpo(0.4, 0.3, 1)],
  [vpo(), Oracle.vpo(0.1, 0.1, -1)],
  [vpo({ beta: 0.4, alpha: 0.7, setting: "online" }), Oracle.vpo(0.4, 0.7, 1)],
  [srpo(), Oracle.srpo(0.8, 0.01, false)],
  [srpo({ alpha: 0.3, beta: 0.2, labels: "soft" }), Oracle.srpo(0.3, 0.2, true)],
  [tgdpo(), Oracle.tgdpo(0.5, 0.1)],
  [tgdpo({ alpha: 1, beta: 0.6 }), Oracle.tgdpo(1, 0.6)],
  [tgdpo({ alpha: 1, beta: 0.6, clampWeights: { minimum: 0.5, maximum: 1.5 } }), Oracle.tgdpo(1, 0.6, [0.5, 1.5])],
  ...brains.map((params) => [brain({ ...params, answers: 3 }), Oracle.brain(params), true] as const),
  [plackettLuce({ answers: 3, beta: 0.3 }), Oracle.plackettLuce(0.3)],
  [dno(), Oracle.dno(1)],
  [dno({ eta: 0.2 }), Oracle.dno(0.2)],
  [rpo({ eta: 0.3, beta: 0.5 }), Oracle.plus(Oracle.dpo(0.5), 0.15, "chosen", "sum")],
  [
    rpo({ eta: 0.3, beta: 0.5, normalization: "sequenceMean", baseline: "sft" }),
    Oracle.plus(Oracle.dpo(0.5), 0.3, "sft", "sequenceMean")
  ],
  [rpo({ eta: 0.3, normalization: "tokenMean" }), Oracle.plus(Oracle.dpo(0.1), 0.3, "chosen", "tokenMean")],
  [gpm({ tau: 0.5 }), Oracle.gpm(1, 0.5, 0, true)],
  [gpm({ blocks: 3, margin: 0.1, tau: 0.7 }), Oracle.gpm(3, 0.7, 0.1, true)],
  [gpm({ blocks: 2, normalized: false, tau: 1 }), Oracle.gpm(2, 1, 0, false)],
  [bradleyTerry(), Oracle.bradleyTerry(1, 0)],
  [bradleyTerry({ tau: 0.5, margin: 0.2 }), Oracle.bradleyTerry(0.5, 0.2)],
  [gpo({ beta: 2 }), Oracle.regression(pair, (item, role) => n(item, `score${capital(role)}`) / 2)],
  [
    gpo({ mode: "all", answers: 3, beta: 0.5, logZ: "given" }),
    Oracle.regression(three, (item, _, i) => n(item, `score${i}`) / 0.5 - n(item, "logZ"))
  ],
  [sppo({ eta: 3 }), Oracle.regression(pair, (item, role) => 3 * (n(item, `winRate${capital(role)}`) - 0.5))],
  [
    sppo({ mode: "single", eta: 2, logZ: "given" }),
    Oracle.regression(pair, (item, _, i) => 2 * (i === 0 ? n(item, "label") : 1 - n(item, "label")) - n(item, "logZ"))
  ],
  [
    sppo({ mode: "all", answers: 3, eta: 2 }),
    Oracle.regression(three, (item, _, i) => 2 * (n(item, `score${i}`) - 0.5))
  ],
  [ldDpo(), Oracle.ldDpo(0.5, 0.1)],
  [ldDpo({ alpha: 0, beta: 0.4, labelSmoothing: 0.2 }), Oracle.ldDpo(0, 0.4, 0.2)],
  [flexDpo(), Oracle.flexDpo(0.1, 0.08)],
  [flexDpo({ betaPlus: 0.3, betaMinus: 0, sftWeight: 0.2 }), Oracle.plus(Oracle.flexDpo(0.3, 0), 0.2, "chosen", "sum")],
  [
    tpo(),
    Oracle.plus(
      Oracle.contrast((d) => Oracle.logistic(0.2 * d), false),
      0.9,
      "gold",
      "tokenMean"
    )
  ],
  [
    tpo({ link: "ipo", beta: 0.5, alpha: 0.3, normalization: "sequenceMean" }),
    Oracle.plus(
      Oracle.contrast((d) => (d - 1) ** 2, true),
      0.3,
      "gold",
      "sequenceMean"
    )
  ],
  [
    tpo({ labelSmoothing: 0.1, alpha: 0 }),
    Oracle.contrast((d) => 0.9 * Oracle.logistic(0.2 * d) + 0.1 * Oracle.logistic(-0.2 * d), false)
  ],
  [
    tpoL({ beta: 2, gamma: 0.3, alpha: 0.4, normalization: "sum" }),
    Oracle.plus(
      Oracle.contrast((d) => Oracle.logistic(2 * d - 0.3), true),
      0.4,
      "gold",
      "sum"
    )
  ],
  [withDegree({ objective: dpo() }), Oracle.withDegree(Oracle.dpo(0.1), 0.1, 3)],
  [
    withDegree({ objective: bradleyTerry(), gamma: 2, levels: 2, separateHeads: true }),
    Oracle.withDegree(Oracle.bradleyTerry(1, 0), 2, 2, 1, true)
  ],
  [withSft({ objective: dpo(), weight: 0.7 }), Oracle.plus(Oracle.dpo(0.1), 0.7, "chosen", "sequenceMean")],
  [fDpo(), Oracle.fDpo(0.1, (u) => Math.log(u) + 1)],
  [fDpo({ divergence: "forward_kl", beta: 0.4 }), Oracle.fDpo(0.4, (u) => -1 / u), true],
  [fDpo({ divergence: "jsd", beta: 0.4 }), Oracle.fDpo(0.4, (u) => Math.log((2 * u) / (1 + u))), true],
  [fDpo({ divergence: "alpha", beta: 0.4, alpha: 0.3 }), Oracle.fDpo(0.4, (u) => (1 - u ** -0.3) / 0.3), true]
]

const kinked: ReadonlyArray<readonly [objective: AnyObjective, oracle: Oracle.Oracle]> = [
  [modpo({ link: "hinge" }), Oracle.modpo(0.1, 0.5, 0.5, true)],
  [
    tpo({ link: "hinge", normalization: "sequenceMean" }),
    Oracle.plus(
      Oracle.contrast((d) => Math.max(0, 1 - 0.2 * d), false),
      0.9,
      "gold",
      "sequenceMean"
    )
  ]
]

function capital(role: string) {
  return role[0]!.toUpperCase() + role.slice(1)
}

const eachToken = (items: ReadonlyArray<Item>, change: (token: Token) => Token): ReadonlyArray<Item> =>
  items.map((item) => ({
    ...item,
    answers: Object.fromEntries(Object.entries(item.answers).map(([role, row]) => [role, row.map(change)]))
  }))
type Token = Item["answers"][string][number]

const calm = (items: ReadonlyArray<Item>) =>
  eachToken(items, (token) => ({
    ...token,
    policy: token.reference + (token.policy - token.reference) / 8,
    guide: token.reference + (token.guide - token.reference) / 8
  }))

/** Items moved along their directions. */
const moved = (items: ReadonlyArray<Item>, step: number): ReadonlyArray<Item> =>
  eachToken(items, (token) => ({ ...token, policy: token.policy + step * token.direction })).map((item) => ({
    ...item,
    heads: Object.fromEntries(
      Object.entries(item.heads).map(([role, row]) => [
        role,
        row.map(({ direction, value }) => ({ direction, value: value + step * direction }))
      ])
    )
  }))

const total = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0)
const STEP = 2 ** -8
const differences = (oracle: Oracle.Oracle, items: ReadonlyArray<Item>) => {
  const central = (h: number) => (total(oracle(moved(items, h))) - total(oracle(moved(items, -h)))) / (2 * h)
  return (4 * central(STEP / 2) - central(STEP)) / 3
}
const slope = (objective: AnyObjective, items: ReadonlyArray<Item>) => {
  const { heads, logProbs } = gradient64(objective.implementation, items)
  return total(
    items.flatMap((item, b) => [
      ...Object.entries(logProbs).flatMap(([role, rows]) =>
        rows[b]!.map((g, t) => g * item.answers[role]![t]!.direction)
      ),
      ...Object.entries(heads).flatMap(([role, rows]) =>
        (rows[b] ?? []).map((g, i) => g * item.heads[role]![i]!.direction)
      )
    ])
  )
}

describe("each method is what its equation says", () => {
  for (const [objective, oracle, tame] of [...smooth, ...kinked]) {
    const name = `${objective.name} ${JSON.stringify(objective.params)}`
    const written = objective.implementation
    const given = itemsFor(written)
    const items = tame === true ? given.pipe(Arbitrary.map(calm)) : given
    const isSmooth = smooth.some(([own]) => own === objective)
    it.effect(name, () =>
      assertLaws([
        Law.make("equals the formula", items, (items) => near(evaluate(written, items).loss, oracle(items), 1e-12)),
        ...(isSmooth
          ? [
              Law.make("has the gradient of the formula", items, (items) => {
                const [found, expected] = [slope(objective, items), differences(oracle, items)]
                return Math.abs(found - expected) <= 1e-6 * (1 + total(oracle(items).map(Math.abs)) + Math.abs(found))
              })
            ]
          : [])
      ])
    )
    if (tame === undefined)
      it.effect(`${name} obeys the laws`, () => assertLaws(Objective.laws(objective), { runs: 30 }))
  }

  it("says what it reads", () => {
    const readOf = ({ implementation: { reads } }: AnyObjective) =>
      [reads.roles.join(), Object.keys(reads.numbers).sort().join(), reads.reference, reads.guide, reads.heads] as const
    const expected: ReadonlyArray<readonly [AnyObjective, ReturnType<typeof readOf>]> = [
      [modpo(), ["chosen,rejected", "marginChosen,marginRejected", true, false, 0]],
      [vpo(), ["calibration,chosen,rejected", "", true, false, 0]],
      [srpo({ labels: "soft" }), ["chosen,ll,lw,rejected,wl,ww", "label", true, false, 0]],
      [tgdpo(), ["chosen,rejected", "", true, true, 0]],
      [brain({ answers: 2 }), ["answer0,answer1", "score0,score1", true, false, 0]],
      [brain({ answers: 2, proposal: "guide" }), ["answer0,answer1", "score0,score1", true, true, 0]],
      [dno(), ["chosen,rejected", "winRateChosen,winRateRejected", true, false, 0]],
      [rpo({ baseline: "sft" }), ["chosen,rejected,sft", "", true, false, 0]],
      [gpm({ blocks: 3 }), ["chosen,rejected", "", false, false, 6]],
      [gpo({ logZ: "given" }), ["chosen,rejected", "logZ,scoreChosen,scoreRejected", true, false, 0]],
      [tpo(), ["chosen,gold,rejected", "", false, false, 0]],
      [
        withDegree({ objective: bradleyTerry(), levels: 2 }),
        ["chosen,degradedChosen,degradedRejected,rejected", "degreeChosen,degreeRejected", false, false, 4]
      ]
    ]
    for (const [objective, found] of expected) assert.deepEqual(readOf(objective), found, objective.name)
  })
})
