import { assert, describe, it } from "@effect/vitest"
import * as Rng from "../../dsl/Rng.ts"

const hex = (words: ReadonlyArray<number>) => words.map((word) => word.toString(16).padStart(8, "0")).join(" ")

describe("Rng", () => {
  it("is Philox4x32-10: the known answers of its authors' test vectors", () => {
    const ones = 0xffffffff
    assert.strictEqual(hex(Rng.philox(0, 0, 0, 0, 0, 0)), "6627e8d5 e169c58d bc57ac4c 9b00dbd8")
    assert.strictEqual(hex(Rng.philox(ones, ones, ones, ones, ones, ones)), "408f276d 41c83b0e a20bc7c6 6d5451fd")
    const pi = [0xa4093822, 0x299f31d0, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344] as const
    assert.strictEqual(hex(Rng.philox(...pi)), "d16cfe09 94fdcceb 5001e420 24126ea1")
  })

  it("draws do not depend on the order in which they are asked for", () => {
    const rng = Rng.make(3, "sample")
    const forwards = Array.from({ length: 50 }, (_, i) => rng.uniform(i))
    const backwards = Array.from({ length: 50 }, (_, i) => Rng.make(3, "sample").uniform(49 - i)).reverse()
    assert.deepStrictEqual(forwards, backwards)
  })

  it("seeds, streams and labels of either type lead to different draws", () => {
    const firsts = [
      Rng.make(0, "a"),
      Rng.make(1, "a"),
      Rng.make(0, "b"),
      Rng.make(0, "a").fork(0),
      Rng.make(0, "a").fork("0"),
      Rng.make(0, "a").fork(""),
      Rng.make(0, "a").fork("\0"),
      Rng.make(0, "a").fork("\0\0"),
      Rng.make(0, "a").fork(-1),
      Rng.make(0, "a").fork(1),
      Rng.make(0, "a").fork("a").fork("b"),
      Rng.make(0, "a").fork("b").fork("a"),
      Rng.make(0, "a").fork("ab"),
      Rng.make(0, "a").fork("abcdef"),
      Rng.make(0, "a").fork("abcdef\0")
    ].map((rng) => rng.words(0).join())
    assert.strictEqual(new Set(firsts).size, firsts.length)
  })

  it("uniforms fill [0, 1) evenly (chi-square, 100 cells, 0.1 % level)", () => {
    const rng = Rng.make(7, "uniform")
    const cells = new Array<number>(100).fill(0)
    const draws = 100_000
    for (let i = 0; i < draws; i++) cells[Math.floor(rng.uniform(i) * 100)]!++
    const chiSquare = cells.reduce((sum, count) => sum + (count - draws / 100) ** 2 / (draws / 100), 0)
    assert.isBelow(chiSquare, 148.2)
    assert.isAbove(chiSquare, 60)
  })

  it("normals have the moments of a standard normal", () => {
    const rng = Rng.make(7, "normal")
    const n = 100_000
    let [first, second, fourth] = [0, 0, 0]
    for (let i = 0; i < n; i++) {
      const x = rng.normal(i)
      first += x / n
      second += x ** 2 / n
      fourth += x ** 4 / n
    }
    assert.closeTo(first, 0, 4 / Math.sqrt(n))
    assert.closeTo(second, 1, (4 * Math.SQRT2) / Math.sqrt(n))
    assert.closeTo(fourth, 3, (4 * Math.sqrt(96)) / Math.sqrt(n))
  })

  it("permutations hold every index once, and each order of three comes equally often", () => {
    const rng = Rng.make(1, "order")
    const counts = new Map<string, number>()
    for (let i = 0; i < 6000; i++) {
      const order = [...rng.permutation(i, 3)]
      assert.deepStrictEqual([...order].sort(), [0, 1, 2])
      counts.set(order.join(""), (counts.get(order.join("")) ?? 0) + 1)
    }
    assert.strictEqual(counts.size, 6)
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
    assert.isBelow(chiSquare, 20.5)
  })

  it("integers stay below their bound and reach both ends", () => {
    const rng = Rng.make(2, "int")
    const seen = new Set(Array.from({ length: 400 }, (_, i) => rng.int(i, 7)))
    assert.deepStrictEqual([...seen].sort(), [0, 1, 2, 3, 4, 5, 6])
  })

  it("refuses a numeric label that is no safe integer", () => {
    assert.throws(() => Rng.make(0.5, "a"), /safe integer/)
  })
})
