import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import manifest from "#package.json" with { type: "json" }
import {
  commandsOf,
  type Ended,
  follow,
  forget,
  INSTALL,
  isRegistryThere,
  type Packed,
  pack,
  ROOT,
  sh
} from "./project.ts"

const parent = Fs.mkdtempSync(Path.join(tmpdir(), "prefline-package-"))
const SETTINGS = "--set pretraining=3 --set steps=2 --set prompts=24"
const MINUTES = 60_000

let packed: Packed
let folder: string
let first: Ended
const document = (name: string) => commandsOf(Fs.readFileSync(Path.join(ROOT, name), "utf8"))
const commands = document("docs/getting-started.md")

const isInstallable = INSTALL === "linked" || isRegistryThere()
if (!isInstallable) console.warn("SKIPPED: an install by npm, whose registry is not reachable")

const prefline = (args: string, env?: Readonly<Record<string, string>>) => sh(`npx prefline ${args}`, folder, env)
const run = async (options = "") => {
  const { code, stderr, stdout } = await prefline(`run experiment.ts ${SETTINGS} --json ${options}`)
  assert.strictEqual(code, 0, stderr)
  const result = JSON.parse(stdout.trim().split("\n").at(-1)!)
  const names = (status: string) =>
    (result.nodes as ReadonlyArray<{ id: string; status: string }>)
      .filter((node) => node.status === status)
      .map(({ id }) => id)
      .sort()
  return { outputs: result.outputs, computed: names("computed"), cached: names("cached") }
}
/** Edits a file of the project for as long as a test looks. */
const edited = async <A>(file: string, edit: (text: string) => string, look: () => Promise<A>): Promise<A> => {
  const path = Path.join(folder, file)
  const before = Fs.readFileSync(path, "utf8")
  const after = edit(before)
  assert.notStrictEqual(after, before)
  Fs.writeFileSync(path, after)
  try {
    return await look()
  } finally {
    Fs.writeFileSync(path, before)
  }
}

beforeAll(async () => {
  packed = pack(parent)
  if (!isInstallable) return
  const followed = await follow(commands, { packed, parent, settings: SETTINGS })
  folder = followed.folder
  first = followed.last
}, 10 * MINUTES)
afterAll(() => {
  if (INSTALL === "npm" && packed !== undefined) forget(packed)
  Fs.rmSync(parent, { recursive: true, force: true })
})

