import { Arbitrary, Effect, Schema, Stream } from "effect"
import { type Completion, type CompletionGroup, Completions, type Pair, Pairs } from "../../dsl/artifacts.ts"
import * as Law from "../../dsl/Law.ts"
import * as Stage from "../../dsl/Stage.ts"
import { SomePairs } from "./generated.ts"

/** The calibration answers do not fit the pairs. */
export class CalibrationInvalid extends Schema.TaggedError<CalibrationInvalid>()("CalibrationInvalid", {
  prompt: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `calibration answers, prompt ${JSON.stringify(this.prompt)}: ${this.problem}`
  }
}

const byPrompt = <E, R>(groups: Stream.Stream<CompletionGroup, E, R>) =>
  Stream.runFoldEffect(
    groups,
    () => new Map<string, Completion>(),
    (known, { completions: [first], prompt }) => {
      if (known.has(prompt.id))
        return Effect.fail(new CalibrationInvalid({ prompt: prompt.id, problem: "it is answered in two places" }))
      return Effect.sync(() => (first === undefined ? known : known.set(prompt.id, first)))
    }
  )

const joined = (pair: Pair, known: ReadonlyMap<string, Completion>): Effect.Effect<Pair, CalibrationInvalid> => {
  const completion = known.get(pair.prompt.id)
  return completion === undefined
    ? Effect.fail(new CalibrationInvalid({ prompt: pair.prompt.id, problem: `no answer, which ${pair.id} needs` }))
    : Effect.succeed({ ...pair, others: { ...pair.others, calibration: { completion } } })
}

const calibrated = <E1, R1, E2, R2>(
  pairs: Stream.Stream<Pair, E1, R1>,
  groups: Stream.Stream<CompletionGroup, E2, R2>
) => Stream.unwrap(Effect.map(byPrompt(groups), (known) => Stream.mapEffect(pairs, (pair) => joined(pair, known))))

const answersTo = (pairs: ReadonlyArray<Pair>): ReadonlyArray<CompletionGroup> =>
  [...new Map(pairs.map(({ prompt }) => [prompt.id, prompt])).values()].map((prompt) => ({
    prompt,
    completions: [` of ${prompt.id}`, " another"].map((text) => ({ text, finish: "stop" }))
  }))
const run = (pairs: ReadonlyArray<Pair>, groups: ReadonlyArray<CompletionGroup>) =>
  Stream.runCollect(calibrated(Stream.fromIterable(pairs), Stream.fromIterable(groups)))
const Turned = Arbitrary.all([
  SomePairs,
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 })))
])

const laws: ReadonlyArray<Law.Law> = [
  Law.make("gives each pair the first answer to its own prompt", SomePairs, (pairs) =>
    Effect.map(run(pairs, answersTo(pairs)), (made) =>
      made.every(({ others, prompt }) => others!["calibration"]!.completion.text === ` of ${prompt.id}`)
    )
  ),
  Law.make("does not depend on the order of the answers, nor on those to other prompts", Turned, ([pairs, turn]) => {
    const groups = answersTo(pairs)
    const more = [
      { prompt: { id: "other", text: "" }, completions: [] },
      ...groups.slice(turn),
      ...groups.slice(0, turn)
    ]
    return Effect.map(
      Effect.all([run(pairs, groups), run(pairs, more)]),
      ([made, again]) => JSON.stringify(made) === JSON.stringify(again)
    )
  }),
  Law.make("keeps all else of every pair, in order", SomePairs, (pairs) =>
    Effect.map(run(pairs, answersTo(pairs)), (made) =>
      made.every(({ others, ...pair }, i) => {
        const { calibration: _, ...kept } = others!
        const { others: before, ...own } = pairs[i]!
        return JSON.stringify([own, before ?? {}]) === JSON.stringify([pair, kept])
      })
    )
  ),
  Law.make("fails where a prompt has no answer", SomePairs, (pairs) =>
    Effect.map(Effect.flip(run(pairs, answersTo(pairs).slice(1))), (error) => error instanceof CalibrationInvalid)
  )
]

/**
 * Gives each pair `others.calibration`: the first answer to its prompt among `calibration`, say one drawn from a
 * reference.
 * **Details** Joined by the prompt's id. Fails with `CalibrationInvalid` for a pair without such an answer and for a
 * prompt that is answered in two places. Holds one answer a prompt.
 * **Source** Cen et al. 2024, arXiv 2405.19320 (VPO): the value term needs the log-ratio of such answers.
 */
export const withCalibration = Stage.make({
  name: "pair.with-calibration",
  description: "Pairs with a calibration answer to their prompt",
  module: import.meta.url,
  params: {},
  input: Pairs,
  inputs: { calibration: Completions },
  output: Pairs,
  laws,
  run: ({ input, inputs }) => calibrated(input.stream, inputs.calibration.stream)
})
