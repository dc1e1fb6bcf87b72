import { Arbitrary } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import { call, one } from "../laws/calls.ts"
import * as Files from "../laws/files.ts"
import { asWritten, few, lineByLine, selection } from "../laws/laws.ts"
import * as Tiny from "../laws/tiny.ts"
import { texts } from "./texts.ts"

export const contract = Contract.of(texts, {
  given: call({
    params: one(
      () => ({ path: Files.lines("texts.jsonl", Tiny.texts) }),
      () => ({
        path: Files.lines("texts-trl.jsonl", [{ text: "a b" }, { text: "C d e", source: "x" }]),
        format: "trl"
      }),
      () => ({ path: Files.place("missing.jsonl") })
    ).pipe(Arbitrary.map((make) => make()))
  }),
  laws: few(10, [asWritten, ...lineByLine, ...selection.slice(1)])
})
