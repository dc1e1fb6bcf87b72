/** The variants of direct preference optimization against their equations, written once more in scalars. */
import { assert, describe, it, layer } from "@effect/vitest"
import type * as Component from "../../../dsl/Component.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { Device } from "../../../runtime/device/Device.ts"
import { inOrder } from "../../../stages/optimize/algebra/Expression.ts"
import * as Float64 from "../../../stages/optimize/algebra/float64.ts"
import { reads } from "../../../stages/optimize/algebra/reads.ts"
import type { Objective } from "../../../stages/optimize/Objective.ts"
import {
  evaluate,
  float64Items,
  gradient64,
  type Item,
  onTensors,
  type Token
} from "../../../stages/optimize/objectiveSamples.ts"
import { aot, aotUnpaired } from "../../../stages/optimize/objectives/aot.ts"
import { apoDown, apoZero } from "../../../stages/optimize/objectives/apo.ts"
import { bco, bcoPair } from "../../../stages/optimize/objectives/bco.ts"
import { betaDpo } from "../../../stages/optimize/objectives/betaDpo.ts"
import { cpo } from "../../../stages/optimize/objectives/cpo.ts"
import { discopop } from "../../../stages/optimize/objectives/discopop.ts"
import { dpo } from "../../../stages/optimize/objectives/dpo.ts"
import { dpop } from "../../../stages/optimize/objectives/dpop.ts"
import { exoPair } from "../../../stages/optimize/objectives/exo.ts"
import { hinge } from "../../../stages/optimize/objectives/hinge.ts"
import { ipo } from "../../../stages/optimize/objectives/ipo.ts"
import { kto } from "../../../stages/optimize/objectives/kto.ts"
import { ncaPair } from "../../../stages/optimize/objectives/nca.ts"
import { odpo } from "../../../stages/optimize/objectives/odpo.ts"
import { orpo } from "../../../stages/optimize/objectives/orpo.ts"
import { rdpo } from "../../../stages/optimize/objectives/rdpo.ts"
import { robust } from "../../../stages/optimize/objectives/robust.ts"
import { rrhf } from "../../../stages/optimize/objectives/rrhf.ts"
import { sft } from "../../../stages/optimize/objectives/sft.ts"
import { sigmoidNorm } from "../../../stages/optimize/objectives/sigmoidNorm.ts"
import { simpo } from "../../../stages/optimize/objectives/simpo.ts"
import { slicHf } from "../../../stages/optimize/objectives/slicHf.ts"
import { sppoHard } from "../../../stages/optimize/objectives/sppoHard.ts"
import { wpo } from "../../../stages/optimize/objectives/wpo.ts"

type AnyObjective = Component.Component<"objective", Objective>

/** Items whose log-ratios, sums, means and lengths are what an equation is written in. */
const total = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0)
const mean = (values: ReadonlyArray<number>) => total(values) / values.length
const sum = (item: Item, role: string) => total(item.answers[role]!.map(({ policy }) => policy))
const sumReference = (item: Item, role: string) => total(item.answers[role]!.map(({ reference }) => reference))
const n = (item: Item, role: string) => item.answers[role]!.length
const ratio = (item: Item, role: string) => sum(item, role) - sumReference(item, role)
const a = (item: Item) => ratio(item, "chosen")
const c = (item: Item) => ratio(item, "rejected")
const d = (item: Item) => a(item) - c(item)
const sigma = (x: number) => 1 / (1 + Math.exp(-x))
const nls = (x: number) => -Math.log(sigma(x))
const meanOf = (item: Item, role: string) => sum(item, role) / n(item, role)
const logOdds = (x: number) => Math.log(Math.exp(x) / (1 - Math.exp(x)))
const ascending = (values: ReadonlyArray<number>) => [...values].sort((x, y) => x - y)
const smoothed = (e: number, z: number) => (1 - e) * nls(z) + e * nls(-z)
const kl = (q: number, e: number) => q * Math.log(q / (1 - e)) + (1 - q) * Math.log((1 - q) / e)

/** The losses of a batch; what carries no gradient is computed from `held`. */
type Oracle = (items: ReadonlyArray<Item>, held: ReadonlyArray<Item>) => ReadonlyArray<number>
const each =
  (loss: (item: Item, held: Item) => number): Oracle =>
  (items, held) =>
    items.map((item, i) => loss(item, held[i]!))
