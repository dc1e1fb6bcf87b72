import { assert, describe, it } from "@effect/vitest"
import { guess, nearest } from "../../runtime/cli/nearest.ts"

describe("what was meant", () => {
  const known = ["dpo", "f-dpo", "rpo", "simpo", "report", "train-samples", "heldOut"]

  it("is what a few slips lead to, the nearest first", () => {
    assert.deepStrictEqual(nearest("reprot", known), ["report"])
    assert.deepStrictEqual(nearest("heldout", known), ["heldOut"])
    assert.deepStrictEqual(nearest("train-sample", known), ["train-samples"])
    assert.deepStrictEqual(nearest("samples", known), ["train-samples"])
    assert.deepStrictEqual(nearest("dpoo", known), ["dpo"])
  })

  it("is at most three names, and none where nothing is alike", () => {
    assert.deepStrictEqual(nearest("qpo", known), ["dpo", "rpo"])
    assert.lengthOf(nearest("aa", ["ab", "ac", "ad", "ae"]), 3)
    assert.deepStrictEqual(nearest("orchestra", known), [])
    assert.strictEqual(guess("orchestra", known), "")
    assert.strictEqual(guess("qpo", known), ' (perhaps "dpo" or "rpo"?)')
  })
})
