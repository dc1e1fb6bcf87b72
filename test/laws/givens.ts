/** How each stage is called when its laws are checked: generated parameters and inputs, by stage name. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Arbitrary, Schema } from "effect"
import type { Completion, ScoredCompletion } from "../../dsl/artifacts.ts"
import * as Checkpoint from "../../dsl/Checkpoint.ts"
import { concatenate } from "../../dsl/internal/bytes.ts"
import * as Rng from "../../dsl/Rng.ts"
import type * as Stage from "../../dsl/Stage.ts"
import { withHead } from "../../runtime/models/head.ts"
import { distinct } from "../../stages/filter/distinct.ts"
import { minCompletions } from "../../stages/filter/minCompletions.ts"
import { dpo } from "../../stages/optimize/objectives/dpo.ts"
import { simpo } from "../../stages/optimize/objectives/simpo.ts"
import { allAbove } from "../../stages/pair/allAbove.ts"
import { bestWorst } from "../../stages/pair/bestWorst.ts"
import { afinn } from "../../stages/score/afinn.ts"
import { byReward } from "../../stages/score/byReward.ts"
import { majority } from "../../stages/score/majority.ts"
import { repetition } from "../../stages/score/repetition.ts"
import { wordCount } from "../../stages/score/wordCount.ts"
import * as Llama2c from "../stages/load/llama2cFile.ts"
import * as Tiny from "../stages/tinyPolicy.ts"
import { exactGivens } from "./exactGivens.ts"
import { sequenceGivens } from "./sequenceGivens.ts"
import { sourceGivens } from "./sourceGivens.ts"
import { valueGivens } from "./valueGivens.ts"

export type Given = Arbitrary.Arbitrary<Stage.Given>

const folder = mkdtempSync(join(tmpdir(), "prefline-laws-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const lines = (name: string, records: ReadonlyArray<object>) =>
  file(name, records.map((record) => `${JSON.stringify(record)}\n`).join(""))

const one = <A>(...values: ReadonlyArray<A>) =>
  Arbitrary.schema(Schema.Literals(values.map((_, i) => i))).pipe(Arbitrary.map((i) => values[i]!))
const count = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
const call = (parts: {
  readonly params?: Arbitrary.Arbitrary<object>
  readonly input?: Arbitrary.Arbitrary<unknown>
  readonly inputs?: Readonly<Record<string, unknown>>
}): Given =>
  Arbitrary.all([parts.params ?? one({}), parts.input ?? one(undefined)]).pipe(
    Arbitrary.map(([params, input]) => ({
      params,
      ...(input === undefined ? {} : { input }),
      ...(parts.inputs ? { inputs: parts.inputs } : {})
    }))
  )
const some = <A>(item: Arbitrary.Arbitrary<A>, maxLength = 5) => Arbitrary.array(item, { maxLength })

const phrase = one("", " good", " bad food", "not so good", "the the the", "ünïcödé 🙂", "line\nbreak")
const numbered = <A extends object>(items: ReadonlyArray<A>) => items.map((item, i) => ({ id: `r${i}`, ...item }))
const texts = some(phrase.pipe(Arbitrary.map((text) => ({ text: `a${text}` })))).pipe(Arbitrary.map(numbered))
const prompts = some(phrase.pipe(Arbitrary.map((text) => ({ text }))), 3).pipe(Arbitrary.map(numbered))
const completion = Arbitrary.all([phrase, one("stop" as const, "length" as const)]).pipe(
  Arbitrary.map(([text, finish]): Completion => ({ text, finish }))
)
const groups = <A>(item: Arbitrary.Arbitrary<A>) =>
  some(some(item).pipe(Arbitrary.map((completions) => ({ completions })))).pipe(
    Arbitrary.map((all) => all.map((group, i) => ({ prompt: { id: `p${i}`, text: "the food" }, ...group })))
  )
const scored = groups(
  Arbitrary.all([completion, one(-1, 0, 0.5, 2)]).pipe(
    Arbitrary.map(([own, score]): ScoredCompletion => ({ ...own, score }))
  )
)

const policy = Tiny.tinyPolicy(1, 10)
const pairs = count(1, Tiny.pairs.length).pipe(Arbitrary.map((n) => Tiny.pairs.slice(0, n)))
const answered = Tiny.prompts.map((prompt) => ({ prompt, completions: [{ text: " so so", finish: "stop" }] }))
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
const asked = (question: string, answer: string) => `\n\nHuman: ${question}\n\nAssistant:${answer}`
const dialogues = [
  { chosen: asked("how?", " so"), rejected: asked("how?", " no") },
  { chosen: asked("why?", " so"), rejected: asked("how?", " no") }
]
const training: object = { steps: 2, batchSize: 2, saveEvery: 1 }

const checkpointFolder = mkdtempSync(join(folder, "checkpoint-"))
for (const { bytes, name } of Checkpoint.toFiles(policy))
  writeFileSync(join(checkpointFolder, name), concatenate([...bytes]))

export const givens: Readonly<Record<string, Given>> = {
  ...exactGivens,
  ...sequenceGivens,
  ...sourceGivens,
  ...valueGivens,
  "load.texts": call({
    params: one({ path: lines("texts.jsonl", Tiny.texts) }, { path: join(folder, "missing.jsonl") })
  }),
  "load.prompts": call({
    params: one({ path: lines("prompts.jsonl", Tiny.prompts) }, { path: file("bad.jsonl", '{"id":1}\n') })
  }),
  "load.pairs": call({
    params: one(
      { path: lines("pairs.jsonl", Tiny.pairs) },
      { path: lines("trl.jsonl", [{ prompt: "a", chosen: "b", rejected: "c" }]), format: "trl" }
    )
  }),
  "load.ratings": call({
    params: one(
      { path: lines("ratings.jsonl", [rated]), limit: 1 },
      { path: lines("few.jsonl", [rated, rated]), criteria: ["topic"] },
      {
        path: lines("overrated.jsonl", [
          { ...rated, candidates: [{ text: "a", grammaticality: 6, attribute: 1, topic: 1 }] }
        ])
      }
    )
  }),
  "load.dialogues": call({
    params: one(
      { path: lines("dialogues.jsonl", dialogues.slice(0, 1)) },
      { path: lines("unpaired.jsonl", dialogues), unpaired: "drop" },
      { path: lines("unpaired.jsonl", dialogues) }
    )
  }),
  "load.llama2c": call({
    params: one(
      { model: file("tiny.bin", Llama2c.model), tokenizer: file("tiny-tokenizer.bin", Llama2c.tokenizer) },
      { model: file("tiny.bin", Llama2c.model), tokenizer: file("cut.bin", Llama2c.tokenizer.subarray(1)) }
    )
  }),
  "load.brown": call({ params: one({ limit: 20 }, { limit: 5, maxWords: 6, lowercase: true }) }),
  "load.sentences": call({ params: one({ split: "train", limit: 20 }, { split: "test", limit: 5, lowercase: true }) }),
  "load.checkpoint": call({ params: one({ path: checkpointFolder }, { path: folder }) }),
  "load.untrained": call({
    params: one({ hiddenSize: 8, heads: 2, keyValueHeads: 1, layers: 1 }, { hiddenSize: 7 }),
    input: one(policy.tokenizer)
  }),
  "load.mix": Arbitrary.all([texts, count(1, 3)]).pipe(
    Arbitrary.map(([input, andRepeats]) => ({ params: { andRepeats }, input, inputs: { and: Tiny.texts } }))
  ),
  "load.prefixes": call({ params: one({ words: 1 }, { words: 2, order: "shuffled", limit: 2 }), input: texts }),
  sample: call({
    params: one({ perPrompt: 2, maxTokens: 3 }, { temperature: 0, maxTokens: 2 }, { topK: 2, topP: 0.9, maxTokens: 2 }),
    input: prompts,
    inputs: { policy }
  }),
  score: call({ params: one({ reward: afinn() }, { reward: repetition() }), input: groups(completion) }),
  "score.log-probs": call({ input: pairs, inputs: { policy } }),
  filter: call({ params: one({ by: distinct() }, { by: minCompletions({ count: 2 }) }), input: scored }),
  "score.win-rates": call({
    params: one(
      { judge: byReward({ reward: afinn() }) },
      { judge: majority({ rewards: [afinn(), wordCount(), repetition()] }) }
    ),
    input: groups(completion)
  }),
  "filter.statistical-rejection": call({
    params: one({ k: 1 }, { k: 2, beta: 0, dedupe: false }, { k: 1, beta: 10 }),
    input: scored
  }),
  "pair.tournament": call({
    params: one({ scheme: "first-round" }, { scheme: "tournament" }, { scheme: "tournament", labels: "bernoulli" }),
    input: scored
  }),
  "pair.triple": call({ input: scored }),
  "pair.group": call({ params: one({ answers: 2 }, { answers: 3, fewer: "drop" }), input: scored }),
  "pair.flip": call({ params: one({ rate: 0.2 }, { rate: 1 }), input: pairs }),
  "pair.mismatch": call({ input: pairs }),
  "pair.draft-views": call({ params: one({}, { before: " then ", after: ": " }), input: pairs }),
  "pair.degrade": call({ params: one<object>({}, { levels: 1 }, { fewer: "leave-out" }), input: pairs }),
  "pair.shuffle-numbers": call({ params: one({ names: ["weight"] }), input: pairs }),
  "score.noise": call({ params: one({ deviation: 0.5 }), input: scored }),
  "evaluate.likelihood": call({ params: one({ role: "chosen" }, { role: "gold" }), input: pairs, inputs: { policy } }),
  "evaluate.degree": call({
    params: one({ levels: 1 }),
    input: pairs.pipe(
      Arbitrary.map((all) =>
        all.map((pair, i) => ({
          ...pair,
          others: { degradedChosen: { completion: pair.chosen }, degradedRejected: { completion: pair.rejected } },
          numbers: { degreeChosen: i % 2, degreeRejected: 0 }
        }))
      )
    ),
    inputs: { policy }
  }),
  "pair.with-calibration": call({ input: pairs, inputs: { calibration: answered } }),
  pair: call({ params: one({ by: bestWorst() }, { by: allAbove({ margin: 0.6 }) }), input: scored }),
  rank: call({ input: scored }),
  "optimize.tokenizer": call({ params: one({ vocabSize: 262, minFrequency: 1 }, { vocabSize: 10 }), input: texts }),
  "optimize.supervised": call({
    params: one<object>(training, { ...training, microBatchSize: 1 }),
    input: texts,
    inputs: { from: policy }
  }),
  "optimize.preference": call({
    params: one({ ...training, objective: simpo() }, { ...training, objective: dpo() }),
    input: pairs,
    inputs: { from: policy }
  }),
  evaluate: call({
    params: one(
      { reward: afinn(), perPrompt: 1, maxTokens: 2 },
      { reward: afinn(), judge: repetition(), maxTokens: 2 }
    ),
    input: prompts,
    inputs: { policy, reference: Tiny.tinyPolicy(2, 10) }
  }),
  "optimize.extrapolate": call({
    params: one({ alpha: 0.3 }),
    input: one(policy),
    inputs: { previous: Tiny.tinyPolicy(2, 10) }
  }),
  "score.model": call({
    params: one({}, { form: "preference" }),
    input: groups(completion),
    inputs: { model: withHead(policy, 2, 1, Rng.make(0, "head")) }
  }),
  "sample.revise": call({
    params: one({ maxTokens: 2 }, { rounds: 2, maxTokens: 2, before: "", after: " " }),
    input: groups(completion),
    inputs: { policy }
  }),
  "pair.rated": call({ params: one({}, { numbers: "score" }), input: scored }),
  "evaluate.duels": call({
    params: one({ judge: byReward({ reward: afinn() }) }, { judge: byReward({ reward: afinn() }), meet: "paired" }),
    input: one(answered),
    inputs: { against: answered }
  }),
  "evaluate.preference": call({ params: one({ objective: simpo() }), input: pairs, inputs: { policy } })
}
