/** `claims` of one pipeline and of a whole catalog: what is printed, what is written, and how it ends. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type * as Check from "../../dsl/Check.ts"
import { withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { Catalog } from "../../runtime/cli/Catalog.ts"
import { prefline } from "../../runtime/cli/Cli.ts"
import * as Catalogue from "../../runtime/cli/claims/catalogue.ts"
import { statusOf } from "../../runtime/cli/failure.ts"
import { Output } from "../../runtime/cli/Output.ts"
import { decorate, judge, refuse, suffix, words } from "./fixtures/stages.ts"
import { memorySink } from "./memorySink.ts"
import { temporaryFolder } from "./prefline.ts"
import * as Shapes from "./shapes.ts"

const folder = temporaryFolder()
const module = import.meta.url

const gains = (name: string, more: Partial<Check.Check>): Check.Check => ({
  name,
  kind: "exact",
  expected: "the gain | is the bonus",
  over: { bonus: [1] },
  measure: ([run]) =>
    Effect.succeed({ value: run!.outputs.report.estimates["reward/gain"].mean, note: "one error in 1e9" }),
  holds: ({ value }) => value === 1,
  ...more
})

const params = { bonus: Schema.Finite.pipe(withDefault(1)) }
const paper = { title: "On Words", arxiv: "2601.00001" }
const method = (name: string, checks: ReadonlyArray<Check.Check>) =>
  Pipeline.make(
    name,
    { description: `The method ${name}`, paper, family: "direct", testbed: ["text", "tabular"], params, checks },
    ({ bonus }) => ({ report: words().pipe(decorate({ by: suffix() }), judge({ bonus })) })
  )

const plain = method("plain", [gains("gain", {}), gains("another", {})])
const twice = method("twice", [gains("doubled", { over: { bonus: [2] }, holds: ({ value }) => value === 2 })])
const weak = method("weak", [gains("far", { holds: ({ value }) => value > 3, knownGap: "words are too few" })])
const strong = method("strong", [gains("near", { knownGap: "nothing comes near" })])
const wrong = method("wrong", [gains("more", { holds: ({ value }) => value > 1 })])
const refusing = Pipeline.make(
  "refusing",
  { description: "Refuses", params: {}, checks: [gains("any", { over: {} })] },
  () => ({ report: words().pipe(refuse({ word: "it all" }), judge({ bonus: 0 })) })
)

/** Runs a command line over a catalog of these pipelines. */
const run = async (pipelines: ReadonlyArray<Pipeline.Pipeline>, ...args: ReadonlyArray<string>) => {
  const [stdout, stderr] = [memorySink(), memorySink()]
  const exit = await Effect.runPromise(
    Effect.exit(prefline(args[0] === "claims" ? [...args, "--store", join(folder, "store")] : args)).pipe(
      Effect.provideService(Output, { stdout: stdout.sink, stderr: stderr.sink }),
      Effect.provideService(Catalog, async () => pipelines.map((pipeline) => ({ module, pipeline }))),
      Effect.provide(NodeServices.layer)
    )
  )
  return { code: statusOf(exit), stdout: stdout.text(), stderr: stderr.text() }
}

describe("claims --all", () => {
  it("prints a table of all, what is shared among them, and ends with 0", async () => {
    const { code, stderr, stdout } = await run([plain, twice, weak], "claims", "--all", "--workers", "1")
    assert.strictEqual(code, 0, stderr)
    assert.include(stdout, "4 checks in 3 runs, 4 nodes in all")
    assert.match(stdout, /✓ {2}plain {3}arXiv 2601\.00001 {2}direct {2}text, tabular {2}2 of 2 +3 \(3\) +0 ms \+ /)
    assert.match(stdout, /✓ {2}twice .*1 of 1 +3 \(2\) +/)
    assert.match(stdout, /✓ {2}weak .*0 of 1, 1 known gap +3 \(3\)/)
    assert.match(
      stdout,
      /FAIL {2}far {2}exact, 1 seed\n.*\n +measured {2}1\.00 \(one error in 1e9\)\n +known not to hold: words are too few/
    )
    assert.include(stdout, "stages executed: 4 together, 9 apart, ratio 0.444")
    assert.include(stdout, "4 computed now")
    assert.include(stdout, "✓ plain/checks over bonus: judge  computed")
    const again = await run([plain, twice, weak], "claims", "--all")
    assert.include(again.stdout, "0 computed now")
    assert.notMatch(again.stdout, /^[✓=>] (plain|twice|weak)\//m)
  })

  it("ends with 1 where something is not as stated, and says what, but loses nothing else", async () => {
    const { code, stderr, stdout } = await run([wrong, strong, refusing, plain], "claims", "--all", "--json")
    assert.strictEqual(code, 1)
    assert.include(stderr, "wrong does not hold: more\n")
    assert.include(stderr, "strong holds, though stated as a known gap: near\n")
    assert.include(stderr, "refusing could not be measured: any\n")
    const report = Shapes.only(Shapes.AllClaims, stdout)
    assert.deepStrictEqual(
      report.pipelines.map(({ checks, status, unreached }) => [status, checks[0]!.outcome, unreached]),
      [
        ["failed", "fail", 0],
        ["failed", "gap closed", 0],
        ["failed", "not measured", 1],
        ["passed", "pass", 0]
      ]
    )
    assert.include(report.pipelines[2]!.checks[0]!.problem!, "refuses it all")
    assert.deepStrictEqual([report.together.nodes, report.apart.nodes], [4, 11])
  })

  it("writes a catalogue that tells of edits by hand", async () => {
    const page = join(folder, "catalogue.md")
    const { code, stdout } = await run([plain, weak], "claims", "--all", "--catalogue", page)
    assert.strictEqual(code, 0)
    assert.include(stdout, `wrote ${page}`)
    const text = readFileSync(page, "utf8")
    assert.match(
      text,
      /\| \[plain\]\(#plain\) \| \[On Words\]\(https:\/\/arxiv\.org\/abs\/2601\.00001\) \| direct \| text, tabular \| 2 of 2 \|/
    )
    assert.include(
      text,
      "| gain | exact | the gain \\| is the bonus | 1.00 (one error in 1e9) | 1 | pass |\n| another | exact |"
    )
    assert.include(text, "*far*: words are too few")
    assert.isTrue(Catalogue.isUntouched(text))
    assert.isFalse(Catalogue.isUntouched(text.replace("known gap", "pass")))
    assert.isFalse(Catalogue.isUntouched(`${text}more\n`))
    assert.isFalse(Catalogue.isUntouched("# Catalogue\n"))
  })

  it.each([
    [["claims"], "give a pipeline, or --all"],
    [["claims", "plain", "--all"], "give a pipeline, or --all"],
    [["claims", "plain", "--catalogue", join(folder, "no.md")], "give --all"],
    [["claims", "--all", "--set", "bonus=1"], "not with --all"]
  ])("%s is bad usage", async (args, said) => {
    const { code, stderr, stdout } = await run([plain], ...args)
    assert.deepStrictEqual([code, stdout], [2, ""])
    assert.include(stderr, said)
    assert.isFalse(existsSync(join(folder, "no.md")))
  })
})

it("list tells family and testbed", async () => {
  const { stdout } = await run([plain, refusing], "list")
  assert.include(stdout, "plain (direct, text, tabular)  The method plain")
  assert.include(stdout, "refusing (cli)  Refuses")
})
