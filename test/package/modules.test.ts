import { assert, describe, it } from "@effect/vitest"
import { inCode, inDeclarations, missing } from "../../runtime/package/modules.ts"

const there =
  (...paths: ReadonlyArray<string>) =>
  (path: string) =>
    paths.includes(path)

describe("compiled modules", () => {
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: templates in the code that is tested
  const code = (text: string) => inCode("/dist/a/b.js", text, there("/dist/a/main.js", "/dist/c.js"))

  it("name modules by their compiled files, in strings too", () => {
    assert.strictEqual(code('new URL("./main.ts", import.meta.url)'), 'new URL("./main.js", import.meta.url)')
    assert.strictEqual(code("at('../c.ts')"), "at('../c.js')")
    assert.strictEqual(code("new URL(`./${kind}/open.ts`, here)"), "new URL(`./${kind}/open.js`, here)")
  })

  it("keep texts that only look so", () => {
    for (const text of ['"./experiment.ts"', '"see main.ts"', '{ ".ts": "ts" }', "`write ./${name}.ts`"])
      assert.strictEqual(code(text), text)
  })

  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above
  it("speak of the installed command", () => {
    assert.strictEqual(code('"npm run prefline -- run dpo"'), '"npx prefline run dpo"')
    assert.strictEqual(code('"npm start"'), '"npx prefline run dpo"')
  })
})

describe("declarations", () => {
  it("import by .js, in all three ways", () => {
    const text = 'import type * as A from "./A.ts"\nexport * from "../B.ts"\nexport type C = import("./C.ts").C'
    assert.strictEqual(inDeclarations(text), text.replaceAll(".ts", ".js"))
  })

  it("keep packages", () => assert.strictEqual(inDeclarations('from "a/b.ts"'), 'from "a/b.ts"'))
})

describe("what is missing", () => {
  it("is found in imports, exports and URLs, and not in comments", () => {
    const text = `import "./gone.js"
export { x } from "./here.js"
const y = await import("./late.js")
const z = new URL("kernel.wasm", import.meta.url), w = new URL("./kernel.wasm", import.meta.url)
/** from "./said.js" */`
    const found = missing("/d/a.js", text, there("/d/here.js"))
    assert.deepStrictEqual(found, ["./gone.js", "./late.js", "./kernel.wasm"])
  })

  it("is, for a declaration, another declaration", () => {
    assert.deepStrictEqual(missing("/d/a.d.ts", 'import "./b.js"', there("/d/b.js")), ["./b.js"])
    assert.deepStrictEqual(missing("/d/a.d.ts", 'import "./b.js"', there("/d/b.d.ts")), [])
  })
})
