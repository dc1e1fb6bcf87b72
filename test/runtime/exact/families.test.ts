import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type * as Artifact from "../../../dsl/Artifact.ts"
import {
  type ExactPolicy,
  ExactPolicyValue,
  type FamilyData,
  type World,
  WorldValue
} from "../../../dsl/exactArtifacts.ts"
import * as Rng from "../../../dsl/Rng.ts"
import * as E from "../../../runtime/exact/expectations.ts"
import { familyOf, policyOf } from "../../../runtime/exact/families.ts"
import { entropy, kl, logSumExp } from "../../../runtime/exact/numbers.ts"
import * as P from "../../../runtime/exact/Policy.ts"
import { normalMatrix, normalVector } from "../../../runtime/exact/random.ts"

const rng = Rng.make(9, "families")
const kinds: ReadonlyArray<FamilyData> = [
  { kind: "softmax", contexts: 3, responses: 4 },
  {
    kind: "linear",
    base: normalMatrix(2, 5, rng.fork("base")),
    features: [0, 1].map((context) => normalMatrix(5, 3, rng.fork(context)))
  },
  { kind: "markov", symbols: 3, horizon: 4, endless: false },
  { kind: "markov", symbols: 3, horizon: 4, endless: true },
  { kind: "unigram", symbols: 3, length: 4 },
  { kind: "hazard", types: 2, horizon: 5 }
]
const label = (data: FamilyData) => (data.kind === "markov" && data.endless ? "endless markov" : data.kind)

