import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type * as Json from "../../../dsl/Json.ts"
import { sha256 } from "../../../runtime/store/ArtifactRef.ts"
import type { Code } from "../../../runtime/store/CodeHash.ts"
import * as Key from "../../../runtime/store/Key.ts"

const code = (digest: string, modules: Readonly<Record<string, string>> = {}, packages = {}): Code => ({
  digest: sha256(digest),
  modules: Object.fromEntries(Object.entries(modules).map(([path, text]) => [path, sha256(text)])),
  packages
})

const base: Key.Ingredients = {
  stage: "score",
  code: code("1", { "stages/score/score.ts": "a", "stages/score/afinn.ts": "b" }, { sentiment: "5.0.1" }),
  components: [{ id: "reward/afinn", code: code("2") }],
  params: { beta: 0.1 },
  inputs: { pairs: sha256("p") },
  seed: { seed: 0, stream: "score" },
  numerics: { backend: "wasm" },
  source: null
}

const keyOf = (change: Partial<Key.Ingredients> = {}) => Key.make({ ...base, ...change }).key

const Ingredients = Schema.Struct({
  stage: Schema.Literals(["a", "b"]),
  digest: Schema.Literals(["1", "2"]),
  params: Schema.Record(Schema.Literals(["x", "y", "xy"]), Schema.Json),
  inputs: Schema.Record(Schema.Literals(["x", "y"]), Schema.Literals(["1", "2"])),
  seed: Schema.NullOr(Schema.Struct({ seed: Schema.Int, stream: Schema.Literals(["", "a"]) })),
  numerics: Schema.NullOr(Schema.Json)
})
const made = ({ digest, ...rest }: typeof Ingredients.Type) =>
  Key.make({ ...base, ...rest, params: rest.params as Json.JsonObject, code: code(digest) })

/** Equality of JSON that does not go through its canonical text. */
const same = (a: unknown, b: unknown): boolean => {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return Object.is(a, b)
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>]
  const names = Object.keys(left)
  return (
    names.length === Object.keys(right).length &&
    names.every((name) => Object.hasOwn(right, name) && same(left[name], right[name]))
  )
}

const reversed = (json: unknown): unknown =>
  Array.isArray(json)
    ? json.map(reversed)
    : typeof json === "object" && json !== null
      ? Object.fromEntries(
          Object.entries(json)
            .reverse()
            .map(([name, value]) => [name, reversed(value)] as const)
        )
      : json

describe("a key", () => {
  it.prop("is equal exactly where its ingredients are", [Ingredients, Ingredients], ([a, b]) => {
    assert.strictEqual(made(a).key === made(b).key, same(a, b))
    assert.strictEqual(made(a).key, made(structuredClone(a)).key)
  })

  it.prop("does not depend on the order of members", [Ingredients], ([a]) => {
    assert.strictEqual(made(reversed(a) as typeof a).key, made(a).key)
  })

  it.prop("has parts that differ, and are explained, exactly where keys do", [Ingredients, Ingredients], ([a, b]) => {
    const [before, after] = [made(a), made(b)]
    // Parts as they come back from a store.
    const stored = JSON.parse(JSON.stringify(before.parts, (_, value) => (Object.is(value, -0) ? "-0" : value)))
    const fresh = JSON.parse(JSON.stringify(after.parts, (_, value) => (Object.is(value, -0) ? "-0" : value)))
    if (before.key === after.key) assert.deepStrictEqual(Key.explain(stored, fresh), [])
    else if (!same(before.parts, after.parts)) assert.isNotEmpty(Key.explain(before.parts, after.parts))
  })

  const distinct: ReadonlyArray<readonly [string, Json.Json, Json.Json]> = [
    ["the number and the text", 1, "1"],
    ["0 and -0", 0, -0],
    ["null and its name", null, "null"],
    ["an empty list and an empty object", [], {}],
    ["one list and two", [1, 2], [[1, 2]]],
    ["composed and decomposed characters", "\u00e9", "e\u0301"],
    ["a lone surrogate and its replacement", "\ud800", "\ufffd"],
    ["two lone surrogates", "\ud800", "\ud801"],
    ["a line end and its escape", "\n", "\\n"],
    ["neighbouring doubles", 0.1, 0.10000000000000002],
    ["a list and the object with its indices", ["a"], { 0: "a" }]
  ]
  for (const [what, a, b] of distinct) {
    it(`tells ${what} apart`, () => assert.notStrictEqual(keyOf({ params: { x: a } }), keyOf({ params: { x: b } })))
  }

  it("does not let one part pass for another", () => {
    const keys = [
      keyOf(),
      keyOf({ params: { x: "y" }, inputs: {} }),
      keyOf({ params: {}, inputs: { x: "y" } }),
      keyOf({ numerics: null }),
      keyOf({ numerics: null, source: { backend: "wasm" } }),
      keyOf({ seed: null }),
      keyOf({ seed: { seed: 0, stream: "other" } }),
      keyOf({ components: [] }),
      keyOf({ code: code("2"), components: [{ id: "reward/afinn", code: code("1") }] }),
      keyOf({ components: [{ id: "reward/vader", code: code("2") }] })
    ]
    assert.strictEqual(new Set(keys).size, keys.length)
  })

  it("does not depend on the order of components, nor on what is only kept for people", () => {
    const [x, y] = [
      { id: "reward/x", code: code("3") },
      { id: "reward/y", code: code("4") }
    ]
    assert.strictEqual(keyOf({ components: [x, y] }), keyOf({ components: [y, x] }))
    assert.strictEqual(keyOf({ code: code("1", { "moved.ts": "a" }) }), keyOf({ code: code("1") }))
  })

  it("is refused to a value without canonical form", () => {
    assert.throws(() => keyOf({ params: { x: Number.NaN } }), /params\.x: NaN/)
  })
})

