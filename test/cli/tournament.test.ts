/** `tournament` from the command line to the page, and what its standings must say where the truth is known. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { winRate } from "../../pipelines/tournament/sequences.ts"
import { parseGrid } from "../../runtime/cli/tournament/Asked.ts"
import { gainAt } from "../../runtime/cli/tournament/standings.ts"
import { ticks } from "../../runtime/cli/tournament/svg.ts"
import { type Point, Tournament } from "../../runtime/cli/tournament/Tournament.ts"
import { inProcess } from "./inProcess.ts"
import { temporaryFolder } from "./prefline.ts"

const folder = temporaryFolder()
const store = join(folder, "store")
const html = join(folder, "page.html")
const held = (...args: ReadonlyArray<string>) => inProcess(["tournament", ...args, "--store", store])
const decoded = (stdout: string) =>
  Schema.decodeUnknownSync(Tournament)(JSON.parse(stdout), { onExcessProperty: "error" })

const METHODS = ["dpo", "ipo", "simpo", "kto"]
const small = [
  "--methods",
  METHODS.join(","),
  "--seeds",
  "2",
  "--grid",
  "0.3,1",
  "--set",
  "steps=15",
  "--set",
  "pairs=60"
]

const spread = (mean: number) => ({ mean, low: null, high: null })
const point = (kl: number, gain: number): Point => ({
  strength: 1,
  winRate: spread(0.5),
  gain: spread(gain),
  kl: spread(kl),
  length: spread(0),
  displacement: spread(0)
})

describe("tournament", () => {
  it("prints a table, JSON and a page, and computes nothing twice", async () => {
    const first = await held(...small, "--html", html)
    assert.strictEqual(first.code, 0, first.stderr)
    for (const text of [...METHODS, "win rate", "win rate, 20 % flipped", "displacement", "To win most often"])
      assert.include(first.stdout, text)

    const again = await held(...small, "--json")
    assert.strictEqual(again.code, 0, again.stderr)
    const report = decoded(again.stdout)
    assert.strictEqual(report.provenance.computed, 0)
    assert.isAbove(report.provenance.cached, 0)
    assert.sameMembers(
      report.standings.map(({ method }) => method),
      METHODS
    )
    // 4 methods, 2 strengths, clean and flipped, 2 seeds; each policy of its own.
    assert.lengthOf(Object.keys(report.provenance.keys), 32)
    assert.lengthOf(new Set(Object.values(report.provenance.keys)), 32)
    for (const { behind, best, flipped, frontier, cost, problems } of report.standings) {
      assert.deepEqual(problems, [])
      assert.lengthOf(frontier, 2)
      assert.isAbove(best!.winRate.mean, 0.5)
      assert.isNotNull(best!.winRate.low)
      assert.isAbove(cost.trainingMs!, 0)
      assert.closeTo(flipped!.change.mean, flipped!.winRate.mean - best!.winRate.mean, 1e-12)
      const lead = report.standings[0]!.best!.winRate.mean
      if (behind !== null) assert.closeTo(behind.mean, best!.winRate.mean - lead, 1e-12)
    }
    const rates = report.standings.map(({ best }) => best!.winRate.mean)
    assert.deepEqual(
      rates,
      rates.toSorted((a, b) => b - a)
    )
    const costs = new Map(report.standings.map(({ cost, method }) => [method, cost]))
    assert.deepInclude(costs.get("dpo"), { policyAnswers: 2, referenceAnswers: 2 })
    assert.deepInclude(costs.get("simpo"), { policyAnswers: 2, referenceAnswers: 0 })
    assert.deepInclude(costs.get("kto"), { policyAnswers: 3, referenceAnswers: 3 })

    const page = readFileSync(html, "utf8")
    assert.isBelow(page.length, 500_000)
    assert.notMatch(page, /https?:|<script|<link|@import|url\((?!#)/)
    assert.include(page, "prefers-color-scheme:dark")
    for (const method of METHODS) assert.include(page, `data-method="${method}"`)
    // A mark for each strength of each method, told in words; beside them only the legend's.
    assert.lengthOf(page.match(/<title>[^<]*: gain /g) ?? [], 8)
    for (const key of Object.values(report.provenance.keys)) assert.include(page, key.slice(0, 12))
  })

  it("on all pairs of a bandit, dpo lies on the best frontier and nothing lies above it", async () => {
    const betas = [0.3, 0.5, 1, 2]
    const { code, stderr, stdout } = await held(
      ...["--methods", "dpo,hinge", "--seeds", "1", "--flip", "0", "--grid", betas.join(","), "--json"],
      ...["--set", "data=population", "--set", "by=lbfgs", "--set", "steps=200"]
    )
    assert.strictEqual(code, 0, stderr)
    const { optimum, standings } = decoded(stdout)
    const of = (method: string) => standings.find((standing) => standing.method === method)!.frontier
    assert.lengthOf(of("dpo"), betas.length)
    for (const { gain, kl, strength } of of("dpo")) {
      const best = optimum.find(({ beta }) => beta === strength)!
      assert.closeTo(kl.mean, best.kl, 1e-6)
      assert.closeTo(gain.mean, best.gain, 1e-6)
    }
    const best = optimum.map(({ gain, kl }) => point(kl, gain))
    for (const { gain, kl } of of("hinge")) {
      // Chords lie below the frontier: the tangent at a neighbour is above it.
      const under = optimum.findLast((own) => own.kl <= kl.mean)
      if (under !== undefined) assert.isAtMost(gain.mean, under.gain + under.beta * (kl.mean - under.kl) + 1e-9)
      assert.isBelow(gain.mean, (gainAt(best, kl.mean) ?? Number.POSITIVE_INFINITY) - 1e-3)
    }
  })

  it("refuses what it does not know, and names what it does", async () => {
    const unknown = await held("--methods", "dpo,grpo")
    assert.strictEqual(unknown.code, 2)
    assert.include(unknown.stderr, 'no method "grpo" on the testbed tabular; known: dpo, cdpo')
    const elsewhere = await held("--methods", "tpo") // reads a third answer, which bandits do not give
    assert.strictEqual(elsewhere.code, 2)
    assert.strictEqual((await held("--grid", "grpo=1")).code, 2)
    assert.strictEqual((await held("--grid", "dpo=0")).code, 2)
    assert.strictEqual((await held("--flip", "1.5")).code, 2)
    const parameter = await held("--set", "stepz=1")
    assert.strictEqual(parameter.code, 2)
    assert.include(parameter.stderr, "heldOutPairs")
  })

  it("tells of trainings that fail, and measures the others", async () => {
    const { code, stderr, stdout } = await held(
      ...["--methods", "dpo,sft", "--seeds", "1", "--flip", "0", "--grid", "dpo=1,1e300", "--json"],
      ...["--set", "by=gradient-descent", "--set", "steps=5", "--set", "pairs=50"]
    )
    assert.strictEqual(code, 1)
    assert.include(stderr, "failed in part: dpo\n")
    const [dpo, sft] = ["dpo", "sft"].map((name) => decoded(stdout).standings.find(({ method }) => method === name)!)
    assert.lengthOf(dpo!.problems, 1)
    assert.deepEqual(
      dpo!.frontier.map(({ strength }) => strength),
      [1]
    )
    assert.deepEqual(sft!.problems, [])
    assert.isNotNull(sft!.best)
  })

  it("sequences have lengths and are judged by what is drawn from them", async () => {
    const { code, stderr, stdout } = await held(
      ...[
        "--testbed",
        "sequences",
        "--methods",
        "dpo,ld-dpo",
        "--seeds",
        "1",
        "--flip",
        "0",
        "--grid",
        "0.3",
        "--json"
      ],
      ...["--set", "steps=20", "--set", "pairs=80", "--set", "answers=300"]
    )
    assert.strictEqual(code, 0, stderr)
    const { standings, summary } = decoded(stdout)
    for (const { best, flipped } of standings) {
      assert.isAbove(best!.winRate.mean, 0.5)
      assert.isNull(flipped)
      assert.notStrictEqual(best!.length.mean, 0)
      assert.isNull(best!.winRate.low)
    }
    assert.isTrue(summary.some((sentence) => sentence.startsWith("To keep answers as long")))
  })
})

describe("what standings are made of", () => {
  it("win rates count ties half and pairs once", () => {
    assert.strictEqual(winRate([1, 2, 2], [2, 0]), (1 + 1.5 + 1.5) / 6)
    assert.strictEqual(winRate([3], [1, 2]), 1)
    assert.strictEqual(winRate([1, 2, 3], [3, 1, 2]), 0.5)
  })

  it("a frontier is linear in the root of KL, and says nothing where it does not reach", () => {
    const frontier = [point(1, 1), point(4, 3)]
    assert.strictEqual(gainAt(frontier, 2.25), 2)
    assert.strictEqual(gainAt(frontier, 4), 3)
    assert.isUndefined(gainAt(frontier, 0.5))
    assert.isUndefined(gainAt(frontier, 4.1))
    assert.isUndefined(gainAt([], 1))
  })

  it("grids are read as they are written", () => {
    assert.deepEqual(parseGrid(["0.1,0.5", "ipo=1"]), parseGrid([" 0.1, 0.5", "ipo=1"]))
    for (const wrong of [["dpo=1", "dpo=2"], ["dpo="], ["=1"], ["a=b=1"], ["-1"], ["1,,2"]])
      assert.isTrue(parseGrid(wrong)._tag === "None", wrong.join(" "))
  })

  it("ticks are round numbers within the range", () => {
    assert.deepEqual(ticks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1])
    assert.deepEqual(ticks(-0.5, 1.6, 7), [-0.5, 0, 0.5, 1, 1.5])
  })
})
