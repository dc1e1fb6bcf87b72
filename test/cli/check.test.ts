import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { inProcess } from "./inProcess.ts"
import { fixture, prefline, temporaryFolder } from "./prefline.ts"

const LAWFUL = fixture("lawful.ts")

describe("check", () => {
  it("tells of every stage and component asked for how many laws held on how many inputs", async () => {
    const { code, stdout } = await inProcess(["check", "rank", "filter", "reward/length", "--runs", "3"])
    assert.strictEqual(code, 0, stdout)
    assert.match(stdout, /^✓ filter {2}\d+ laws, \d+ inputs/m)
    assert.match(stdout, /^✓ filter\/distinct /m)
    assert.match(stdout, /^✓ rank /m)
    assert.match(stdout, /^✓ reward\/length /m)
    assert.match(stdout, /2 stages, 7 components: \d+ laws on \d+ inputs, 0 broken/)
  })

  it("derives the inputs of a user's own stages, shrinks what breaks a law and says how to see it again", async () => {
    const { code, stderr, stdout } = await inProcess(["check", LAWFUL])
    assert.strictEqual(code, 1)
    assert.include(stderr, "1 law broken")
    assert.match(stdout, /^✗ shout /m)
    assert.include(stdout, "broken  keeps every character")
    assert.match(stdout, /"by":\{"name":"repeated","params":\{"of":".","times":1\}\}/)
    assert.match(stdout, /"input": \[\{"id":"p0","text":"[^"]{9,}"\}\],/)
    assert.match(stdout, /^✓ measure {2}6 laws/m) // three free ones, and those of lawful.laws.ts
    assert.match(stdout, /^✓ mark\/repeated /m)
    assert.match(stdout, /✓ refuse .*it refused every call of its own laws/)
    const again = /again {3}npm run prefline -- (.*)$/m.exec(stdout)![1]!
    const args = [...again.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!)
    const second = await inProcess(args)
    assert.strictEqual(second.code, 1)
    assert.include(second.stdout, "1 stage, 0 components: 1 law")
    const [input, repeated] = [stdout, second.stdout].map((text) => /input {3}(.*?)\n {2}again/s.exec(text)![1])
    assert.strictEqual(repeated, input)
  })

  it("tries the same inputs for the same seed, and others for another", async () => {
    const at = async (seed: string) => {
      const { stdout } = await inProcess(["check", LAWFUL, "--json", "--seed", seed, "--law", "keeps every"])
      const [result] = JSON.parse(stdout).results
      return result.verdicts[0]
    }
    const first = await at("3")
    assert.deepStrictEqual(await at("3"), first)
    assert.isFalse(first.holds)
    assert.notStrictEqual((await at("4")).case, first.case)
  })

  it("says what it does not know", async () => {
    const unknown = await inProcess(["check", "objective/dp"])
    assert.strictEqual(unknown.code, 2)
    assert.include(unknown.stderr, '"objective/dp" is no stage, component (kind/name) or kind; near it: objective')
    const law = await inProcess(["check", "rank", "--law", "no such law"])
    assert.strictEqual(law.code, 2)
    assert.include(law.stderr, 'has "no such law" in its name')
    const missing = await inProcess(["check", "./missing.ts"])
    assert.strictEqual(missing.code, 2)
    assert.include(missing.stderr, "./missing.ts: there is no such file")
    const alone = await inProcess(["check", "rank", "--case", "[0]"])
    assert.strictEqual(alone.code, 2)
    assert.include(alone.stderr, "--case tries one input of one law")
  })

  it("names a stage whose inputs no schema describes, and does not call it checked", async () => {
    const file = join(temporaryFolder(), "folders.ts")
    const dsl = new URL("../../dsl/", import.meta.url).href
    writeFileSync(
      file,
      `import { Effect } from "${new URL("../../node_modules/effect/dist/index.js", import.meta.url).href}"
import * as Artifact from "${dsl}Artifact.ts"
import * as Stage from "${dsl}Stage.ts"
const Folder = Artifact.folder("drawings", { encode: () => Effect.succeed([]), decode: () => Effect.succeed(1), compare: () => Effect.succeed(null) })
export const look = Stage.make({ name: "look", description: "", module: import.meta.url, params: {}, input: Folder, output: Folder, run: () => Effect.succeed(1) })
`
    )
    const { code, stderr, stdout } = await prefline(["check", file])
    assert.strictEqual(code, 1)
    assert.include(stdout, "? look  look, input: drawings is a folder, which no schema describes")
    assert.include(stderr, "1 could not be checked")
  })
})
