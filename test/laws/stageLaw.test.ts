/** Each law that stages share holds for a stage that keeps it, and breaks for one that does not. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import type * as Law from "../../dsl/Law.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"

interface Item {
  readonly id: string
  readonly x: number
}
type Make = (items: ReadonlyArray<Item>) => unknown

const given = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))), {
  maxLength: 5
}).pipe(Arbitrary.map((xs) => ({ params: {}, input: xs.map((x, i): Item => ({ id: `r${i}`, x })) })))
const subject = (make: Make) => ({
  given,
  run: ({ input }: { readonly input: ReadonlyArray<Item> }) => Effect.sync(() => make(input))
})

const same: Make = (items) => items
const odd: Make = (items) => items.filter(({ x }) => x % 2 === 1)
const sum: Make = (items) => items.reduce((total, { x }) => total + x, 0)
const raised: Make = (items) => items.map((item) => ({ ...item, x: item.x + 1 }))
const numbered: Make = (items) => items.map((item, i) => ({ ...item, x: i }))

const laws: ReadonlyArray<readonly [law: Law.Law, keeper: Make, breaker: Make]> = [
  [StageLaw.sameNumber, raised, odd],
  [StageLaw.subsequence, odd, raised],
  [StageLaw.subsequence, odd, (items) => items.toReversed()],
  [StageLaw.keeps("x", ({ x }) => x), same, raised],
  [StageLaw.recordByRecord, odd, (items) => items.map((item) => ({ ...item, x: items.length }))],
  [StageLaw.equivariant(), raised, numbered],
  [StageLaw.ignoresOrder(), sum, numbered],
  [StageLaw.idempotent(), odd, raised],
  [StageLaw.finite, sum, (items) => ({ mean: (sum(items) as number) / 0 })]
]

describe("laws that stages share", () => {
  for (const [law, keeper, breaker] of laws) {
    it.effect(law.name, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* law.check({ subject: subject(keeper) }))._tag, "Holds")
        const broken = yield* law.check({ subject: subject(breaker) })
        if (broken._tag !== "Broken") return assert.fail("holds for the stage that breaks it")
        const again = yield* law.check({ subject: subject(breaker), replay: broken.replay! })
        assert.deepStrictEqual(again, broken, "its replay finds the shrunk input again")
      })
    )
  }

  it.effect("break without a stage", () =>
    Effect.map(StageLaw.finite.check(), (verdict) => assert.strictEqual(verdict._tag, "Broken"))
  )
})
