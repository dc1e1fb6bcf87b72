import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one, scored } from "../laws/calls.ts"
import { few } from "../laws/laws.ts"
import { adjacent } from "./adjacent.ts"
import { bestWorst } from "./bestWorst.ts"
import { pair } from "./pair.ts"

const byOrder = call({ params: one<object>({ by: bestWorst() }, { by: adjacent() }), input: scored })
const rescored = (call: any, change: (score: number) => number) =>
  StageLaw.withInput(
    call,
    call.input.map((group: any) => ({
      ...group,
      completions: group.completions.map((own: any) => ({ ...own, score: change(own.score) }))
    }))
  )

export const contract = Contract.of(pair, {
  inputs: { input: scored },
  laws: few(25, [
    StageLaw.output(
      "pairs answers of one prompt, by their places, with what their scores differ by",
      (made, { input }) => {
        const odd = made.find(({ chosen, id, margin, prompt, rejected }: any) => {
          const [, group, i, j] = /^(.*)\/(\d+)-(\d+)$/.exec(id)!
          const { completions, prompt: own } = input.find((one: any) => one.prompt.id === group)
          const [better, worse] = [completions[i!], completions[j!]]
          const wanted = [own, better, worse, better.score - worse.score]
          const found = [prompt, { ...chosen, score: better.score }, { ...rejected, score: worse.score }, margin]
          return margin <= 0 || StageLaw.near(found, wanted, 0) !== true
        })
        return odd === undefined || odd.id
      }
    ),
    StageLaw.output("makes no pair twice", (made) => new Set(made.map(({ id }: any) => id)).size === made.length),
    StageLaw.related(
      "a limit takes the first",
      (call) => StageLaw.withParams(call, { limit: 1 }),
      (made, first) => StageLaw.near(made.slice(0, 1), first, 0)
    ),
    StageLaw.related(
      "sees only differences of scores",
      (call) => rescored(call, (score) => score + 1),
      (made, shifted) => StageLaw.near(made, shifted, 0)
    ),
    StageLaw.related(
      "in another unit of scores the pairs are the same, the margins in that unit",
      (call) => rescored(call, (score) => 4 * score),
      (made, scaled) =>
        StageLaw.near(
          made.map((one: any) => ({ ...one, margin: 4 * one.margin })),
          scaled,
          0
        ),
      { given: byOrder }
    ),
    StageLaw.related(
      "sees each prompt alone",
      (call) => StageLaw.withInput(call, call.input.toReversed()),
      (made, reversed) => {
        const sorted = (pairs: any) => pairs.toSorted((a: any, b: any) => (a.id < b.id ? -1 : 1))
        return StageLaw.near(sorted(made), sorted(reversed), 0)
      },
      { given: byOrder }
    )
  ])
})