describe("explain", () => {
  const explained = (change: Partial<Key.Ingredients>) =>
    Key.explain(Key.make(base).parts, Key.make({ ...base, ...change }).parts)
  const withCode = (modules: Readonly<Record<string, string>>, packages = {}) => ({
    code: code("new", modules, packages)
  })
  const modules = { "stages/score/score.ts": "a", "stages/score/afinn.ts": "b" }

  const cases: ReadonlyArray<readonly [Partial<Key.Ingredients>, ReadonlyArray<string>]> = [
    [{}, []],
    [{ params: { beta: 0.05 } }, ["params.beta: 0.1 -> 0.05"]],
    [{ params: { beta: "0.1" } }, ['params.beta: 0.1 -> "0.1"']],
    [{ params: { beta: 0.1, tau: 1 } }, ["params.tau: absent -> 1"]],
    [{ stage: "rank" }, ['stage: "score" -> "rank"']],
    [{ inputs: { pairs: sha256("q") } }, ["input pairs: other content"]],
    [{ inputs: { policy: sha256("p") } }, ["input pairs: is gone", "input policy: is new"]],
    [{ seed: { seed: 1, stream: "score" } }, ["seed: 0 -> 1"]],
    [{ seed: { seed: 0, stream: "score/1" } }, ['stream: "score" -> "score/1"']],
    [{ seed: null }, ["seed: draws no longer"]],
    [{ numerics: { backend: "cuda" } }, ['numerics.backend: "wasm" -> "cuda"']],
    [{ source: { file: "1" } }, ['source: null -> {"file":"1"}']],
    [
      withCode({ ...modules, "stages/score/afinn.ts": "c" }, { sentiment: "5.0.1" }),
      ["code: stages/score/afinn.ts changed"]
    ],
    [withCode({ ...modules, "dsl/new.ts": "c" }, { sentiment: "5.0.1" }), ["code: dsl/new.ts is now reached"]],
    [
      withCode({ "stages/score/score.ts": "a" }, { sentiment: "5.0.1" }),
      ["code: stages/score/afinn.ts is no longer reached"]
    ],
    [withCode(modules, { sentiment: "5.0.2" }), ["code: package sentiment 5.0.1 -> 5.0.2"]],
    [withCode(modules, {}), ["code: package sentiment 5.0.1 is no longer used"]],
    [
      withCode(modules, { sentiment: "5.0.1" }),
      ["code: modules are the same but reached in another order, or by other components"]
    ]
  ]
  for (const [change, lines] of cases) {
    it(`says ${JSON.stringify(lines.join("; "))}`, () => assert.deepStrictEqual(explained(change), lines))
  }

  it("says so where there is nothing to compare with", () => {
    assert.deepStrictEqual(Key.explain(undefined, Key.make(base).parts), ["never computed before"])
    assert.deepStrictEqual(Key.explain({ other: "format" }, Key.make(base).parts), [
      "keys are made in another way since"
    ])
  })
})