const tokenMean = (item: Item, items: ReadonlyArray<Item>) =>
  (-sum(item, "chosen") * items.length) / total(items.map((item) => n(item, "chosen")))

const cases: ReadonlyArray<readonly [AnyObjective, Oracle]> = [
  [dpo({ beta: 0.3, labelSmoothing: 0.1 }), each((x) => smoothed(0.1, 0.3 * d(x)))],
  [hinge({ beta: 0.3 }), each((x) => Math.max(0, 1 - 0.3 * d(x)))],
  [ipo({ tau: 0.2 }), each((x) => (d(x) - 2.5) ** 2)],
  [robust({ beta: 0.3, labelSmoothing: 0.2 }), each((x) => (0.8 * nls(0.3 * d(x)) - 0.2 * nls(-0.3 * d(x))) / 0.6)],
  [exoPair({ beta: 0.3, labelSmoothing: 0.02 }), each((x) => kl(sigma(0.3 * d(x)), 0.02))],
  [ncaPair({ beta: 0.3 }), each((x) => nls(0.3 * a(x)) + nls(-0.3 * a(x)) / 2 + nls(-0.3 * c(x)) / 2)],
  [sppoHard({ beta: 0.25 }), each((x) => (a(x) - 2) ** 2 + (c(x) + 2) ** 2)],
  [apoZero({ beta: 0.3 }), each((x) => 1 - sigma(0.3 * a(x)) + sigma(0.3 * c(x)))],
  [apoDown({ beta: 0.3 }), each((x) => sigma(0.3 * a(x)) + 1 - sigma(0.3 * d(x)))],
  [
    discopop({ beta: 0.3, tau: 0.5 }),
    each((x) => {
      const m = sigma((0.3 * d(x)) / 0.5)
      return nls(0.3 * d(x)) * (1 - m) + Math.exp(-0.3 * d(x)) * m
    })
  ],
  [sigmoidNorm({ beta: 2 }), each((x) => nls(2 * (a(x) / n(x, "chosen") - c(x) / n(x, "rejected"))))],
  [
    cpo({ beta: 0.3, cpoAlpha: 0.5, labelSmoothing: 0.1 }),
    each((x) => smoothed(0.1, 0.3 * (sum(x, "chosen") - sum(x, "rejected"))) - 0.5 * meanOf(x, "chosen"))
  ],
  [
    cpo({ beta: 0.3, link: "hinge" }),
    each((x) => Math.max(0, 1 - 0.3 * (sum(x, "chosen") - sum(x, "rejected"))) - meanOf(x, "chosen"))
  ],
  [
    cpo({ beta: 0.25, link: "ipo" }),
    each((x) => (meanOf(x, "chosen") - meanOf(x, "rejected") - 2) ** 2 - meanOf(x, "chosen"))
  ],
  [
    cpo({ beta: 0.3, normalization: "tokenMean" }),
    (items) => items.map((x) => nls(0.3 * (sum(x, "chosen") - sum(x, "rejected"))) + tokenMean(x, items))
  ],
  [
    orpo({ lambda: 0.5 }),
    each((x) => -meanOf(x, "chosen") + 0.5 * nls(logOdds(meanOf(x, "chosen")) - logOdds(meanOf(x, "rejected"))))
  ],
  [sft(), each((x) => -meanOf(x, "chosen"))],
  [sft({ normalization: "tokenMean" }), (items) => items.map((x) => tokenMean(x, items))],
  [
    slicHf({ delta: 2, lambda: 0.3 }),
    each((x) => Math.max(0, 2 - sum(x, "chosen") + sum(x, "rejected")) - 0.3 * sum(x, "chosen"))
  ],
  [rrhf(), each((x) => Math.max(0, meanOf(x, "rejected") - meanOf(x, "chosen")) - sum(x, "chosen"))],
  [odpo({ beta: 0.3, alpha: 0.5 }), each((x) => nls(0.3 * d(x) - 0.5 * x.numbers["offset"]!))],
  [rdpo({ beta: 0.3, alpha: 0.2 }), each((x) => nls(0.3 * d(x) + 0.2 * (n(x, "chosen") - n(x, "rejected"))))],
  [dpop({ beta: 0.3, lambda: 5 }), each((x) => nls(0.3 * (d(x) - 5 * Math.max(0, -a(x)))))],
  [
    wpo({ beta: 0.3 }),
    each((x, held) => Math.exp(meanOf(held, "chosen")) * Math.exp(meanOf(held, "rejected")) * nls(0.3 * d(x)))
  ],
  [bcoPair({ beta: 0.3 }), each((x) => nls(0.3 * a(x)) + nls(-0.3 * c(x)))],
  [
    bco({ beta: 0.3, momentum: 0.8 }),
    (items, held) => {
      const delta = mean(held.map((x) => (0.3 * a(x) + 0.3 * c(x)) / 2))
      return items.map((x) => nls(0.3 * a(x) - delta) + nls(delta - 0.3 * c(x)))
    }
  ],
  [
    kto({ beta: 0.3, desirableWeight: 1.5, undesirableWeight: 0.5 }),
    (items, held) => {
      const z0 = Math.max(0, mean(held.map((x) => ratio(x, "mismatched"))))
      return items.map((x) => (1.5 * (1 - sigma(0.3 * (a(x) - z0))) + 0.5 * (1 - sigma(0.3 * (z0 - c(x))))) / 2)
    }
  ],
  [
    aot({ beta: 0.3, labelSmoothing: 0.1 }),
    (items) => {
      const gaps = ascending(items.map((x) => sum(x, "chosen") - sum(x, "rejected")))
      const references = ascending(items.map((x) => sumReference(x, "chosen") - sumReference(x, "rejected")))
      return gaps.map((gap, rank) => smoothed(0.1, 0.3 * (gap - references[rank]!)))
    }
  ],
  [
    aotUnpaired({ beta: 0.3 }),
    (items) => {
      const [chosen, rejected] = [ascending(items.map(a)), ascending(items.map(c))]
      return chosen.map((value, rank) => nls(0.3 * (value - rejected[rank]!)))
    }
  ],
  [
    betaDpo({ beta: 0.3, alpha: 0.4, level: "item" }),
    (items, held) => {
      const margin = mean(held.map((x) => 0.3 * d(x)))
      const scale = (x: Item) => Math.max(0.01, 1 + 0.4 * (0.3 * d(x) - margin))
      return items.map((x, i) => nls(0.3 * scale(held[i]!) * d(x)))
    }
  ],
  // in the first step the moving mean is the batch's, so beta is what it was
  [betaDpo({ beta: 0.3, alpha: 0.4, level: "batch" }), each((x) => nls(0.3 * d(x)))]
]

