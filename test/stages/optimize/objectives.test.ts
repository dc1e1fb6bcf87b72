import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import { beforeAll } from "vitest"
import type * as Component from "../../../dsl/Component.ts"
import * as Law from "../../../dsl/Law.ts"
import * as X from "../../../stages/optimize/algebra/Expression.ts"
import {
  exponential,
  hinge as hingeLink,
  type Link,
  logistic,
  smooth,
  squared
} from "../../../stages/optimize/links.ts"
import {
  Objective,
  objective as objectiveOf,
  type ReadsReference,
  type Written
} from "../../../stages/optimize/Objective.ts"
import {
  evaluate,
  gradient64,
  type Item,
  itemsFor,
  near,
  onTensors,
  type Token
} from "../../../stages/optimize/objectiveSamples.ts"
import { dpo } from "../../../stages/optimize/objectives/dpo.ts"
import { hinge } from "../../../stages/optimize/objectives/hinge.ts"
import { ipo } from "../../../stages/optimize/objectives/ipo.ts"
import { simpo } from "../../../stages/optimize/objectives/simpo.ts"
import { atReference, seesOnlyLogRatios, seesOnlyTheGap } from "../../../stages/optimize/referenceLaws.ts"
import { gap, meanLogProb, meanLogRatio, scaled, sumLogProb, sumLogRatio } from "../../../stages/optimize/statistics.ts"
import { assertBroken, assertLaws } from "../support.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

type AnyObjective = Component.Component<"objective", Objective>
type Answer = ReadonlyArray<Token>

const answer = (policy: ReadonlyArray<number>, reference: ReadonlyArray<number> = policy): Answer =>
  policy.map((value, t) => ({ policy: value, reference: reference[t]!, guide: value, direction: 0 }))
const pairOf = (chosen: Answer, rejected: Answer): Item => ({
  answers: { chosen, rejected },
  heads: { chosen: [], rejected: [] },
  numbers: {}
})
const chosenOf = ({ answers }: Item) => answers["chosen"]!
const rejectedOf = ({ answers }: Item) => answers["rejected"]!
const swapped = (pairs: ReadonlyArray<Item>) => pairs.map((pair) => pairOf(rejectedOf(pair), chosenOf(pair)))
const losses = (objective: AnyObjective, ...pairs: ReadonlyArray<Item>) =>
  evaluate(objective.implementation, pairs).loss
const loss = (objective: AnyObjective, pair: Item) => losses(objective, pair)[0]!
/** The gradient of one pair's loss by the policy's log-probabilities. */
const gradient = (objective: AnyObjective, pair: Item) => {
  const { chosen, rejected } = gradient64(objective.implementation, [pair]).logProbs
  return { chosen: chosen![0]!, rejected: rejected![0]! }
}
const property = (name: string, holds: (pairs: ReadonlyArray<Item>) => boolean) =>
  it.effect(name, () => assertLaws([Law.make(name, itemsFor(dpo().implementation), holds)]))

/** The methods again, in float64, from the equations. */
const total = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0)
const logRatio = (tokens: Answer) => total(tokens.map(({ policy, reference }) => policy - reference))
const mean = (tokens: Answer) => total(tokens.map(({ policy }) => policy)) / tokens.length
const minusLogSigmoid = (z: number) => Math.max(0, -z) + Math.log1p(Math.exp(-Math.abs(z)))
const smoothed = (e: number, link: (z: number) => number, z: number) => (1 - e) * link(z) + e * link(-z)
const oneMinus = (z: number) => Math.max(0, 1 - z)
type Oracle = (pair: Item) => { readonly loss: number; readonly reward: (tokens: Answer) => number }
const byGap =
  (reward: (tokens: Answer) => number, link: (z: number) => number): Oracle =>
  (pair) => ({ reward, loss: link(reward(chosenOf(pair)) - reward(rejectedOf(pair))) })

