/** The short form of `npm run fuzz`: the first cases of every target; and what a campaign has to find. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Campaign from "./campaign.ts"
import type { Target } from "./Target.ts"
import { targets } from "./targets/index.ts"

const CASES = 2400

const fine = ({ findings }: Campaign.Outcome) => assert.deepStrictEqual(findings, [])

describe("hostile input is accepted, consistently, or refused with an error of ours", () => {
  for (const [target, cases] of Campaign.share(targets, CASES)) {
    it(`${target.name}, ${cases} cases`, async () => fine(await Campaign.run(new Map([[target, cases]]), { seed: 0 })))
  }
})

describe("a campaign", () => {
  const broken = (read: Target["read"]): Target => ({
    name: "broken",
    weight: 1,
    refuses: ["Refused"],
    make: (draws) => ({ file: draws.bytes(4) }),
    read
  })
  const wrong: ReadonlyArray<readonly [name: string, read: Target["read"], found: RegExp]> = [
    ["a defect", () => Effect.sync(() => new Array(-1)), /^defect: RangeError/],
    [
      "a stack that overflows",
      () =>
        Effect.sync(function deeper(): void {
          deeper()
        }),
      /^defect: RangeError/
    ],
    ["an error of somebody else", () => Effect.fail({ _tag: "Other", message: "no" }), /fails with Other/],
    ["an error without a tag", () => Effect.fail("no"), /what has no tag/],
    ["an error without words", () => Effect.fail({ _tag: "Refused", message: "" }), /says nothing/],
    ["a stack in a message", () => Effect.fail({ _tag: "Refused", message: "no\n    at x (y:1)" }), /shows a stack/],
    ["a message nobody reads", () => Effect.fail({ _tag: "Refused", message: "x".repeat(20_000) }), /20000 characters/],
    ["memory", () => Effect.sync(() => void Buffer.alloc(600 * 2 ** 20, 1)), /MiB of memory/],
    [
      "time",
      () =>
        Effect.sync(() => {
          const begun = process.cpuUsage()
          const spent = () => process.cpuUsage(begun).user + process.cpuUsage(begun).system
          while (spent() < 1200 * Campaign.CPU_LIMIT);
        }),
      /ms of CPU time/
    ]
  ]
  for (const [name, read, found] of wrong) {
    it(`finds ${name}`, async () => {
      const { findings } = await Campaign.run(new Map([[broken(read), 1]]), { seed: 0 })
      assert.lengthOf(findings, 1)
      assert.match(findings[0]!.problem, found)
    })
  }
  it("makes the same cases of the same seed, however many are asked for", () => {
    for (const target of targets) {
      const [first, again, other] = [0, 0, 1].map((seed) => Campaign.caseOf(target, seed, 7))
      assert.deepStrictEqual(again, first)
      assert.notDeepEqual(other, first)
    }
  })
})
