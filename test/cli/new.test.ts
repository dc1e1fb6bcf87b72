import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import manifest from "#package.json" with { type: "json" }
import * as Project from "../../runtime/new/Project.ts"
import { prefline, temporaryFolder } from "./prefline.ts"

const cwd = temporaryFolder()
const make = (...args: ReadonlyArray<string>) => prefline(["new", ...args], { cwd })
const packageOf = (name: string) => JSON.parse(readFileSync(join(cwd, name, "package.json"), "utf8"))

describe("new", () => {
  it("writes a project that depends on this version, and says what comes next", async () => {
    const { code, stderr, stdout } = await make("fresh")
    assert.strictEqual(code, 0, stderr)
    assert.include(stdout, "cd fresh\n  npm install\n  npx prefline run experiment.ts")
    const files = [".gitignore", "README.md", "experiment.ts", "package.json", "reward.ts", "stage.ts", "tsconfig.json"]
    assert.deepStrictEqual(readdirSync(join(cwd, "fresh")).sort(), files)
    assert.deepStrictEqual(packageOf("fresh").dependencies, {
      effect: manifest.dependencies.effect,
      prefline: manifest.version
    })
    assert.include(readFileSync(join(cwd, "fresh/README.md"), "utf8"), "# fresh\n")
  })

  it("takes a packed file or a version, and answers in JSON", async () => {
    writeFileSync(join(cwd, "p.tgz"), "")
    const { stdout } = await make("packed", "--prefline", "p.tgz", "--json")
    assert.strictEqual(JSON.parse(stdout).prefline, "file:../p.tgz")
    assert.strictEqual(packageOf("packed").dependencies.prefline, "file:../p.tgz")
    await make("tagged", "--prefline", "next")
    assert.strictEqual(packageOf("tagged").dependencies.prefline, "next")
  })

  it("writes into an empty folder, and never over anything", async () => {
    mkdirSync(join(cwd, "empty"))
    assert.strictEqual((await make("empty")).code, 0)
    writeFileSync(join(cwd, "file"), "mine")
    const before = readFileSync(join(cwd, "empty/experiment.ts"), "utf8")
    for (const name of ["empty", "file"]) {
      const { code, stderr, stdout } = await make(name)
      assert.deepStrictEqual([code, stdout], [2, ""])
      assert.include(stderr, "is there already")
    }
    assert.strictEqual(readFileSync(join(cwd, "file"), "utf8"), "mine")
    assert.strictEqual(readFileSync(join(cwd, "empty/experiment.ts"), "utf8"), before)
  })

  it.each([
    ["Upper", "lower-case"],
    ["../out", "lower-case"],
    ["a/b", "lower-case"],
    [".hidden", "lower-case"],
    ["", "lower-case"],
    ["x".repeat(215), "214"],
    ["effect", "something it needs"],
    ["prefline", "something it needs"],
    ["node_modules", "something it needs"]
  ])("refuses %j as a name", async (name, said) => {
    const refused = await Effect.runPromise(Effect.flip(Project.make(name, { parent: cwd, prefline: undefined })))
    assert.strictEqual(refused._tag, "ProjectRefused")
    assert.include(refused.message, said)
    if (name !== "" && name.length < 200) assert.isFalse(existsSync(join(cwd, name)))
  })

  it("refuses a packed file that is not there", async () => {
    const { code, stderr, stdout } = await make("lost", "--prefline", "./nowhere.tgz")
    assert.strictEqual(code, 2)
    assert.strictEqual(stdout, "")
    assert.include(stderr, "nowhere.tgz")
    assert.isFalse(existsSync(join(cwd, "lost")))
  })

  it("shows examples", async () => {
    assert.include((await make("--help")).stdout, "npm run prefline -- new")
  })
})