/** Batches of items without special values: all that an objective reads, drawn evenly, log-probabilities from `lowest` on. */
const batches = (objective: Objective, count: number, { lowest = -5, round = (x: number) => x } = {}) =>
  Array.from({ length: count }, (_, k): ReadonlyArray<Item> => {
    const rng = Rng.make(k, "zoo")
    let drawn = 0
    const between = (low: number, high: number) => low + (high - low) * rng.uniform(drawn++)
    const { numbers, roles } = reads([objective.loss])
    const answer = (): ReadonlyArray<Token> =>
      Array.from({ length: Math.floor(between(1, 5)) }, () => {
        const [policy, reference, guide] = [between(lowest, 0), between(lowest, 0), between(lowest, 0)].map(round)
        return { policy: policy!, reference: reference!, guide: guide!, direction: 0 }
      })
    return Array.from({ length: 1 + (k % 5) }, () => {
      const all = [...new Set(["chosen", "rejected", ...roles])]
      const drawnNumbers = Object.entries(numbers).map(
        ([name, { maximum, minimum }]) => [name, round(between(minimum, maximum))] as const
      )
      return {
        answers: Object.fromEntries(all.map((role) => [role, answer()])),
        heads: Object.fromEntries(all.map((role) => [role, []])),
        numbers: Object.fromEntries(drawnNumbers)
      }
    })
  })

const moved = (items: ReadonlyArray<Item>, at: number, role: string, token: number, step: number) =>
  items.map((item, i) =>
    i === at
      ? {
          ...item,
          answers: {
            ...item.answers,
            [role]: item.answers[role]!.map((x, t) => (t === token ? { ...x, policy: x.policy + step } : x))
          }
        }
      : item
  )

const title = ({ name, params }: AnyObjective) => `${name} ${JSON.stringify(params)}`

