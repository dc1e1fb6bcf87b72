import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one } from "../laws/calls.ts"
import * as Files from "../laws/files.ts"
import { asWritten, few, lineByLine, rowsOf } from "../laws/laws.ts"
import * as Tiny from "../laws/tiny.ts"
import { prompts } from "./prompts.ts"

export const contract = Contract.of(prompts, {
  given: call({
    params: one(
      () => ({ path: Files.lines("prompts.jsonl", Tiny.prompts) }),
      () => ({ path: Files.lines("prompts-trl.jsonl", [{ prompt: "a" }, { prompt: "" }]), format: "trl" }),
      () => ({ path: Files.file("bad.jsonl", '{"id":1}\n') })
    ).pipe(Arbitrary.map((make) => make()))
  }),
  laws: few(10, [
    asWritten,
    ...lineByLine,
    StageLaw.output("names prompts without a name by their line", (made, { params }) => {
      const names = rowsOf(params.path).map((row, i) => row.id ?? `line-${i + 1}`)
      return StageLaw.near(
        made.map(({ id }: any) => id),
        names.slice(0, made.length),
        0
      )
    })
  ])
})
