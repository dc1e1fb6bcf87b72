import { existsSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { bugs } from "./bugs.ts"

const at = (path: string) => new URL(`../../${path}`, import.meta.url)
const occurrences = (text: string, of: string) => text.split(of).length - 1

describe("the seeded bugs", () => {
  it("are 40 or more, each with a name of its own", () => {
    assert.isAtLeast(bugs.length, 40)
    assert.strictEqual(new Set(bugs.map(({ name }) => name)).size, bugs.length)
  })

  it("each changes a text that stands exactly once in the sources as they are", () => {
    const stale = bugs.filter(({ file, text }) => occurrences(readFileSync(at(file), "utf8"), text) !== 1)
    assert.deepStrictEqual(
      stale.map(({ name }) => name),
      []
    )
    assert.isTrue(bugs.every(({ text, wrong }) => text !== wrong))
  })

  it("each names tests that exist", () => {
    const named = bugs.flatMap(({ tests }) => tests.map(({ file }) => file))
    assert.isTrue(bugs.every(({ tests }) => tests.length > 0))
    assert.deepStrictEqual(
      named.filter((file) => !existsSync(at(file))),
      []
    )
  })
})