describe("each equals its equation in scalars", () => {
  for (const [objective, oracle] of cases) {
    it(`${title(objective)}: value within 1e-12`, () => {
      for (const items of batches(objective.implementation, 60)) {
        const [found, expected] = [evaluate(objective.implementation, items).loss, oracle(items, items)]
        assert.strictEqual(found.length, expected.length)
        for (const [i, x] of expected.entries())
          assert.isAtMost(Math.abs(found[i]! - x), 1e-12 * Math.max(1, Math.abs(x)))
      }
    })

    it(`${title(objective)}: gradient within 1e-6 of central differences`, () => {
      const step = 2 ** -14
      for (const items of batches(objective.implementation, 15)) {
        const { logProbs } = gradient64(objective.implementation, items)
        for (const [role, rows] of Object.entries(logProbs))
          for (const [i, row] of rows.entries())
            for (const [t, slope] of row.entries()) {
              const at = (h: number) => total(oracle(moved(items, i, role, t, h), items))
              const expected = (8 * (at(step / 2) - at(-step / 2)) - (at(step) - at(-step))) / (6 * step)
              assert.isAtMost(Math.abs(slope - expected), 1e-6 * Math.max(1, Math.abs(expected)), `${role} ${i} ${t}`)
            }
      }
    })
  }
})

/**
 * Float32 rounds each term by 2^-24 of its size, and what comes after multiplies that error by its slope. `largest` is the
 * largest of all intermediate values, `steepest` the largest slope in a log-probability, both at least 1.
 */
for (const kind of ["cpu", "wasm"] as const)
  layer(Device.layer(kind))(`on ${kind}`, () => {
    for (const [objective] of cases.filter(([{ implementation }]) => !implementation.reads.batch))
      for (const lowest of [-5, -0.01, -40])
        it(`${title(objective)} from ${lowest} nats: within 1e-6 of the largest term`, () => {
          for (const items of batches(objective.implementation, 20, { lowest, round: Math.fround })) {
            const { loss } = objective.implementation
            const exact = Float64.evaluate([loss], float64Items(items))
            const slopes = gradient64(objective.implementation, items).logProbs
            const found = onTensors(objective.implementation, items)
            const most = (values: ReadonlyArray<number>) => Math.max(1, ...values.map(Math.abs))
            const largest = most(inOrder([loss]).flatMap((node) => [...exact.valueOf(node)!]))
            const steepest = most(Object.values(slopes).flat(2))
            for (const [i, x] of exact.values[0]!.entries())
              assert.isAtMost(Math.abs(found.loss[i]! - x), 1e-6 * largest, `loss ${x}`)
            for (const [role, rows] of Object.entries(slopes))
              for (const [i, row] of rows.entries())
                for (const [t, x] of row.entries())
                  assert.isAtMost(Math.abs(found.logProbs[role]![i]![t]! - x), 1e-6 * largest * steepest, `slope ${x}`)
          }
        })
  })

const answer = (policy: ReadonlyArray<number>, reference: ReadonlyArray<number> = policy): ReadonlyArray<Token> =>
  policy.map((value, t) => ({ policy: value, reference: reference[t]!, guide: value, direction: 0 }))
const pairOf = (
  chosen: ReadonlyArray<Token>,
  rejected: ReadonlyArray<Token>,
  { mismatched = answer([-1]), offset = 0 }: { mismatched?: ReadonlyArray<Token>; offset?: number } = {}
): Item => ({
  answers: { chosen, rejected, mismatched },
  heads: { chosen: [], rejected: [], mismatched: [] },
  numbers: { offset }
})
const losses = (objective: AnyObjective, ...items: ReadonlyArray<Item>) =>
  evaluate(objective.implementation, items).loss
/** The loss of one item, and its slope in the log-ratio of each answer. */
const loss = (objective: AnyObjective, item: Item) => losses(objective, item)[0]!
const slopes = (objective: AnyObjective, item: Item) => {
  const { chosen, rejected } = gradient64(objective.implementation, [item]).logProbs
  return { a: chosen![0]![0]!, c: rejected![0]![0]! }
}
const same = (found: ReadonlyArray<number>, expected: ReadonlyArray<number>) => {
  assert.strictEqual(found.length, expected.length)
  for (const [i, x] of expected.entries()) assert.closeTo(found[i]!, x, 1e-12 * Math.max(1, Math.abs(x)))
}

