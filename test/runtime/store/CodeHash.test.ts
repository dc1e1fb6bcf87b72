import * as Fs from "node:fs"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { CodeHash, CodeUnreadable } from "../../../runtime/store/CodeHash.ts"
import { folder } from "./scratch.ts"

type Tree = Readonly<Record<string, string>>

const manifest = (name: string, version: string, more = {}) => JSON.stringify({ name, version, ...more })

/** A stage with a helper three imports down, packages with a dependency of their own, and files it does not use. */
const project: Tree = {
  "package.json": manifest("study", "1.0.0"),
  "stages/score.ts": `
    import { readFileSync } from "node:fs"
    import Sentiment from "sentiment/lib/index.js"
    import type { Shape } from "./shape.ts"
    import { one } from "./one.ts"
    import table from "./table.json" with { type: "json" }
    export const score = async (shape: Shape): Promise<number> =>
      one(shape) + (await import("./lazy.ts")).lazy + table.length + Number(readFileSync !== Sentiment)`,
  "stages/shape.ts": "export interface Shape { readonly x: number }",
  "stages/one.ts": 'import { two } from "./deep/two.ts"\nexport const one = (s: { x: number }) => two(s.x)',
  "stages/deep/two.ts": 'import { three } from "../three.ts"\nexport const two = (x: number) => three(x) * 2',
  "stages/three.ts":
    'import { one } from "./one.ts"\nexport const three = (x: number): number => (x > 9 ? one({ x: 1 }) : x + 1)',
  "stages/lazy.ts": "export const lazy = 1",
  "stages/table.json": '{ "length": 3 }',
  "stages/unrelated.ts": "export const unrelated = 1",
  "node_modules/sentiment/package.json": manifest("sentiment", "5.0.1", { dependencies: { words: "^1.0.0" } }),
  "node_modules/sentiment/node_modules/words/package.json": manifest("words", "1.2.0"),
  "node_modules/words/package.json": manifest("words", "9.9.9"),
  "node_modules/unused/package.json": manifest("unused", "1.0.0")
}

const lay = (root: string, tree: Tree) => {
  for (const [path, text] of Object.entries(tree)) {
    Fs.mkdirSync(Path.dirname(`${root}/${path}`), { recursive: true })
    Fs.writeFileSync(`${root}/${path}`, text)
  }
}

const url = (root: string, path: string) => pathToFileURL(`${root}/${path}`).href

/** The code of a module of the project, with some files changed, in a new folder and a new process's state. */
const codeOf = (change: Tree = {}, module = "stages/score.ts") =>
  Effect.scoped(
    Effect.gen(function* () {
      const root = yield* folder
      lay(root, { ...project, ...change })
      return yield* CodeHash.use((codes) => codes.of(url(root, module))).pipe(Effect.provide(CodeHash.layer))
    })
  )

const edited = (path: string, edit: (text: string) => string): Tree => ({ [path]: edit(project[path]!) })

const unchanged: Readonly<Record<string, Tree>> = {
  "a move to another folder": {},
  "a comment in the stage": edited(
    "stages/score.ts",
    (text) => `// a comment\n${text}\n/* another */ /*! a licence */`
  ),
  "white space three imports down": edited("stages/three.ts", (text) =>
    text.replaceAll("=> ", "=>\n\n\t").replace("x + 1", "x+1")
  ),
  "a type in the stage": edited("stages/score.ts", (text) => text.replace("Promise<number>", "Promise<any>")),
  "what is only a type": { "stages/shape.ts": "export interface Shape { readonly x: number; readonly y: string }" },
  "white space in JSON": { "stages/table.json": '{\n"length":3}' },
  "an unrelated module": { "stages/unrelated.ts": "export const unrelated = 2" },
  "an unused package": { "node_modules/unused/package.json": manifest("unused", "2.0.0") },
  "a package of the same name that is not the one in use": {
    "node_modules/words/package.json": manifest("words", "10.0.0")
  },
  "the settings of the project": { "tsconfig.json": '{ "compilerOptions": { "target": "es5", "jsx": "react" } }' }
}

const changed: Readonly<Record<string, Tree>> = {
  "the stage": edited("stages/score.ts", (text) => text.replace("one(shape) +", "one(shape) -")),
  "a helper three imports down": edited("stages/three.ts", (text) => text.replace("x + 1", "x + 2")),
  "a name in a helper": edited("stages/three.ts", (text) => text.replaceAll(/\bx\b(?!: 1)/g, "y")),
  "a module that is imported dynamically": { "stages/lazy.ts": "export const lazy = 2" },
  "JSON that is imported": { "stages/table.json": '{ "length": 4 }' },
  "a new import": edited("stages/one.ts", (text) => `import "./unrelated.ts"\n${text}`),
  "white space inside a text": edited("stages/lazy.ts", () => 'export const lazy = " 1"'),
  "the version of a package": {
    "node_modules/sentiment/package.json": manifest("sentiment", "5.0.2", { dependencies: { words: "^1.0.0" } })
  },
  "the version of a package's dependency": {
    "node_modules/sentiment/node_modules/words/package.json": manifest("words", "1.2.1")
  },
  "which of two modules does what": {
    "stages/one.ts":
      'import { two } from "./deep/two.ts"\nimport "./unrelated.ts"\nimport "./lazy.ts"\nexport const one = two',
    "stages/unrelated.ts": project["stages/lazy.ts"]!,
    "stages/lazy.ts": project["stages/unrelated.ts"]!
  }
}