const cases: ReadonlyArray<readonly [objective: AnyObjective, oracle: Oracle]> = [
  [dpo(), byGap((y) => 0.1 * logRatio(y), minusLogSigmoid)],
  [dpo({ beta: 1, labelSmoothing: 0.2 }), byGap(logRatio, (z) => smoothed(0.2, minusLogSigmoid, z))],
  [hinge({ beta: 0.5 }), byGap((y) => 0.5 * logRatio(y), oneMinus)],
  [
    ipo({ tau: 0.5 }),
    (pair) => ({
      reward: (y) => 0.5 * logRatio(y),
      loss: (logRatio(chosenOf(pair)) - logRatio(rejectedOf(pair)) - 1) ** 2
    })
  ],
  [
    ipo({ tau: 0.2, lengthNormalized: true }),
    (pair) => ({
      reward: (y) => (0.2 * logRatio(y)) / y.length,
      loss:
        (logRatio(chosenOf(pair)) / chosenOf(pair).length -
          logRatio(rejectedOf(pair)) / rejectedOf(pair).length -
          2.5) **
        2
    })
  ],
  [
    simpo(),
    byGap(
      (y) => 2 * mean(y),
      (z) => minusLogSigmoid(z - 0.5)
    )
  ],
  [
    simpo({ beta: 3, gammaBetaRatio: 0.5, labelSmoothing: 0.1 }),
    byGap(
      (y) => 3 * mean(y),
      (z) => smoothed(0.1, minusLogSigmoid, z - 1.5)
    )
  ],
  [
    simpo({ link: "hinge", gammaBetaRatio: 1 }),
    byGap(
      (y) => 2 * mean(y),
      (z) => oneMinus(z - 2)
    )
  ]
]

describe("objectives", () => {
  for (const [objective, oracle] of cases) {
    const name = `${objective.name} ${JSON.stringify(objective.params)}`
    it.effect(`${name} obeys the laws of objectives, and its own`, () =>
      assertLaws([...Objective.laws(objective), ...objective.definition.laws])
    )
    property(`${name} equals the equation in float64`, (pairs) => {
      const found = evaluate(objective.implementation, pairs)
      const expected = pairs.map((pair) => ({ ...oracle(pair), pair }))
      return (
        near(
          found.loss,
          expected.map(({ loss }) => loss)
        ) &&
        near(
          found.reward("chosen"),
          expected.map(({ pair, reward }) => reward(chosenOf(pair)))
        ) &&
        near(
          found.reward("rejected"),
          expected.map(({ pair, reward }) => reward(rejectedOf(pair)))
        )
      )
    })
    it(`${name} leaves no tensor behind and does not change what it is given`, () => {
      const pair = pairOf(answer([-1, -2], [-2, -2]), answer([-3], [-1]))
      const before = tf.memory().numTensors
      const found = () => onTensors(objective.implementation, [pair])
      assert.deepEqual(found(), found())
      assert.strictEqual(tf.memory().numTensors, before)
    })
  }

  it("tell in their types and values whether they read the reference", () => {
    expectTypeOf<ReadsReference<ReturnType<typeof dpo>>>().toEqualTypeOf<true>()
    expectTypeOf<ReadsReference<ReturnType<typeof ipo>>>().toEqualTypeOf<true>()
    expectTypeOf<ReadsReference<ReturnType<typeof hinge>>>().toEqualTypeOf<true>()
    expectTypeOf<ReadsReference<ReturnType<typeof simpo>>>().toEqualTypeOf<false>()
    expectTypeOf<ReadsReference<AnyObjective>>().toEqualTypeOf<boolean>()
    for (const [objective] of cases)
      assert.strictEqual(objective.implementation.reads.reference, objective.name !== "simpo")
  })

  it("refuse impossible parameters", () => {
    assert.throws(() => dpo({ beta: 0 }), /dpo/)
    assert.throws(() => dpo({ labelSmoothing: 0.6 }), /dpo/)
    assert.throws(() => ipo({ tau: -1 }), /ipo/)
    assert.throws(() => simpo({ beta: Number.NaN }), /simpo/)
  })
})

