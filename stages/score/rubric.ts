import { Effect, Result, Schema, Stream } from "effect"
import { Completions, Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import type * as Json from "../../dsl/Json.ts"
import { Name, Positive, withDefault } from "../../dsl/Params.ts"
import * as Progress from "../../dsl/Progress.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Endpoint from "../../runtime/services/Endpoint.ts"
import { askAll, askingFields, askingSource } from "./asking.ts"
import { fill, Template } from "./template.ts"

/** Prompts whose answers are scored together: bounds memory, changes no result. */
const PROMPTS_AT_ONCE = 32

const TEMPLATE = `Grade an answer to a prompt by each of these criteria, from 0 (worst) to 10 (best).

{criteria}

<prompt>
{prompt}
</prompt>
<answer>
{answer}
</answer>

Reply with one JSON object that gives each criterion its number, such as {example}.`
const REMINDER = "Reply with the JSON object alone: every criterion with a number from 0 to 10."

const Criterion = Schema.Struct({
  name: Name,
  description: Schema.NonEmptyString,
  weight: Positive.pipe(withDefault(1))
})
type Criterion = typeof Criterion.Type

/**
 * Scores every answer by a model's grades from 0 to 10 for each criterion: their weighted mean.
 * **Details** With `structured` (chats only) the service is asked to hold its reply to a JSON schema; the reply is read in
 * the same way: as JSON, or as the first JSON object in it. A grade that is missing, no number, or outside of 0 to 10 makes
 * a reply unreadable; it is asked for again `rereads` times, then the stage fails with `ReplyUnreadable`. Grades are not
 * rounded. Equal answers to a prompt are asked about once.
 */
export const rubric = Stage.make({
  name: "score.rubric",
  description: "Answers with grades by criteria from a model behind an endpoint",
  module: import.meta.url,
  params: {
    ...askingFields,
    criteria: Schema.NonEmptyArray(Criterion).check(
      Schema.makeFilter(
        (criteria) => new Set(criteria.map(({ name }) => name)).size === criteria.length || "two criteria have one name"
      )
    ),
    /** With the places {prompt}, {answer} and {criteria}; {example} may stand for an example of the reply. */
    template: Template("prompt", "answer", "criteria").pipe(withDefault(TEMPLATE)),
    structured: Schema.Boolean.pipe(withDefault(true))
  },
  input: Completions,
  output: Scored,
  resource: "network",
  source: askingSource,
  run: ({ input, params }) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const { criteria, structured, template } = params
        const endpoint = yield* Endpoint.open(params.endpoint)
        const format =
          structured && params.endpoint.api === "chat" ? { name: "grades", schema: gradesSchema(criteria) } : undefined
        let done = 0
        let unreadable = 0
        return input.stream.pipe(
          Stream.grouped(PROMPTS_AT_ONCE),
          Stream.mapEffect((groups) =>
            Effect.gen(function* () {
              const texts = groups.map(({ completions }) => [...new Set(completions.map(({ text }) => text))])
              const questions = groups.flatMap(({ prompt }, g) =>
                texts[g]!.map((answer) => ({
                  about: prompt.id,
                  text: fill(template, { ...described(criteria), prompt: prompt.text, answer }),
                  read: grades(criteria),
                  ...(format ? { format } : {})
                }))
              )
              const read = yield* askAll(endpoint, questions, params, REMINDER)
              const scores = yield* Effect.fromResult(Result.all(read.answers))
              done += groups.length
              unreadable += read.unreadable
              yield* Progress.report({ done, unit: "prompts", metrics: { unreadable } })
              let next = 0
              return groups.map(({ completions, prompt }, g): ScoredGroup => {
                const own = new Map(texts[g]!.map((text) => [text, scores[next++]!]))
                return { prompt, completions: completions.map((each) => ({ ...each, score: own.get(each.text)! })) }
              })
            })
          ),
          Stream.flattenIterable
        )
      })
    )
})

const described = (criteria: ReadonlyArray<Criterion>) => ({
  criteria: criteria.map(({ description, name }) => `- ${name}: ${description}`).join("\n"),
  example: JSON.stringify(Object.fromEntries(criteria.map(({ name }) => [name, 7])))
})

const gradesSchema = (criteria: ReadonlyArray<Criterion>): Json.JsonObject => ({
  type: "object",
  properties: Object.fromEntries(criteria.map(({ name }) => [name, { type: "number", minimum: 0, maximum: 10 }])),
  required: criteria.map(({ name }) => name),
  additionalProperties: false
})

/** The weighted mean of the grades in a reply. */
export const grades =
  (criteria: ReadonlyArray<Criterion>) =>
  (reply: string): Result.Result<number, string> => {
    const found = objectIn(reply)
    if (found === undefined) return Result.fail("has no JSON object")
    let [sum, weights] = [0, 0]
    for (const { name, weight } of criteria) {
      const grade = Object.hasOwn(found, name) ? found[name] : undefined
      if (typeof grade !== "number" || !(grade >= 0 && grade <= 10))
        return Result.fail(`has no number from 0 to 10 for ${JSON.stringify(name)}`)
      sum += weight * grade
      weights += weight
    }
    return Result.succeed(sum / weights)
  }

/** The reply as a JSON object, or the first one in it. */
const objectIn = (reply: string): Readonly<Record<string, unknown>> | undefined => {
  for (const text of [reply, ...reply.matchAll(/\{[^{}]*\}/g)].map(String)) {
    const parsed = Result.getOrElse(
      Result.try(() => JSON.parse(text) as unknown),
      () => undefined
    )
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>
  }
  return undefined
}