describe("the hash of code", () => {
  it.live("names what it covers", () =>
    Effect.gen(function* () {
      const code = yield* codeOf()
      assert.deepStrictEqual(Object.keys(code.modules).sort(), [
        "stages/deep/two.ts",
        "stages/lazy.ts",
        "stages/one.ts",
        "stages/score.ts",
        "stages/table.json",
        "stages/three.ts"
      ])
      assert.deepStrictEqual(code.packages, { sentiment: "5.0.1", words: "1.2.0" })
    })
  )

  for (const [what, change] of Object.entries(unchanged)) {
    it.live(`does not change with ${what}`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* codeOf(change)).digest, (yield* codeOf()).digest)
      })
    )
  }

  for (const [what, change] of Object.entries(changed)) {
    it.live(`changes with ${what}`, () =>
      Effect.gen(function* () {
        assert.notStrictEqual((yield* codeOf(change)).digest, (yield* codeOf()).digest)
      })
    )
  }

  it.live("tells modules of equal content apart by who imports which", () =>
    Effect.gen(function* () {
      // Both worlds have the same modules, met in the same order; they differ in which `c.ts` the module d imports.
      const world = (where: string): Tree => ({
        "stages/score.ts": 'import "./x/a.ts"\nimport "./y/b.ts"\nimport "#d"',
        "package.json": manifest("study", "1.0.0", { imports: { "#d": `./stages/${where}/d.ts` } }),
        "stages/x/a.ts": 'import "./c.ts"; export const a = 1',
        "stages/y/b.ts": 'import "./c.ts"; export const b = 1',
        "stages/x/c.ts": "export const c = {}",
        "stages/y/c.ts": "export const c = {}",
        [`stages/${where}/d.ts`]: 'import "./c.ts"; export const d = 1'
      })
      assert.notStrictEqual((yield* codeOf(world("x"))).digest, (yield* codeOf(world("y"))).digest)
    })
  )

  it.live("counts the content of a package that is linked to a working copy", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        lay(root, project)
        const copy = yield* folder
        lay(copy, { "package.json": manifest("words", "1.0.0"), "index.js": "export default 1" })
        const link = `${root}/node_modules/sentiment/node_modules/words`
        Fs.rmSync(link, { recursive: true })
        Fs.symlinkSync(copy, link)
        const digest = CodeHash.use((codes) => codes.of(url(root, "stages/score.ts"))).pipe(
          Effect.provide(CodeHash.layer),
          Effect.map((code) => code.digest)
        )
        const before = yield* digest
        assert.strictEqual(yield* digest, before)
        Fs.writeFileSync(`${copy}/index.js`, "export default 2")
        assert.notStrictEqual(yield* digest, before)
      })
    )
  )

  it.live("is the same asked alone, among others, twice, or at once", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* folder
        lay(root, project)
        const urls = ["score", "one", "three", "lazy"].map((name) => url(root, `stages/${name}.ts`))
        const alone = yield* Effect.forEach(urls, (module) =>
          CodeHash.use((codes) => codes.of(module)).pipe(Effect.provide(CodeHash.layer))
        )
        const together = yield* CodeHash.use((codes) =>
          Effect.andThen(codes.prefetch(urls), Effect.forEach(urls, codes.of))
        ).pipe(Effect.provide(CodeHash.layer))
        const atOnce = yield* CodeHash.use((codes) =>
          Effect.forEach([...urls, ...urls], codes.of, { concurrency: "unbounded" })
        ).pipe(Effect.provide(CodeHash.layer))
        assert.deepStrictEqual(together, alone)
        assert.deepStrictEqual(atOnce, [...alone, ...alone])
        assert.strictEqual(new Set(alone.map(({ digest }) => digest)).size, urls.length)
      })
    )
  )

  it.live("follows an import by URL", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const elsewhere = yield* folder
        lay(elsewhere, { "helper.ts": "export const helper = 1" })
        const importing = { "stages/lazy.ts": `import "${url(elsewhere, "helper.ts")}"` }
        const before = yield* codeOf(importing)
        assert.notProperty(before.packages, "file:")
        lay(elsewhere, { "helper.ts": "export const helper = 2" })
        assert.notStrictEqual((yield* codeOf(importing)).digest, before.digest)
      })
    )
  )

  it.live("says what is absent on this machine without failing", () =>
    Effect.gen(function* () {
      const code = yield* codeOf({ "stages/lazy.ts": 'export const lazy = await import("gpu").catch(() => 1)' })
      assert.strictEqual(code.packages["gpu"], "not installed")
    })
  )

  it.live("is refused with a reason", () =>
    Effect.gen(function* () {
      const refused = (effect: Effect.Effect<unknown, CodeUnreadable>, problem: string) =>
        Effect.map(Effect.flip(effect), (error) => {
          assert.instanceOf(error, CodeUnreadable)
          assert.include(error.message, problem)
        })
      const ask = (module: string) => CodeHash.use((codes) => codes.of(module)).pipe(Effect.provide(CodeHash.layer))
      yield* refused(ask("stages/score.ts"), "no file: URL")
      yield* refused(ask("https://example.org/score.ts"), "no file: URL")
      yield* refused(ask("file:///nowhere/score.ts"), "no such file")
      yield* refused(
        codeOf({ "stages/three.ts": "export const three = (" }),
        "stages/three.ts, line 1: Unexpected end of file"
      )
      yield* refused(codeOf({ "stages/three.ts": 'import "./absent.ts"' }), 'Could not resolve "./absent.ts"')
      yield* refused(
        codeOf({
          "package.json": manifest("study", "1.0.0", { exports: { "./*": "./stages/*" } }),
          "stages/one.ts": 'import "study/lazy.ts"'
        }),
        "imports its own package by the name study"
      )
    })
  )
})