describe("golden numbers", () => {
  // ln policy (-10, -12), ln reference (-11, -11.5), 4 and 6 tokens: a = 1, c = -0.5, d = 1.5; beta 0.1
  const rejected = answer([-2, -2, -2, -2, -2, -2], [-2, -2, -2, -2, -2, -1.5])
  const pair = pairOf(answer([-1, -2, -3, -4], [-1, -2, -4, -4]), rejected)
  const below = pairOf(answer([-1, -2, -3, -5], [-1, -2, -4, -3]), rejected)
  const offset = pairOf(answer([-1, -2, -3, -4], [-1, -2, -4, -4]), rejected, { offset: 0.3 })
  const drifted = pairOf(answer([-1, -2, -3, -4], [-1, -2, -4, -4]), rejected, { mismatched: answer([-1], [-1.2]) })
  const goldens: ReadonlyArray<readonly [AnyObjective, number, Item?]> = [
    [dpo(), 0.620957],
    [dpo({ labelSmoothing: 0.1 }), 0.635957],
    [robust({ labelSmoothing: 0.1 }), 0.602207],
    [hinge(), 0.85],
    [ipo(), 12.25],
    [ipo({ lengthNormalized: true }), 21.777778],
    [exoPair(), 2.505517],
    [ncaPair(), 1.350825],
    [bcoPair(), 1.312856],
    [sppoHard(), 36.25],
    [apoZero(), 0.962523],
    [apoDown(), 0.987549],
    [discopop(), 0.849338],
    [sigmoidNorm({ beta: 0.1 }), 0.676619],
    [odpo(), 0.770957, offset],
    [rdpo({ alpha: 0.05 }), 0.66846],
    [dpop({ lambda: 5 }), 0.620957],
    [dpop({ lambda: 5 }), 1.005492, below],
    [simpo({ beta: 2, gammaBetaRatio: 0.5 }), 2.126928],
    [cpo(), 3.098139],
    [orpo(), 2.601169],
    [kto({ desirableWeight: 2, undesirableWeight: 0 }), 0.480011, drifted],
    [kto({ desirableWeight: 0, undesirableWeight: 2 }), 0.482507, drifted],
    [slicHf(), 1],
    [rrhf(), 10.5]
  ]
  for (const [objective, expected, item = pair] of goldens)
    it(`${title(objective)} costs ${expected}`, () => assert.closeTo(loss(objective, item), expected, 5.1e-7))
})

describe("slopes where the policy is the reference", () => {
  const beta = 0.3
  const [chosen, rejected] = [answer([-1, -2]), answer([-3, -1, -1])]
  const long = answer([-2, -1, -1, -1, -1])
  const cases: ReadonlyArray<readonly [AnyObjective, Item, readonly [a: number, c: number]]> = [
    [dpo({ beta }), pairOf(chosen, rejected), [-beta / 2, beta / 2]],
    [dpo({ beta, labelSmoothing: 0.1 }), pairOf(chosen, rejected), [(-beta * 0.8) / 2, (beta * 0.8) / 2]],
    [robust({ beta, labelSmoothing: 0.1 }), pairOf(chosen, rejected), [-beta / 1.6, beta / 1.6]],
    [hinge({ beta }), pairOf(chosen, rejected), [-beta, beta]],
    [ipo({ tau: beta }), pairOf(chosen, rejected), [-1 / beta, 1 / beta]],
    [sppoHard({ beta }), pairOf(chosen, rejected), [-1 / beta, 1 / beta]],
    [rdpo({ beta, alpha: 0.2 }), pairOf(chosen, long), [-beta * sigma(0.6), beta * sigma(0.6)]],
    [
      exoPair({ beta, labelSmoothing: 0.1 }),
      pairOf(chosen, rejected),
      [(-beta * Math.log(9)) / 4, (beta * Math.log(9)) / 4]
    ],
    [ncaPair({ beta }), pairOf(chosen, rejected), [-beta / 4, beta / 4]],
    [bcoPair({ beta }), pairOf(chosen, rejected), [-beta / 2, beta / 2]],
    [bco({ beta }), pairOf(chosen, rejected), [-beta / 2, beta / 2]],
    [apoZero({ beta }), pairOf(chosen, rejected), [-beta / 4, beta / 4]],
    [apoDown({ beta }), pairOf(chosen, rejected), [0, beta / 4]],
    [kto({ beta }), pairOf(chosen, rejected), [-beta / 8, beta / 8]],
    [dpop({ beta }), pairOf(chosen, rejected), [-beta / 2, beta / 2]],
    [odpo({ beta }), pairOf(chosen, rejected, { offset: 0.7 }), [-beta * sigma(0.7), beta * sigma(0.7)]],
    [betaDpo({ beta, level: "item" }), pairOf(chosen, rejected), [-beta / 2, beta / 2]],
    [aot({ beta }), pairOf(chosen, rejected), [-beta / 2, beta / 2]],
    [aotUnpaired({ beta }), pairOf(chosen, rejected), [-beta / 2, beta / 2]]
  ]
  for (const [objective, item, [forChosen, forRejected]] of cases)
    it(title(objective), () => {
      const found = slopes(objective, item)
      assert.closeTo(found.a, forChosen, 1e-12)
      assert.closeTo(found.c, forRejected, 1e-12)
    })

  it("discopop's points the wrong way, towards the minimum that its text names", () => {
    const at = (z: number) => slopes(discopop({ beta: 1 }), pairOf(answer([-2], [-2 - z]), answer([-1]))).a
    assert.isAbove(at(0), 0)
    assert.isBelow(at(-0.125), 0)
    assert.isAbove(at(-0.115), 0)
  })
})

