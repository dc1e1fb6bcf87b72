/** Code in documents and in documentation is code: it type-checks, and what makes a pipeline runs. */
import { execFile } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import manifest from "#package.json" with { type: "json" }
import { everything, examplesIn, index } from "../../runtime/package/api.ts"
import { inProcess } from "../cli/inProcess.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const store = mkdtempSync(join(tmpdir(), "prefline-examples-"))
const config = join(root, `tsconfig-examples-${process.pid}.json`)

/** Modules in a document: blocks of `ts` that import something. Those marked `ts run` run as well. */
const blocksOf = (document: string) =>
  [...readFileSync(join(root, document), "utf8").matchAll(/^```ts( run)?\n([\s\S]*?)^```/gm)]
    .map(([, run, code]) => ({ runs: run !== undefined, code: code! }))
    .filter(({ code }) => /^import /m.test(code))
const documents = [
  "README.md",
  ...readdirSync(join(root, "docs")).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : []))
]

const sources = [
  ...everything().flatMap(({ documentation, file, name }) =>
    examplesIn(documentation).map((code) => ({ title: `${name} (${file})`, code, runs: true }))
  ),
  ...documents.flatMap((document) =>
    blocksOf(document).map((block, i) => ({ title: `${document}, module ${i + 1}`, ...block }))
  )
]

/** The source behind a name under which an installed package is imported. */
const sourceOf = (name: string): string => {
  const exact = (manifest.exports as Readonly<Record<string, string | null>>)[`./${name}`]
  return `./${exact ? exact.replace(/^\.\/dist\/(.*)\.js$/, "$1.ts") : `${name}.ts`}`
}
const inClone = (code: string) => code.replaceAll(/from "prefline\/([^"]+)"/g, (_, name) => `from "${sourceOf(name)}"`)
/** The same with models that are trained for a few steps, on few prompts. */
const shortened = (code: string) =>
  code
    .replaceAll(/steps: 30(\d)/g, (_, digit) => `steps: ${3 + Number(digit)}`)
    .replaceAll("steps: 60", "steps: 2")
    .replaceAll("limit: 100", "limit: 8")

const examples = [...new Map(sources.map((example) => [example.code, example])).values()].map((example, i) => ({
  ...example,
  file: join(root, `experiment-${process.pid}-${i}.ts`),
  code: inClone(example.code)
}))

beforeAll(() => {
  for (const { code, file } of examples) writeFileSync(file, `${shortened(code)}\nexport {}\n`)
  const include = [...examples.map(({ file }) => file), "stages"]
  writeFileSync(config, JSON.stringify({ extends: "./tsconfig.json", include }))
})
afterAll(() => {
  for (const path of [store, config, ...examples.map(({ file }) => file)])
    rmSync(path, { recursive: true, force: true })
})

describe("examples", () => {
  it("are there for the main exports", () => {
    const shown = everything().flatMap(({ documentation, file, name }) =>
      examplesIn(documentation).length > 0 ? [`${file} ${name}`] : []
    )
    for (const name of [
      "dsl/Pipeline.ts make",
      "dsl/Pipeline.ts iterate",
      "dsl/Pipeline.ts sweep",
      "dsl/Stage.ts make",
      "dsl/Component.ts kind",
      "dsl/Law.ts make",
      "dsl/Artifact.ts records",
      "stages/score/Reward.ts Reward",
      "stages/load/sentences.ts sentences",
      "stages/sample/sample.ts sample",
      "stages/score/score.ts score",
      "stages/filter/filter.ts filter",
      "stages/pair/pair.ts pair",
      "stages/optimize/optimize.ts optimize",
      "stages/evaluate/evaluate.ts evaluate"
    ])
      assert.include(shown, name)
  })

  it("type-check", async () => {
    const tsc = join(root, "node_modules/typescript/bin/tsc")
    const checked = await promisify(execFile)(process.execPath, [tsc, "--noEmit", "-p", config], { cwd: root }).catch(
      (cause: { readonly stdout: string }) => cause
    )
    const name = (line: string) =>
      examples.reduce((text, { file, title }) => text.replace(file.slice(root.length), title), line)
    assert.deepStrictEqual(
      checked.stdout
        .split("\n")
        .filter((line) => line.startsWith("experiment-"))
        .map(name),
      []
    )
  })

  it.each(examples.filter(({ runs }) => runs))("$title runs", async ({ code, file }) => {
    if (!code.includes("export default")) return void (await import(/* @vite-ignore */ pathToFileURL(file).href))
    const {
      code: status,
      stderr,
      stdout
    } = await inProcess(["run", file, "--json", "--store", store, "--device", "wasm"])
    assert.strictEqual(status, 0, stderr)
    assert.strictEqual(JSON.parse(stdout.trim().split("\n").at(-1)!).status, "succeeded")
  })
})

describe("docs/api.md", () => {
  it("is what the sources export; `npm run api` writes it", () => {
    assert.strictEqual(readFileSync(join(root, "docs/api.md"), "utf8"), index())
  })
})