describe("dpo", () => {
  // the card of paper 51: ln policy (-10, -12), ln reference (-11, -11.5), z = 1.5
  const pair = pairOf(answer([-4, -6], [-5, -6]), answer([-12], [-11.5]))

  it("costs and pulls what the paper's card says", () => {
    assert.closeTo(loss(dpo(), pair), Math.log1p(Math.exp(-0.15)), 1e-6)
    assert.closeTo(loss(dpo(), pair), 0.620957, 1e-6)
    assert.closeTo(loss(dpo({ labelSmoothing: 0.1 }), pair), 0.635957, 1e-6)
    const { chosen, rejected } = gradient(dpo(), pair)
    for (const pull of chosen) assert.closeTo(pull, -0.046257, 1e-6)
    assert.closeTo(rejected[0]!, 0.046257, 1e-6)
  })

  it("starts with a gradient of beta (1 - 2e) / 2", () => {
    const { chosen, rejected } = gradient(
      dpo({ beta: 0.4, labelSmoothing: 0.1 }),
      pairOf(answer([-1, -2]), answer([-3]))
    )
    for (const pull of chosen) assert.closeTo(pull, -0.16, 1e-6)
    assert.closeTo(rejected[0]!, 0.16, 1e-6)
  })

  property("swapping the answers changes the loss by the gap: L(z) - L(-z) = -beta z", (pairs) => {
    const there = losses(dpo({ beta: 0.3 }), ...pairs)
    const back = losses(dpo({ beta: 0.3 }), ...swapped(pairs))
    const gaps = pairs.map((pair) => -0.3 * (logRatio(chosenOf(pair)) - logRatio(rejectedOf(pair))))
    return near(
      there.map((value, i) => value - back[i]!),
      gaps
    )
  })

  property("with labels of no worth (e = 1/2) does not know who won", (pairs) => {
    const coin = dpo({ beta: 0.3, labelSmoothing: 0.5 })
    return near(losses(coin, ...pairs), losses(coin, ...swapped(pairs)))
  })

  property("is the same for (beta, log-probabilities) as for (2 beta, half of them)", (pairs) => {
    const half = (tokens: Answer) =>
      tokens.map((token) => ({ ...token, policy: token.policy / 2, reference: token.reference / 2 }))
    const halved = pairs.map((pair) => pairOf(half(chosenOf(pair)), half(rejectedOf(pair))))
    return near(losses(dpo({ beta: 0.2 }), ...pairs), losses(dpo({ beta: 0.4 }), ...halved))
  })
})

describe("ipo", () => {
  it("costs what the card of paper 8 says, by sums and by means", () => {
    // a = 1 over 4 tokens, c = -0.5 over 6 tokens, tau 0.1: (1.5 - 5)^2 and (1/4 + 1/12 - 5)^2
    const pair = pairOf(
      answer([-1, -2, -3, -4], [-1, -2, -4, -4]),
      answer(Array(6).fill(-2), [-2, -2, -2, -2, -2, -1.5])
    )
    assert.closeTo(loss(ipo(), pair), 12.25, 1e-5)
    assert.closeTo(loss(ipo({ lengthNormalized: true }), pair), 21.777778, 1e-5)
  })

  it("has its minimum, 0, where the log-ratios are 1 / (2 tau) apart, and implicit rewards 1/2", () => {
    const [at, below, above] = [1, 0.9, 1.1].map((gap) => pairOf(answer([-1], [-1 - gap]), answer([-1])))
    const half = ipo({ tau: 0.5 })
    assert.closeTo(loss(half, at!), 0, 1e-6)
    assert.closeTo(loss(half, below!), loss(half, above!), 1e-6)
    assert.isBelow(gradient(half, below!).chosen[0]!, 0)
    assert.isAbove(gradient(half, above!).chosen[0]!, 0)
    const { reward } = evaluate(half.implementation, [at!])
    assert.closeTo(reward("chosen")[0]! - reward("rejected")[0]!, 0.5, 1e-9)
  })

  it("starts with a gradient of 1 / tau", () => {
    assert.closeTo(gradient(ipo({ tau: 0.25 }), pairOf(answer([-1]), answer([-2]))).chosen[0]!, -4, 1e-5)
  })
})