describe("reductions", () => {
  const beta = 0.3
  const plain = dpo({ beta })
  const given = batches(odpo().implementation, 40)
  const alone = (objective: AnyObjective) => (items: ReadonlyArray<Item>) => items.map((x) => loss(objective, x))
  const cut = (tokens: ReadonlyArray<Token>) => tokens.slice(0, 1)
  const short = given.map((items) => items.map((x) => pairOf(cut(x.answers["chosen"]!), cut(x.answers["rejected"]!))))
  const toDpo: ReadonlyArray<AnyObjective> = [
    robust({ beta, labelSmoothing: 0 }),
    rdpo({ beta, alpha: 0 }),
    odpo({ beta, alpha: 0 }),
    dpop({ beta, lambda: 0 }),
    betaDpo({ beta, alpha: 0, level: "item" }),
    betaDpo({ beta, alpha: 0, level: "batch" })
  ]
  for (const objective of toDpo)
    it(`${title(objective)} is dpo`, () => {
      for (const items of given) same(losses(objective, ...items), losses(plain, ...items))
    })

  it("aot and aot-unpaired of one pair are dpo", () => {
    for (const items of given)
      for (const objective of [aot({ beta }), aotUnpaired({ beta })])
        same(alone(objective)(items), losses(plain, ...items))
  })

  it("sigmoid-norm of answers of n tokens is dpo with beta / n", () => {
    for (const items of short) same(losses(sigmoidNorm({ beta }), ...items), losses(plain, ...items))
    const twice = (tokens: ReadonlyArray<Token>) => [...tokens, ...tokens]
    for (const items of short) {
      const doubled = items.map((x) => pairOf(twice(x.answers["chosen"]!), twice(x.answers["rejected"]!)))
      same(losses(sigmoidNorm({ beta: 2 * beta }), ...doubled), losses(plain, ...doubled))
    }
  })

  it("cpo without cloning is dpo to a reference that likes all answers alike", () => {
    for (const items of given) {
      const flat = (tokens: ReadonlyArray<Token>) => tokens.map((x) => ({ ...x, reference: -2 / tokens.length }))
      const indifferent = items.map((x) => pairOf(flat(x.answers["chosen"]!), flat(x.answers["rejected"]!)))
      same(losses(cpo({ beta, cpoAlpha: 0 }), ...indifferent), losses(plain, ...indifferent))
    }
  })

  it("robust's mean over labels flipped with its rate is dpo's loss of the true ones", () => {
    const swapped = (x: Item) => pairOf(x.answers["rejected"]!, x.answers["chosen"]!)
    for (const items of given)
      for (const e of [0.1, 0.4]) {
        const noisy = robust({ beta, labelSmoothing: e })
        const flipped = losses(noisy, ...items.map(swapped))
        same(
          losses(noisy, ...items).map((x, i) => (1 - e) * x + e * flipped[i]!),
          losses(plain, ...items)
        )
      }
  })

  it("bco starts as a classifier around the first batch's mean reward; apart from that it is bco-pair", () => {
    for (const items of given) {
      const mean = total(items.map((x) => (a(x) + c(x)) / 2)) / items.length
      const first = (tokens: ReadonlyArray<Token>) =>
        tokens.map((x, t) => (t === 0 ? { ...x, reference: x.reference + mean } : x))
      const centred = items.map((x) => pairOf(first(x.answers["chosen"]!), first(x.answers["rejected"]!)))
      same(losses(bco({ beta }), ...items), losses(bcoPair({ beta }), ...centred))
    }
  })

  it("cpo and sft by tokens are those by sequences where all answers are of one length", () => {
    for (const items of short) {
      for (const make of [cpo, sft, orpo] as ReadonlyArray<(o: object) => AnyObjective>)
        assert.closeTo(
          total(losses(make({ normalization: "tokenMean" }), ...items)),
          total(losses(make({ normalization: "sequenceMean" }), ...items)),
          1e-10
        )
    }
  })

  it("exo costs nothing where the policy's preference is the smoothed label", () => {
    const z = Math.log(0.9 / 0.1)
    const at = pairOf(answer([-1], [-1 - z]), answer([-1]))
    assert.closeTo(loss(exoPair({ beta: 1, labelSmoothing: 0.1 }), at), 0, 1e-12)
    assert.closeTo(slopes(exoPair({ beta: 1, labelSmoothing: 0.1 }), at).a, 0, 1e-12)
  })
})