describe("the packed file", () => {
  it("has compiled modules, declarations, kernels, templates and licence, and nothing else", () => {
    const paths = packed.files.map(({ path }) => path)
    for (const path of [
      "LICENSE",
      "README.md",
      "dist/runtime/cli/start.mjs",
      "dist/runtime/device/wasm/prefline-simd.wasm"
    ])
      assert.include(paths, path)
    const others = paths.filter(
      (path) => !/^dist\/(dsl|stages|pipelines|runtime)\/.*\.(js|d\.ts|mjs|cjs|wasm)$/.test(path)
    )
    const templates = Fs.readdirSync(Path.join(ROOT, "runtime/new/template")).map(
      (name) => `dist/runtime/new/template/${name}`
    )
    assert.sameMembers(others, ["CHANGELOG.md", "LICENSE", "README.md", "package.json", ...templates])
  })

  it("is under 1.5 MB", () => assert.isBelow(packed.bytes, 1.5e6))

  it("has what its exports name", () => {
    for (const [name, target] of Object.entries(manifest.exports)) {
      if (target === null) continue
      const path = Path.join(packed.folder, target.includes("*") ? Path.dirname(target) : target)
      assert.isTrue(Fs.existsSync(path), `${name}: ${target}`)
    }
    for (const { path } of packed.files.filter(({ path }) => path.endsWith("/index.js") && !/\/(runtime)\//.test(path)))
      assert.include(Object.values(manifest.exports), `./${path}`)
  })
})

describe("the README", () => {
  it("shows the commands that are run here", () => assert.deepStrictEqual(document("README.md"), commands))
})

describe.skipIf(!isInstallable)(
  `a user's project (${INSTALL === "npm" ? "installed by npm" : "with linked packages"})`,
  () => {
    it("comes from nothing to the user's own reward in five commands or fewer", () => {
      assert.isTrue(commands.length > 1 && commands.length <= 5, commands.join("\n"))
      assert.match(first.stdout, /reward\s+0\.\d+/)
      assert.match(first.stdout, /\d+ computed, 0 cached/)
    })

    it(
      "type-checks under its own settings, and mistakes do not",
      async () => {
        const right = Fs.readFileSync(Path.join(folder, "experiment.ts"), "utf8")
        const mistaken = Path.join(folder, "mistaken.ts")
        Fs.writeFileSync(mistaken, right.replace("bound: 0.6", 'bound: "0.6"').replace("perPrompt: 8", "perprompt: 8"))
        const { stdout } = await sh("npx tsc --pretty false", folder)
        Fs.rmSync(mistaken)
        const files = stdout.split("\n").flatMap((line) => /^(\S.*)\(\d+,\d+\): error/.exec(line)?.[1] ?? [])
        assert.deepStrictEqual(files, ["mistaken.ts", "mistaken.ts"], stdout)
        assert.match(stdout, /number.*never/) // an unknown parameter
        assert.match(stdout, /string.*number/) // a text for a number
      },
      MINUTES
    )

    it(
      "computes nothing the second time, nor after an edit to a comment",
      async () => {
        const again = await edited("reward.ts", (text) => `${text}// a comment\n`, run)
        assert.deepStrictEqual(again.computed, [])
      },
      MINUTES
    )

    it(
      "recomputes what depends on an edited reward, and only that",
      async () => {
        const { computed } = await edited("reward.ts", (text) => text.replace("[^aeiou]", "[^aeiouy]"), run)
        const follows = ["clipScores", "evaluate", "optimize.preference", "pair", "score", "score.log-probs"]
        assert.deepStrictEqual(computed, follows)
      },
      MINUTES
    )

    it(
      "stops at an edited stage whose result is the same",
      async () => {
        const rewritten = "Math.min(bound, Math.max(-bound, score))"
        const { computed } = await edited(
          "stage.ts",
          (text) => text.replace("Math.max(-bound, Math.min(bound, score))", rewritten),
          run
        )
        assert.deepStrictEqual(computed, ["clipScores"])
      },
      MINUTES
    )

    it(
      "computes in worker processes",
      async () => {
        const { computed } = await edited(
          "experiment.ts",
          (text) => text.replace("beta: 0.1", "beta: 0.2"),
          () => run("--workers 2")
        )
        assert.deepStrictEqual(computed, ["evaluate", "optimize.preference"])
      },
      3 * MINUTES
    )

    it(
      "holds its reward and its stage to their laws",
      async () => {
        const held = await prefline("check experiment.ts --runs 20")
        assert.strictEqual(held.code, 0, held.stdout + held.stderr)
        for (const name of ["vowels", "clipScores"]) assert.include(held.stdout, name)
        const broken = await edited(
          "stage.ts",
          (text) => text.replace("Math.max(-bound, Math.min(bound, score))", "Math.min(bound, score)"),
          () => prefline("check experiment.ts --runs 20")
        )
        assert.strictEqual(broken.code, 1, broken.stdout + broken.stderr)
        assert.include(broken.stdout, "leaves no score outside the bounds")
      },
      2 * MINUTES
    )

    it(
      "finds the catalogue, and speaks of the installed command",
      async () => {
        const plan = await prefline("plan dpo")
        assert.strictEqual(plan.code, 0, plan.stderr)
        assert.match(plan.stdout, /optimize\.preference/)
        const { stdout } = await prefline("run --help")
        assert.include(stdout, "npx prefline run dpo")
        assert.notInclude(stdout, "npm run")
      },
      MINUTES
    )

    it(
      "runs under an old Node by the one that it brings",
      async () => {
        const fake = 'Object.defineProperty(process, "version", { value: "v20.19.0" })'
        const old = `node --import "data:text/javascript,${encodeURIComponent(fake).replaceAll("'", "%27")}"`
        const { code, stderr, stdout } = await sh(
          `${old} node_modules/.bin/prefline doctor --json --device wasm`,
          folder
        )
        assert.strictEqual(code, 0, stderr)
        assert.isTrue(JSON.parse(stdout).node.own, stdout)
      },
      MINUTES
    )
  }
)