describe("hinge", () => {
  it("stops at a lead of 1", () => {
    const ahead = (gap: number) => pairOf(answer([-1], [-1 - gap]), answer([-2]))
    assert.closeTo(loss(hinge({ beta: 0.1 }), ahead(1.5)), 0.85, 1e-6) // the card of paper 8
    assert.closeTo(gradient(hinge({ beta: 0.1 }), ahead(1.5)).chosen[0]!, -0.1, 1e-6)
    assert.strictEqual(loss(hinge({ beta: 1 }), ahead(1.25)), 0)
    const pull = gradient(hinge({ beta: 1 }), ahead(1.25))
    for (const value of [...pull.chosen, ...pull.rejected]) assert.strictEqual(Math.abs(value), 0)
    // the card of paper 34: gamma 0.05, policy (-20, -24), reference (-22, -21)
    assert.closeTo(loss(hinge({ beta: 0.05 }), pairOf(answer([-20], [-22]), answer([-24], [-21]))), 0.75, 1e-6)
  })
})

describe("simpo", () => {
  // the card of paper 2
  const chosen = answer([-0.5, -1, -0.3])
  const rejected = answer([-0.2, -0.9, -1.1, -0.6])
  const half = { beta: 2, gammaBetaRatio: 0.5 }

  it("costs and pulls what the paper's card says", () => {
    const pair = pairOf(chosen, rejected)
    assert.closeTo(loss(simpo(half), pair), 1.171101, 1e-6)
    assert.closeTo(loss(simpo({ ...half, link: "hinge" }), pair), 1.8, 1e-6)
    assert.closeTo(loss(simpo({ ...half, labelSmoothing: 0.1 }), pair), 1.091101, 1e-6)
    const pull = gradient(simpo(half), pair)
    for (const value of pull.chosen.slice(0, 3)) assert.closeTo(value, -0.459983, 1e-6)
    for (const value of pull.rejected) assert.closeTo(value, 0.344987, 1e-6)
    const spread = (sum: number, count: number) => answer(Array(count).fill(sum / count))
    assert.closeTo(loss(simpo(half), pairOf(spread(-10, 4), spread(-12, 6))), 2.126928, 1e-5)
  })

  property("does not see a constant on every token, of both answers", (pairs) => {
    const moved = (tokens: Answer) => tokens.map((token) => ({ ...token, policy: token.policy - 1.5 }))
    const shifted = pairs.map((pair) => pairOf(moved(chosenOf(pair)), moved(rejectedOf(pair))))
    return near(losses(simpo(half), ...pairs), losses(simpo(half), ...shifted))
  })

  property("does not see an answer written twice, while dpo's gap doubles", (pairs) => {
    const doubled = pairs.map((pair) =>
      pairOf([...chosenOf(pair), ...chosenOf(pair)], [...rejectedOf(pair), ...rejectedOf(pair)])
    )
    return (
      near(losses(simpo(half), ...pairs), losses(simpo(half), ...doubled)) &&
      near(losses(dpo({ beta: 0.4 }), ...pairs), losses(dpo({ beta: 0.2 }), ...doubled))
    )
  })

  property("costs more with a larger margin, and pulls no less", (pairs) => {
    const ratios = [0, 0.3, 1].map((gammaBetaRatio) => simpo({ beta: 2, gammaBetaRatio }))
    return pairs.every((pair) => {
      const values = ratios.map((objective) => loss(objective, pair))
      const pulls = ratios.map((objective) => Math.abs(gradient(objective, pair).chosen[0]!))
      return [1, 2].every((i) => values[i]! >= values[i - 1]! && pulls[i]! >= pulls[i - 1]! - 1e-6)
    })
  })
})

describe("statistics", () => {
  const items = [pairOf(answer([-1, -2], [-2, -4]), answer([-1])), pairOf(answer([-3], [-1]), answer([-1]))]
  const cases = [
    ["sumLogProb", sumLogProb, [-3, -3]],
    ["meanLogProb", meanLogProb, [-1.5, -3]],
    ["sumLogRatio", sumLogRatio, [3, -2]],
    ["meanLogRatio", meanLogRatio, [1.5, -2]],
    ["scaled", scaled(-2, sumLogRatio), [-6, 4]]
  ] as const
  for (const [name, statistic, expected] of cases)
    it(name, () =>
      assert.deepEqual(evaluate({ loss: statistic("chosen"), reward: statistic }, items).loss, [...expected])
    )
})

