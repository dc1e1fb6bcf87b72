import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { inProcess } from "./inProcess.ts"
import { begin, end, fixture, prefline, START, temporaryFolder, written } from "./prefline.ts"

const folder = temporaryFolder()
const store = join(folder, "store")
const tiny = fixture("tiny.ts")
const file = (name: string) => join(folder, name)

const STACK = /\n\s+at .*[:(]/

beforeAll(async () => {
  mkdirSync(file("folder.ts"))
  writeFileSync(file("unparsable.ts"), "export default {")
  writeFileSync(file("throws.ts"), 'throw new Error("no luck today")')
  writeFileSync(file("unresolved.ts"), 'import "./elsewhere.ts"')
  writeFileSync(file("enum.ts"), "export enum Answer { Yes }")
  writeFileSync(file("answer.ts"), "export const answer = 42")
  writeFileSync(file("nothing.ts"), "export {}")
  writeFileSync(file("many.ts"), `export { default, failing } from ${JSON.stringify(tiny)}`)
  writeFileSync(file("layer.ts"), `export { default } from ${JSON.stringify(tiny)}\nexport const layer = 42`)
  const ran = await prefline(["run", tiny], { store })
  assert.strictEqual(ran.code, 0, ran.stderr)
})

const matches = (stderr: string, said: ReadonlyArray<string | RegExp>) => {
  for (const text of said) {
    if (typeof text === "string") assert.include(stderr, text)
    else assert.match(stderr, text)
  }
  assert.notMatch(stderr, STACK)
}

type Cases = ReadonlyArray<readonly [args: ReadonlyArray<string>, said: ReadonlyArray<string | RegExp>]>

describe("bad usage ends with 2, says what is known instead, and nothing on stdout", () => {
  const cases: Cases = [
    [["dance"], ["dance", "prefline --help"]],
    [["run"], ["pipeline", "prefline run --help"]],
    [
      ["run", "tiny", "--fast"],
      ["--fast", "prefline run --help"]
    ],
    [
      ["run", "huge"],
      ['"huge"', "known: tiny"]
    ],
    [["run", "tiny", "--seed", "x"], ["--seed"]],
    [
      ["run", "tiny", "--concurrency", "gpu=2"],
      ["--concurrency", "cpu=4,network=8"]
    ],
    [
      ["run", "tiny", "--workers", "0"],
      ["--workers", "auto or a number"]
    ],
    [
      ["claims", "tiny", "--workers", "many"],
      ["--workers", "auto or a number"]
    ],
    [
      ["run", "tiny", "--device", "tpu"],
      ['"tpu"', "auto, node-gpu, webgpu, node, wasm, cpu"]
    ],
    [["run", "tiny", "--store", ""], ["--store"]],
    [
      ["run", "tiny", "--set", "gamma=1"],
      ["gamma", /count\s+integer >= 1\s+default 5/, /suffix\s+string\s+default "!"/]
    ],
    [
      ["run", "tiny", "--set", "count=many"],
      [/at \["count"\]/, /count\s+integer >= 1/]
    ],
    [
      ["run", "tiny", "--set", "count=0"],
      [/at \["count"\]/, /count\s+integer >= 1/]
    ],
    [["run", "tiny", "--set", "count"], ["parameter=value"]],
    [["run", "tiny", "--set", "count=1", "--set", "count=2"], ["set twice"]],
    [["run", "tiny", "--seed", "1", "--set", "seed=2"], ["set twice"]],
    [["plan", "tiny", "--set", "gamma=1"], ["gamma"]],
    [["claims", "tiny", "--set", "gamma=1"], ["gamma"]],
    [["claims", "tiny", "--seeds", "1"], ["--seeds"]],
    [["replay", "../../etc"], ["no run id"]],
    [
      ["replay", "huge"],
      ["huge", "runs of tiny"]
    ],
    [["verify", "20260101-000000-abcdef"], ["there is no run 20260101-000000-abcdef"]],
    [["verify", "--sample", "0"], ["--sample"]],
    [["show", "../../etc/passwd"], ['".." is no run id']],
    [["show", "/etc"], ['"" is no run id']],
    [
      ["show", "tiny/nowhere"],
      ['"nowhere"', "words, decorate, judge, model"]
    ],
    [["show", "0123456789"], ["begins with 0123456789"]],
    [["runs", "--store", file("no-store")], ["there is no store"]],
    [["replay", "--store", file("no-store")], ["there is no store"]]
  ]
  it.each(cases)("%s", async (args, said) => {
    const { code, stderr, stdout } = await inProcess(args.includes("--store") ? args : [...args, "--store", store])
    assert.strictEqual(code, 2, stderr)
    assert.strictEqual(stdout, "")
    matches(stderr, said)
    assert.isFalse(existsSync(file("no-store")))
  })
})

describe.concurrent("a file that gives no pipeline", () => {
  const cases: Cases = [
    [["missing.ts"], ["no such file"]],
    [["folder.ts"], ["not a file"]],
    [["unparsable.ts"], ["does not parse"]],
    [["throws.ts"], ["throws while it is imported: no luck today"]],
    [["unresolved.ts"], ["elsewhere.ts"]],
    [["enum.ts"], ["Node cannot run", "enum"]],
    [["answer.ts"], ["no default export", "answer"]],
    [["answer.ts#answer"], ['"answer" is not a pipeline']],
    [["nothing.ts"], ["exports nothing"]],
    [["layer.ts"], ["`layer` must be a Layer"]],
    [["many.ts#huge"], ['"huge"', "#failing", "#default"]],
    [
      ["many.ts", "--set", "gamma=1"],
      ["gamma", "count"]
    ]
  ]
  it.each(cases)("%s", async ([name, ...rest], said) => {
    const { code, stderr, stdout } = await prefline(["run", name!, ...rest], { store, cwd: folder })
    assert.strictEqual(code, 2, stderr)
    assert.strictEqual(stdout, "")
    matches(stderr, [name!.replace(/#.*/, ""), ...said].slice(rest.length > 0 ? 1 : 0))
  })
})

describe("help", () => {
  it.each([[], ["list"], ["plan"], ["run"], ["replay"], ["verify"], ["claims"], ["runs"], ["show"], ["doctor"]])(
    "%s shows an example, without escape codes where there is no terminal",
    async (...command) => {
      const { code, stdout } = await inProcess([...command, "--help"])
      assert.strictEqual(code, 0)
      const [, examples] = stdout.split("EXAMPLES")
      assert.match(examples!, new RegExp(`npm run prefline -- ${command[0] ?? "list"}`))
      assert.notInclude(stdout, "\u001b")
    }
  )

  it("is what the bare command answers", async () => {
    const { code, stdout } = await inProcess([])
    assert.strictEqual(code, 0)
    assert.include(stdout, "SUBCOMMANDS")
  })
})

describe.concurrent("an error shows where it happened", () => {
  it.each<[string, ReadonlyArray<string>, Record<string, string>]>([
    ["--verbose", ["--verbose"], {}],
    ["PREFLINE_DEBUG=1", [], { PREFLINE_DEBUG: "1" }]
  ])("only with %s", async (_, args, env) => {
    const { code, stderr } = await prefline(["run", file("throws.ts"), ...args], { env })
    assert.strictEqual(code, 2)
    assert.match(stderr, STACK)
  })
})

describe.concurrent("start.mjs", () => {
  const under = (version: string) => {
    const fake = `Object.defineProperty(process, "version", { value: ${JSON.stringify(version)} })`
    return { node: ["--import", `data:text/javascript,${encodeURIComponent(fake)}`], entry: START }
  }
  it.each(["v12.22.12", "v20.19.0", "v23.11.1"])(
    "under Node %s goes on under the Node of its install",
    async (version) => {
      const { code, stderr, stdout } = await prefline(["doctor", "--json", "--device", "cpu"], under(version))
      assert.strictEqual(code, 0, stderr)
      assert.isTrue(JSON.parse(stdout).node.own)
    }
  )

  it("passes on how that one ended, and what it was told", async () => {
    assert.strictEqual((await prefline(["dance"], under("v20.19.0"))).code, 2)
    const child = begin(["run", `${fixture("tiny.ts")}#slow`], { ...under("v20.19.0"), store: file("interrupted") })
    const ended = end(child)
    await written(child, "run ")
    child.kill("SIGINT")
    assert.strictEqual((await ended).code, 130)
  })

  it.each(["v12.22.12", "v23.11.1"])("under Node %s says what to do where there is no other", async (version) => {
    const entry = join(folder, "start.mjs")
    copyFileSync(START, entry)
    const { code, stderr, stdout } = await prefline(["list"], { ...under(version), entry })
    assert.strictEqual(code, 2)
    assert.strictEqual(stdout, "")
    for (const text of [version, "Node 24", "npm run prefline -- ", "--ignore-scripts", "npm rebuild node"])
      assert.include(stderr, text)
    assert.notMatch(stderr, STACK)
  })

  it.each(["v24.0.0", "v100.1.0"])("under Node %s starts", async (version) => {
    const { code, stdout } = await prefline(["--version"], under(version))
    assert.strictEqual(code, 0)
    assert.match(stdout, /^prefline v\d+\.\d+\.\d+\n$/)
  })
})
