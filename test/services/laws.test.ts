/** The laws of stages that ask an endpoint, on a local one; and that each of them breaks where its stage does. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import type * as Contract from "../../dsl/Contract.ts"
import type * as Law from "../../dsl/Law.ts"
import type * as Stage from "../../dsl/Stage.ts"
import { contract as remote } from "../../stages/sample/remote.laws.ts"
import { sampleRemote } from "../../stages/sample/remote.ts"
import { contract as judging } from "../../stages/score/judgeByModel.laws.ts"
import { judge } from "../../stages/score/judgeByModel.ts"
import { contract as grading } from "../../stages/score/rubric.laws.ts"
import { rubric } from "../../stages/score/rubric.ts"
import { collect } from "../stages/support.ts"

const one = <A>(...values: ReadonlyArray<A>) =>
  Arbitrary.schema(Schema.Literals(values.map((_, i) => i))).pipe(Arbitrary.map((i) => values[i]!))
const phrase = one("", " good", " bad food", " not so good", " the the the", "ünïcödé 🙂", "line\nbreak", " bad dish")
const prompts = Arbitrary.array(phrase, { maxLength: 3 }).pipe(
  Arbitrary.map((texts) => texts.map((text, i) => ({ id: `p${i}`, text })))
)
const groups = Arbitrary.array(Arbitrary.array(phrase, { maxLength: 4 }), { maxLength: 3 }).pipe(
  Arbitrary.map((all) =>
    all.map((texts, i) => ({
      prompt: { id: `p${i}`, text: "the food" },
      completions: texts.map((text) => ({ text, finish: "stop" }))
    }))
  )
)
const settings = Arbitrary.all([one("each", "unseeded", "together"), one(1, 2, 3), one(true, false)]).pipe(
  Arbitrary.map(([requests, perPrompt, logProbs]) => ({ requests, perPrompt, logProbs }))
)

type Run = Law.Subject["run"]
const subjectOf = (
  stage: { readonly stage: Stage.Any },
  contract: Contract.Contract,
  input: Arbitrary.Arbitrary<unknown>,
  more: Arbitrary.Arbitrary<object> = one({}),
  wrap: (run: Run) => Run = (run) => run
): Law.Subject => ({
  given: Arbitrary.all([Arbitrary.all(contract.params), more, input]).pipe(
    Arbitrary.map(([params, others, input]) => ({ params: { ...(params as object), ...others }, input }))
  ),
  run: wrap((call) => collect(stage, call))
})
const broken = (laws: ReadonlyArray<Law.Law>, subject: Law.Subject, runs: number) =>
  Effect.map(
    Effect.forEach(laws, (law) =>
      Effect.map(law.check({ runs, seed: 3, subject }), (verdict) =>
        verdict._tag === "Broken" ? [`${law.name}: ${verdict.reason} ${JSON.stringify(verdict.input)}`] : []
      )
    ),
    (found) => found.flat()
  )
const holds = (contract: Contract.Contract, subject: Law.Subject) =>
  Effect.map(broken(contract.laws, subject, 15), (found) => assert.deepStrictEqual(found, []))
const kills = (contract: Contract.Contract, subject: Law.Subject, name: string) =>
  Effect.gen(function* () {
    const laws = contract.laws.filter((law) => law.name.startsWith(name))
    assert.strictEqual(laws.length, 1, name)
    assert.strictEqual((yield* broken(laws, subject, 15)).length, 1, name)
  })

/** The stage, but what it makes is changed. */
const made =
  (change: (groups: ReadonlyArray<any>, call: any) => unknown) =>
  (run: Run): Run =>
  (call) =>
    Effect.map(run(call), (groups) => change(groups, call))
const answers = (change: (completions: ReadonlyArray<any>, call: any) => ReadonlyArray<any>) =>
  made((groups, call) => groups.map((group) => ({ ...group, completions: change(group.completions, call) })))

describe("sample.remote", () => {
  const subject = (wrap?: (run: Run) => Run) => subjectOf(sampleRemote, remote, prompts, settings, wrap)
  it.effect("obeys its laws", () => holds(remote, subject()))
  it.effect("broken variants break them", () =>
    Effect.gen(function* () {
      yield* kills(remote, subject(answers((all) => all.slice(1))), "gives every prompt as many")
      yield* kills(remote, subject(made((all) => all.toReversed())), "keeps the prompts")
      yield* kills(remote, subject(answers((all) => all.toReversed())), "more answers leave")
      yield* kills(
        remote,
        subject(made((all) => all.map((group) => ({ ...group, of: all.length })))),
        "sees each record alone"
      )
      yield* kills(
        remote,
        subject(answers((all, { params }) => all.map((one) => ({ ...one, c: params.endpoint.concurrency })))),
        "the endpoint's limits"
      )
    })
  )
})

describe("score.judge", () => {
  const subject = (wrap?: (run: Run) => Run) => subjectOf(judge, judging, groups, one({}), wrap)
  it.effect("obeys its laws", () => holds(judging, subject()))
  it.effect("broken variants break them", () =>
    Effect.gen(function* () {
      const rescored = (score: (one: any, i: number, all: ReadonlyArray<any>) => number) =>
        answers((all) => all.map((one, i) => ({ ...one, score: score(one, i, all) })))
      yield* kills(judging, subject(rescored(({ score }) => 1 - score)), "gives the win rates")
      yield* kills(judging, subject(rescored(({ score }) => score + 0.01)), "win rates of a prompt average")
      yield* kills(judging, subject(rescored(({ score }, i) => score - i / 100)), "does not see the order")
      yield* kills(
        judging,
        subject(answers((all) => all.map((one) => ({ ...one, text: "" })))),
        "keeps prompt and answers"
      )
      yield* kills(
        judging,
        subject(made((all) => all.map((group) => ({ ...group, of: all.length })))),
        "sees each record alone"
      )
    })
  )
})

describe("score.rubric", () => {
  const subject = (wrap?: (run: Run) => Run) =>
    subjectOf(rubric, grading, groups, one({ structured: true }, { structured: false }), wrap)
  it.effect("obeys its laws", () => holds(grading, subject()))
  it.effect("broken variants break them", () =>
    Effect.gen(function* () {
      const rescored = (score: (one: any, call: any) => number) =>
        answers((all, call) => all.map((one) => ({ ...one, score: score(one, call) })))
      yield* kills(grading, subject(rescored(({ score }) => score + 10)), "scores lie between")
      yield* kills(grading, subject(rescored(({ score }) => score / 2)), "scores are the weighted means")
      yield* kills(
        grading,
        subject(rescored(({ score }, { params }) => score * params.criteria[0].weight)),
        "weights count by"
      )
      yield* kills(grading, subject(answers((all) => all.slice(1))), "keeps prompt and answers")
      yield* kills(
        grading,
        subject(made((all) => all.map((group) => ({ ...group, of: all.length })))),
        "sees each record alone"
      )
    })
  )
})
