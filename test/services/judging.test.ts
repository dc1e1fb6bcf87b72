/** Judges and rubrics on models that are biased, undecided, or do not do as they are told. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { judge } from "../../stages/score/judgeByModel.ts"
import { rubric } from "../../stages/score/rubric.ts"
import { collect } from "../stages/support.ts"
import { type Asked, chatReply, json, peer } from "./peer.ts"

const group = (...texts: ReadonlyArray<string>) => ({
  prompt: { id: "p", text: "the food" },
  completions: texts.map((text) => ({ text, finish: "stop" }))
})
const first = ({ body }: Asked) => body["messages"][0].content as string
const answerA = (asked: Asked) => /<answer-A>\n([\s\S]*?)\n<\/answer-A>/.exec(first(asked))![1]!

/** The scores of one group, and what was asked, where `reply` says what the model says. */
const scored = Effect.fnUntraced(function* (
  stage: Parameters<typeof collect>[0],
  reply: (asked: Asked, n: number) => string,
  params: object,
  ...texts: ReadonlyArray<string>
) {
  const { asked, url } = yield* peer((one, response, n) => json(response, chatReply(reply(one, n))))
  const endpoint = { url, model: "m", retries: 0, concurrency: 1 }
  const made = yield* Effect.exit(collect(stage, { params: { endpoint, ...params }, input: [group(...texts)] }))
  const groups = made._tag === "Success" ? made.value : []
  return {
    asked,
    error: made._tag === "Failure" ? String(made.cause) : "",
    scores: groups[0]?.completions.map(({ score }: any) => score)
  }
})

describe("score.judge", () => {
  it.live("a judge that favours a place favours nobody", () =>
    Effect.gen(function* () {
      const { asked, scores } = yield* scored(judge, () => "Verdict: A", {}, " x", " y", " z")
      assert.deepStrictEqual(scores, [0.5, 0.5, 0.5])
      assert.strictEqual(asked.length, 6)
      assert.strictEqual(new Set(asked.map(first)).size, 6)
    }).pipe(Effect.scoped)
  )

  it.live("a decided one, a tie, and two that contradict each other", () =>
    Effect.gen(function* () {
      const better = (asked: Asked) => (answerA(asked) === " good" ? "Verdict: A" : "Verdict: B")
      assert.deepStrictEqual((yield* scored(judge, better, {}, " bad", " good")).scores, [0.25, 0.75])
      assert.deepStrictEqual((yield* scored(judge, () => "tie", {}, " bad", " good")).scores, [0.5, 0.5])
      const half = (asked: Asked) => (answerA(asked) === " good" ? "Verdict: A" : "Verdict: tie")
      assert.deepStrictEqual((yield* scored(judge, half, {}, " bad", " good")).scores, [0.375, 0.625])
      const same = yield* scored(judge, () => "Verdict: A", {}, " so", " so")
      assert.deepStrictEqual([same.scores, same.asked.length], [[0.5, 0.5], 0])
    }).pipe(Effect.scoped)
  )

  it.live("asks again for what it cannot read, then fails, or counts a tie", () =>
    Effect.gen(function* () {
      const late = yield* scored(
        judge,
        ({ body }) => (body["messages"].length < 3 ? "Well..." : "Verdict: A"),
        {},
        " x",
        " y"
      )
      assert.deepStrictEqual([late.scores, late.asked.length], [[0.5, 0.5], 4])
      assert.deepStrictEqual(
        late.asked[2]!.body["messages"].slice(1).map(({ content, role }: any) => [role, content.slice(0, 7)]),
        [
          ["assistant", "Well..."],
          ["user", "Give on"]
        ]
      )
      const never = yield* scored(judge, () => "I like both.", { rereads: 1 }, " x", " y")
      assert.match(never.error, /prompt "p": the judging model's reply has no verdict, asked 2 times: "I like both."/)
      const tie = yield* scored(judge, () => "I like both.", { rereads: 1, unreadable: "tie" }, " x", " y")
      assert.deepStrictEqual([tie.scores, tie.asked.length], [[0.5, 0.5], 4])
    }).pipe(Effect.scoped)
  )

  it.live("templates and system texts are what the model is shown; a template without its places is refused", () =>
    Effect.gen(function* () {
      const template = "{prompt}|{first}|{second}"
      const { asked } = yield* scored(judge, () => "tie", { template, system: "Be fair." }, " x{second}", " y")
      assert.deepStrictEqual(asked[0]!.body["messages"], [
        { role: "system", content: "Be fair." },
        { role: "user", content: "the food| x{second}| y" }
      ])
      assert.match((yield* scored(judge, () => "tie", { template: "{first}" }, " x")).error, /lacks {prompt}, {second}/)
    }).pipe(Effect.scoped)
  )
})

describe("score.rubric", () => {
  const criteria = [
    { name: "clear", description: "Easy to read", weight: 3 },
    { name: "kind", description: "Friendly" }
  ]
  it.live("holds the model to a schema, and weighs its grades", () =>
    Effect.gen(function* () {
      const { asked, scores } = yield* scored(rubric, () => '{"clear": 8, "kind": 4.5}', { criteria }, " x", " y", " x")
      assert.deepStrictEqual(scores, [7.125, 7.125, 7.125])
      assert.strictEqual(asked.length, 2)
      assert.deepStrictEqual(asked[0]!.body["response_format"].json_schema.schema.required, ["clear", "kind"])
      assert.include(first(asked[0]!), "- kind: Friendly")
    }).pipe(Effect.scoped)
  )
  it.live("reads grades in prose, asks again, and fails with what is missing", () =>
    Effect.gen(function* () {
      const prose = yield* scored(
        rubric,
        () => 'Grades: ```json\n{"clear": 8, "kind": 4}\n```',
        { criteria, structured: false },
        " x"
      )
      assert.deepStrictEqual([prose.scores, prose.asked[0]!.body["response_format"]], [[7], undefined])
      const late = yield* scored(
        rubric,
        (_, n) => (n === 0 ? "8 and 4" : '{"clear": 8, "kind": 4}'),
        { criteria },
        " x"
      )
      assert.deepStrictEqual(late.scores, [7])
      const wrong = yield* scored(rubric, () => '{"clear": 11, "kind": 4}', { criteria, rereads: 0 }, " x")
      assert.match(wrong.error, /has no number from 0 to 10 for "clear": /)
      const twice = yield* scored(rubric, () => "", { criteria: [criteria[0], criteria[0]] }, " x")
      assert.match(twice.error, /two criteria have one name/)
    }).pipe(Effect.scoped)
  )
})
