import { assert, describe, it, layer } from "@effect/vitest"
import preferenceDegree from "../../pipelines/direct/preferenceDegree.ts"
import { degrees, phrases } from "../../stages/pair/rake.ts"
import { holds, temporary } from "./held.ts"

layer(temporary)("SPO's claims in solved worlds", (it) => {
  const name = "without weight on degrees it is DPO, bit for bit, in a solved world"
  it.effect(name, () => holds(preferenceDegree, name), 60_000)
})

describe("degrees of an answer", () => {
  const STOPS = new Set(["the", "was", "and"])

  it("lose the weightiest phrases first", () =>
    assert.deepStrictEqual(degrees("the movie was really great and the acting superb", 3, STOPS), [
      "the movie was and the acting superb",
      "the movie was and the",
      "the was and the"
    ]))

  it("are as many as there are phrases, one phrase each, where those are few", () => {
    const text = "the movie was really great"
    assert.lengthOf(phrases(text, STOPS), 2)
    assert.deepStrictEqual(degrees(text, 3, STOPS), ["the movie was", "the was"])
  })
})
