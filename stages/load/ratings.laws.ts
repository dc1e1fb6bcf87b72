import { Arbitrary } from "effect"
import { call, contractOf, one } from "../laws/calls.ts"
import * as Files from "../laws/files.ts"
import { ratings } from "./ratings.ts"

const rated = {
  id: "t0",
  target: "negative",
  source: "the food was good",
  candidates: ["the food was bad", "bad", "bad"].map((text, i) => ({
    text,
    grammaticality: 5 - i,
    attribute: 4,
    topic: 1
  }))
}

export const contract = contractOf(
  ratings,
  call({
    params: one(
      () => ({ path: Files.lines("ratings.jsonl", [rated]), limit: 1 }),
      () => ({ path: Files.lines("few.jsonl", [rated, rated]), criteria: ["topic"] }),
      () => ({
        path: Files.lines("overrated.jsonl", [
          { ...rated, candidates: [{ text: "a", grammaticality: 6, attribute: 1, topic: 1 }] }
        ])
      })
    ).pipe(Arbitrary.map((make) => make()))
  })
)
