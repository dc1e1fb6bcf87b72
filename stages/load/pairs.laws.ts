import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one } from "../laws/calls.ts"
import * as Files from "../laws/files.ts"
import { asWritten, few, lineByLine, rowsOf } from "../laws/laws.ts"
import * as Tiny from "../laws/tiny.ts"
import { pairs } from "./pairs.ts"

const records = [
  { prompt: "a", chosen: "b", rejected: "c" },
  { prompt: "d", chosen: "", rejected: "e", margin: 0.5, source: "x" }
]
const implicit = records.map(({ chosen, margin = 0, prompt, rejected }) => ({
  chosen: `${prompt} ${chosen}`,
  rejected: `${prompt} ${rejected}`,
  margin
}))

export const contract = Contract.of(pairs, {
  given: call({
    params: one(
      () => ({ path: Files.lines("pairs.jsonl", Tiny.pairs) }),
      () => ({ path: Files.lines("pairs-trl.jsonl", records), format: "trl" }),
      () => ({ path: Files.lines("implicit-trl.jsonl", implicit), format: "trl" })
    ).pipe(Arbitrary.map((make) => make()))
  }),
  laws: few(10, [
    asWritten,
    ...lineByLine,
    StageLaw.output("keeps both texts of TRL's pairs, with the prompt before them", (made, { params }) => {
      if (params.format !== "trl") return true
      const texts = ({ chosen, prompt = "", rejected }: any) => [prompt + chosen, prompt + rejected]
      return StageLaw.near(
        made.map(({ chosen, prompt, rejected }: any) => [prompt.text + chosen.text, prompt.text + rejected.text]),
        rowsOf(params.path).slice(0, made.length).map(texts),
        0
      )
    })
  ])
})