describe.each(kinds.map((data) => [label(data), data] as const))("%s", (name, data) => {
  const family = familyOf(data)
  const policy = family.at(normalVector(family.parameters, rng.fork(name)))
  const reference = family.at(normalVector(family.parameters, rng.fork(`${name} reference`)))
  const contexts = Array.from({ length: policy.process.contexts }, (_, context) => context)
  const all = contexts.map((context) => P.enumerateRows(policy, context))
  const mean = (context: number, of: (row: P.Row) => number) =>
    all[context]!.reduce((sum, { logProb, row }) => sum + Math.exp(logProb) * of(row), 0)

  it("all answers are distinct, their probabilities sum to 1 and are those of their tokens", () => {
    for (const answers of all) {
      assert.closeTo(logSumExp(answers.map(({ logProb }) => logProb)), 0, 1e-13)
      assert.strictEqual(new Set(answers.map(({ row }) => JSON.stringify(row))).size, answers.length)
      for (const { logProb, row } of answers) assert.closeTo(P.rowLogProb(policy, row), logProb, 1e-13)
    }
  })

  it("dynamic programming equals the sum over all answers", () => {
    const rewards = normalVector(8, rng.fork("rewards"))
    for (const context of contexts) {
      assert.closeTo(
        E.expectedLength(policy, context),
        mean(context, (row) => row.tokens.length),
        1e-13
      )
      assert.closeTo(
        E.expectedReward(policy, context, rewards),
        mean(context, (row) => row.tokens.reduce((sum, token) => sum + rewards[token]!, 0)),
        1e-13
      )
      assert.closeTo(
        E.policyEntropy(policy, context),
        mean(context, (row) => -P.rowLogProb(policy, row)),
        1e-13
      )
      assert.closeTo(
        E.policyKl(policy, reference, context),
        mean(context, (row) => P.rowLogProb(policy, row) - P.rowLogProb(reference, row)),
        1e-13
      )
    }
    assert.strictEqual(E.policyKl(policy, policy, 0), 0)
    assert.isAbove(E.policyKl(policy, reference, 0), 1e-2)
  })

  it("pull is the derivative, by central differences", () => {
    const rows: ReadonlyArray<P.Row> = [
      ...P.sampleRows(policy, [...contexts, ...contexts, ...contexts, 0, 0, 0], rng.fork("rows")),
      ...(policy.process.horizon > 1 ? [{ context: 0, tokens: [1, 0], finish: "length" as const }] : [])
    ]
    const gradients = rows.map((row, i) => normalVector(policy.tokenLogProbs(row).length, rng.fork(i)))
    const sum = (theta: Float64Array) => {
      const at = family.at(theta)
      return rows.reduce(
        (total, row, i) => at.tokenLogProbs(row).reduce((partial, l, t) => partial + l * gradients[i]![t]!, total),
        0
      )
    }
    const pulled = policy.pull(rows, gradients)
    assert.strictEqual(pulled.length, family.parameters)
    assert.isAbove(pulled.filter((g) => g !== 0).length, 1)
    pulled.forEach((g, k) => {
      const moved = (by: number) => sum(policy.theta.map((x, j) => (j === k ? x + by : x)))
      assert.closeTo(g, (moved(1e-5) - moved(-1e-5)) / 2e-5, 1e-8)
    })
    assert.throws(() => policy.pull(rows, gradients.slice(1)), RangeError)
    assert.throws(() => policy.pull(rows.slice(0, 1), [new Float64Array(9)]), RangeError)
  })

  it("samples have the exact frequencies", () => {
    const draws = 20_000
    const counts = new Map<string, number>()
    for (const row of P.sampleRows(policy, new Array<number>(draws).fill(0), rng.fork("draws"))) {
      const key = JSON.stringify(row)
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    // Pearson's statistic over answers expected at least five times, the others pooled.
    const expected = all[0]!.map(({ logProb, row }) => [JSON.stringify(row), draws * Math.exp(logProb)] as const)
    const common = expected.filter(([, count]) => count >= 5)
    const rest = draws - common.reduce((sum, [, count]) => sum + count, 0)
    const seen = common.map(([key]) => counts.get(key) ?? 0)
    const seenRest = draws - seen.reduce((sum, count) => sum + count, 0)
    const terms = common.map(([, count], i) => (seen[i]! - count) ** 2 / count)
    const statistic = terms.reduce((sum, x) => sum + x, 0) + (rest > 5 ? (seenRest - rest) ** 2 / rest : 0)
    const freedom = common.length + (rest > 5 ? 0 : -1)
    assert.isBelow(statistic, freedom + 5 * Math.sqrt(2 * freedom))
    for (const key of counts.keys())
      assert.include(
        expected.map(([answer]) => answer),
        key
      )
  })

  it("a row's draws do not depend on its neighbours", () => {
    const rows = P.sampleRows(policy, [0, 0, 0, 0], rng)
    assert.deepStrictEqual(rows[2], P.sampleRow(policy, 0, rng.fork(2)))
  })

  it("refuses what is not its own", () => {
    const bad: ReadonlyArray<P.Row> = [
      { context: 0, tokens: [7], finish: "length" },
      { context: 0, tokens: [-1], finish: "length" },
      { context: 0, tokens: [0.5], finish: "length" },
      ...(data.kind === "unigram" ? [] : [{ context: 0, tokens: [0, 0, 0, 0, 0, 0], finish: "length" } as const])
    ]
    for (const row of bad) {
      assert.throws(() => policy.tokenLogProbs(row), RangeError)
      assert.throws(() => policy.pull([row], [new Float64Array(row.tokens.length)]), RangeError)
    }
    assert.throws(() => family.at(new Float64Array(family.parameters + 1)), RangeError)
  })
})

describe("responses", () => {
  it("have a list of log-probabilities, context by context", () => {
    const policy = policyOf({ family: { kind: "softmax", contexts: 2, responses: 2 }, theta: [0, Math.log(3), 5, 5] })
    assert.closeTo(Math.exp(P.responseLogProbs(policy, 0)[1]!), 0.75, 1e-15)
    assert.closeTo(Math.exp(P.responseLogProbs(policy, 1)[1]!), 0.5, 1e-15)
    assert.throws(() => P.responseLogProbs(policy, 2), RangeError)
    assert.throws(() => policy.tokenLogProbs({ context: 2, tokens: [0], finish: "stop" }), RangeError)
    const other = policyOf({ family: { kind: "softmax", contexts: 2, responses: 2 }, theta: [0, 0, 0, 0] })
    assert.closeTo(
      E.overContexts(policy, (context) => E.policyKl(policy, other, context)),
      kl(P.responseLogProbs(policy, 0), P.responseLogProbs(other, 0)) / 2,
      1e-15
    )
    assert.closeTo(E.policyEntropy(policy, 0), entropy(P.responseLogProbs(policy, 0)), 1e-15)
    assert.throws(() => P.responseLogProbs(familyOf(kinds[2]!).at(new Float64Array(16)), 0), RangeError)
  })
  it("ragged linear families are refused", () => {
    assert.throws(() => familyOf({ kind: "linear", base: [[0, 0]], features: [[[1], [1, 2]]] }), RangeError)
    assert.throws(() => familyOf({ kind: "linear", base: [[0, 0]], features: [[[1]]] }), RangeError)
    assert.throws(() => familyOf({ kind: "linear", base: [], features: [] }), RangeError)
  })
})

describe("markov", () => {
  const family = familyOf({ kind: "markov", symbols: 2, horizon: 3, endless: false })
  // Rows: after 0, after 1, at the start; columns: 0, 1, end.
  const policy = family.at(Float64Array.of(0.2, 0.3, 0.5, 0.6, 0.3, 0.1, 0.7, 0.2, 0.1).map(Math.log))
  const probs = (tokens: ReadonlyArray<number>, finish: "stop" | "length") =>
    Array.from(policy.tokenLogProbs({ context: 0, tokens, finish }), (l) => Number(Math.exp(l).toFixed(12)))
  it("counts the end symbol of an answer that stops, and none of one that is cut off", () => {
    assert.deepStrictEqual(probs([0, 1], "stop"), [0.7, 0.3, 0.1])
    assert.deepStrictEqual(probs([0, 1], "length"), [0.7, 0.3])
    assert.deepStrictEqual(probs([], "stop"), [0.1])
    assert.deepStrictEqual(probs([0, 1, 1], "length"), [0.7, 0.3, 0.3])
    assert.throws(() => probs([0, 1, 1], "stop"), RangeError)
  })
})

describe("hazard", () => {
  const types = [0.2, 0.2, 0.6].map(Math.log)
  const logit = (h: number) => Math.log(h / (1 - h))
  const family = familyOf({ kind: "hazard", types: 3, horizon: 40 })
  const policy = family.at(Float64Array.from([...types, ...new Array<number>(39).fill(logit(0.1))]))
  it("has the expected length 9.852 at hazard 0.1 up to 40 tokens", () => {
    const closed = Array.from({ length: 40 }, (_, t) => 0.9 ** t).reduce((sum, x) => sum + x, 0)
    assert.closeTo(E.expectedLength(policy, 0), closed, 1e-12)
    assert.closeTo(closed, 9.852, 5e-4)
    assert.closeTo(E.expectedReward(policy, 0, [1, -1, 0]), 0, 1e-12)
  })
  it("a token carries its type and the decision that follows it, the last possible one its type alone", () => {
    const [first, second] = policy.tokenLogProbs({ context: 0, tokens: [0, 2], finish: "stop" })
    assert.closeTo(first!, Math.log(0.2 * 0.9), 1e-14)
    assert.closeTo(second!, Math.log(0.6 * 0.1), 1e-14)
    const cut = policy.tokenLogProbs({ context: 0, tokens: [0, 2], finish: "length" })
    assert.closeTo(cut[1]!, Math.log(0.6 * 0.9), 1e-14)
    const full = { context: 0, tokens: new Array<number>(40).fill(2) }
    for (const finish of ["stop", "length"] as const)
      assert.closeTo(policy.tokenLogProbs({ ...full, finish })[39]!, Math.log(0.6), 1e-14)
    assert.throws(() => policy.tokenLogProbs({ context: 0, tokens: [], finish: "stop" }), RangeError)
  })
})

describe("artifacts", () => {
  const roundTrip = <A>(artifact: Artifact.Artifact<string, A>, value: A) =>
    Effect.gen(function* () {
      const [file] = yield* Stream.runCollect(artifact.encode(Effect.succeed(value)))
      const chunks = yield* Stream.runCollect(file!.bytes)
      return yield* artifact.decode({
        names: [file!.name],
        open: () => Stream.fromIterable(chunks)
      })
    })
  it.effect("policies of every family and worlds survive their bytes", () =>
    Effect.gen(function* () {
      for (const family of kinds) {
        const { parameters } = familyOf(family)
        const policy: ExactPolicy = { family, theta: Array.from(normalVector(parameters, rng)) }
        assert.deepStrictEqual(yield* roundTrip(ExactPolicyValue, policy), policy)
        policyOf(policy)
        const world: World = { reference: policy, rewards: [[[1, 2]]], preferences: [[[0.5]]], tokenRewards: [0, -1] }
        assert.deepStrictEqual(yield* roundTrip(WorldValue, world), world)
      }
    })
  )
})
