import { Arbitrary } from "effect"
import { call, contractOf, one } from "../laws/calls.ts"
import * as Files from "../laws/files.ts"
import { dialogues } from "./dialogues.ts"

const asked = (question: string, answer: string) => `\n\nHuman: ${question}\n\nAssistant:${answer}`
const examples = [
  { chosen: asked("how?", " so"), rejected: asked("how?", " no") },
  { chosen: asked("why?", " so"), rejected: asked("how?", " no") }
]

export const contract = contractOf(
  dialogues,
  call({
    params: one(
      () => ({ path: Files.lines("dialogues.jsonl", examples.slice(0, 1)) }),
      () => ({ path: Files.lines("unpaired.jsonl", examples), unpaired: "drop" }),
      () => ({ path: Files.lines("unpaired.jsonl", examples) })
    ).pipe(Arbitrary.map((make) => make()))
  })
)