describe("links", () => {
  const at = (link: Link, ...z: ReadonlyArray<number>) => {
    const loss = link(X.number("z", { minimum: -1, maximum: 1 }))
    return evaluate(
      { loss, reward: sumLogProb },
      z.map((z) => ({ ...pairOf(answer([-1]), answer([-1])), numbers: { z } }))
    ).loss
  }

  it("logistic keeps its precision where sigma underflows or rounds to 1", () => {
    const [low, zero, high, far] = at(logistic, -1e4, 0, 12, 1e4)
    assert.strictEqual(low, 1e4)
    assert.closeTo(zero!, Math.LN2, 1e-15)
    assert.closeTo(high! / Math.log1p(Math.exp(-12)), 1, 1e-12)
    assert.strictEqual(far, 0)
  })

  it("hinge, squared, exponential and smooth follow their equations", () => {
    assert.deepEqual(at(hingeLink, -1, 0.5, 1, 3), [2, 0.5, 0, 0])
    assert.deepEqual(at(squared(2), -1, 2, 4), [9, 0, 4])
    assert.deepEqual(at(exponential, 0, -1), [1, Math.E])
    assert.deepEqual(at(smooth(0.25)(squared(1)), -1, 2), [0.75 * 4, 0.75 * 1 + 0.25 * 9])
  })
})

/** Ways in which such code has been wrong elsewhere: each must break a law. */
describe("the laws of objectives", () => {
  const define = (name: string, make: () => Written): AnyObjective =>
    Objective.define(name, { module: import.meta.url, description: "", params: {}, make: () => objectiveOf(make()) })()
  const beta = 0.3
  const reward = scaled(beta, sumLogRatio)
  const right: Written = { reward, loss: logistic(gap(reward)) }
  const all = (objective: AnyObjective) => [
    ...Objective.laws(objective),
    atReference("costs ln 2", objective.implementation, Math.LN2),
    seesOnlyLogRatios(objective.implementation),
    seesOnlyTheGap(objective.implementation)
  ]
  const summed = (role: string) => X.mul(X.sumTokens(X.add(X.logProbs(role), X.logProbs(role, "reference"))), beta)
  const wrong: ReadonlyArray<readonly [name: string, objective: Written, law: string]> = [
    [
      "a flipped sign of the reference",
      { reward: summed, loss: logistic(gap(summed)) },
      "sees only log-ratios of policy and reference"
    ],
    [
      "a forgotten reference of the rejected side",
      { reward, loss: logistic(X.sub(reward("chosen"), X.mul(sumLogProb("rejected"), beta))) },
      "does not see a constant of the prompt"
    ],
    [
      "a log of sigma in place of softplus",
      { reward, loss: X.neg(X.log(X.sigmoid(X.mul(gap(reward), 1000)))) },
      "gives each item one finite loss and each answer one finite reward"
    ],
    [
      "statistics of the batch that nobody was told of",
      { reward, loss: logistic(X.sub(gap(reward), X.batchMean(gap(reward)))) },
      "does not see a constant of the prompt"
    ],
    [
      "a margin that was not asked for",
      { reward, loss: X.add(right.loss, 0.01) },
      "costs ln 2 where the policy is the reference"
    ]
  ]

  it.effect("hold for the right one", () => assertLaws(all(define("right", () => right))))
  wrong.forEach(([name, written, law], i) => {
    const broken = i === 3 ? { ...written, loss: X.add(written.loss, X.mul(sumLogRatio("chosen"), 0.1)) } : written
    it.effect(`break for ${name}`, () => assertBroken(all(define(`wrong-${i}`, () => broken)), law))
  })

  it.effect("can be checked again with the same seed and the same verdict", () =>
    Effect.gen(function* () {
      const [law] = all(define("again", () => wrong[0]![1])).filter(({ name }) => name.startsWith("sees only log"))
      assert.deepEqual(yield* law!.check({ seed: 5 }), yield* law!.check({ seed: 5 }))
    })
  )
})