describe("moving means that go on from earlier steps", () => {
  const beta = 0.3
  const objectives = [
    bco({ beta, momentum: 0.8 }),
    betaDpo({ beta, alpha: 0.4, momentum: 0.8, level: "batch" }),
    betaDpo({ beta, alpha: 0.4, momentum: 0.8, level: "item" })
  ] as const
  const [classifier, byBatch, byItem] = objectives
  const stepOf = (objective: AnyObjective, items: ReadonlyArray<Item>, before: number) => {
    const name = objective.name === "bco" ? "bco/delta" : "beta-dpo/margin"
    const given = { ...float64Items(items), state: { [name]: before } }
    const { gradient, state, values } = Float64.evaluate([objective.implementation.loss], given)
    const slope = (item: number) => gradient(items.map(() => 1)).logProbs["chosen"]![item]![0]!
    return { values: [...values[0]!], after: state[name]!, slope }
  }

  it("bco moves its shift by a fifth of the way and does not differentiate it", () => {
    for (const items of batches(classifier.implementation, 20)) {
      const delta = 0.8 * 1.5 + 0.2 * mean(items.map((x) => (beta * (a(x) + c(x))) / 2))
      const found = stepOf(classifier, items, 1.5)
      same([found.after], [delta])
      same(
        found.values,
        items.map((x) => nls(beta * a(x) - delta) + nls(delta - beta * c(x)))
      )
      for (const [i, x] of items.entries()) assert.closeTo(found.slope(i), -beta * sigma(delta - beta * a(x)), 1e-12)
    }
  })

  for (const before of [-2, 1.5, 40])
    it(`beta-dpo follows the margins, after ${before}`, () => {
      for (const items of batches(byItem.implementation, 20)) {
        const margins = items.map((x) => beta * d(x))
        const after = 0.8 * before + 0.2 * mean(margins)
        for (const [objective, surplus] of [
          [byBatch, margins.map(() => mean(margins) - after)],
          [byItem, margins.map((margin) => margin - after)]
        ] as const) {
          const scales = surplus.map((x) => Math.max(0.01, 1 + 0.4 * x))
          const found = stepOf(objective, items, before)
          same([found.after], [after])
          for (const [i, margin] of margins.entries()) {
            const z = scales[i]! * margin
            assert.closeTo(found.values[i]!, nls(z), 1e-12 * Math.max(1, Math.abs(z)))
            assert.closeTo(found.slope(i), -beta * scales[i]! * sigma(-z), 1e-12 * scales[i]!)
          }
        }
      }
    })
})

describe("orpo next to certainty", () => {
  const at = (x: number) => loss(orpo({ lambda: 1 }), pairOf(answer([-1]), answer([x])))
  it("takes odds as they are up to 2^-20 nats, and then the same", () => {
    // ln (1 - e^x) = ln -x + x / 2 + O(x^2)
    const odds = (x: number) => x - (Math.log(-x) + x / 2)
    for (const x of [-1e-3, -1e-5, -1e-6]) assert.closeTo(at(x), 1 + nls(logOdds(-1) - odds(x)), 1e-6)
    for (const x of [-1e-7, 0]) assert.strictEqual(at(x), at(-(2 ** -20)))
  })
})

describe("implicit rewards", () => {
  const given = pairOf(answer([-1, -2], [-3, -1]), answer([-4, -1, -1], [-1, -2, -1.5]))
  const expected: ReadonlyArray<readonly [AnyObjective, number, number]> = [
    ...[robust, exoPair, ncaPair, bcoPair, bco, sppoHard, apoZero, apoDown, discopop, aot, aotUnpaired, kto].map(
      (make) => [make({ beta: 0.2 }), 0.2, -0.3] as const
    ),
    ...[odpo, dpop, betaDpo, wpo].map((make) => [make({ beta: 0.2 }), 0.2, -0.3] as const),
    [rdpo({ beta: 0.2, alpha: 0.1 }), 0.4, 0],
    [sigmoidNorm({ beta: 0.6 }), 0.3, -0.3],
    [cpo({ beta: 0.2 }), -0.6, -1.2],
    [cpo({ beta: 0.2, link: "ipo" }), -0.3, -0.4],
    [orpo(), -1.5, -2],
    [sft(), -1.5, -2],
    [rrhf(), -1.5, -2],
    [slicHf(), -3, -6]
  ]
  for (const [objective, chosen, rejected] of expected)
    it(title(objective), () => {
      const { reward } = evaluate(objective.implementation, [given])
      same([...reward("chosen"), ...reward("rejected")], [chosen, rejected])
    })
})

describe("a shift of both answers' log-ratios, another one for each pair", () => {
  const shift = (items: ReadonlyArray<Item>) =>
    items.map((x, i) => ({
      ...x,
      answers: Object.fromEntries(
        Object.entries(x.answers).map(([role, tokens]) => [
          role,
          tokens.map((token, t) =>
            t === 0 && role !== "mismatched" ? { ...token, policy: token.policy - 1.5 * (i + 1) } : token
          )
        ])
      )
    }))
  const unseen = ["dpo", "robust", "hinge", "ipo", "exo-pair", "discopop", "odpo", "rdpo", "aot", "beta-dpo"]
  for (const [objective] of cases)
    it(`${title(objective)} ${unseen.includes(objective.name) ? "does not see it" : "sees it"}`, () => {
      const changes = batches(objective.implementation, 10).map((items) => {
        const [there, here] = [losses(objective, ...items), losses(objective, ...shift(items))]
        return Math.max(...there.map((x, i) => Math.abs(x - here[i]!) / Math.max(1, Math.abs(x))))
      })
      if (unseen.includes(objective.name)) for (const change of changes) assert.isAtMost(change, 1e-12)
      else assert.isAbove(Math.max(...changes), 1e-3)
    })

  it("is not seen by means over tokens where the answers are of one length", () => {
    for (const objective of [ipo({ lengthNormalized: true }), sigmoidNorm(), simpo()])
      for (const items of batches(objective.implementation, 10)) {
        const equal = items.map((x) =>
          pairOf(
            x.answers["chosen"]!,
            [...x.answers["rejected"]!, ...answer([-1, -1, -1, -1])].slice(0, n(x, "chosen"))
          )
        )
        same(losses(objective, ...equal), losses(objective, ...shift(equal)))
      }
  })
})

describe("what an objective reads", () => {
  it("reference-free ones read no reference, the others do", () => {
    const free = ["cpo", "orpo", "sft", "slic-hf", "rrhf"]
    for (const [objective] of cases)
      assert.strictEqual(objective.implementation.reads.reference, !free.includes(objective.name), objective.name)
  })

  it("only those that look at the batch say so", () => {
    const coupled = cases.filter(([{ implementation }]) => implementation.reads.batch).map(([{ name }]) => name)
    assert.sameMembers([...new Set(coupled)], ["cpo", "sft", "bco", "kto", "aot", "aot-unpaired", "beta-dpo"])
  })

  it("impossible parameters are refused", () => {
    assert.throws(() => robust({ labelSmoothing: 0.5 }), /robust/)
    assert.throws(() => exoPair({ labelSmoothing: 0 }), /exo-pair/)
    assert.throws(() => bco({ momentum: 1 }), /bco/)
    assert.throws(() => kto({ beta: 0 }), /kto/)
  })
})
