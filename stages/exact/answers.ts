import { Arbitrary, Effect, Schema, Stream } from "effect"
import { Scored, type ScoredGroup } from "../../dsl/artifacts.ts"
import { ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, Index } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { type Policy, type Row, sampleRow } from "../../runtime/exact/Policy.ts"
import { goldFields } from "./goldFields.ts"
import { completionOf, type Gold, goldOf } from "./rows.ts"
import { WorldInvalid } from "./Worlds.ts"
import { bandit } from "./worlds/bandit.ts"

interface Options extends Gold {
  readonly groups: number
  readonly perGroup: number
  readonly contexts?: ReadonlyArray<number> | undefined
  readonly responses?: ReadonlyArray<number> | undefined
}

const groupOf = (world: World, policy: Policy, options: Options, rng: Rng.Rng, i: number): ScoredGroup => {
  const { contexts, perGroup, responses } = options
  const context = contexts === undefined ? i % policy.process.contexts : contexts[i % contexts.length]!
  const draws = rng.fork(i)
  const rows: ReadonlyArray<Row> =
    responses === undefined
      ? Array.from({ length: perGroup }, (_, j) => sampleRow(policy, context, draws.fork(j)))
      : responses.map((response) => ({ context, tokens: [response], finish: "stop" }))
  return {
    prompt: { id: `c${context}/${i}`, text: "" },
    completions: rows.map((row) => ({ ...completionOf(row), score: goldOf(world, row, options) }))
  }
}

const Case = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))).pipe(
  Arbitrary.map((seed) => {
    const rng = Rng.make(seed, "answers")
    const world = bandit({ contexts: 3, responses: 4, objectives: 2 }).implementation(rng)
    const gold = { objective: seed % 2, perToken: false, lengthWeight: 0, scale: 1 + (seed % 3) }
    return { rng, world, policy: policyOf(world.reference), options: { ...gold, groups: 5, perGroup: 1 + (seed % 4) } }
  })
)

const laws: ReadonlyArray<Law.Law> = [
  Law.make("has as many answers as asked for, contexts in turn", Case, ({ options, policy, rng, world }) =>
    [undefined, [2, 0]].every((contexts) =>
      [0, 1, 2, 3, 4].every((i) => {
        const { completions, prompt } = groupOf(world, policy, { ...options, contexts }, rng, i)
        return (
          completions.length === options.perGroup &&
          prompt.id === `c${contexts === undefined ? i % 3 : contexts[i % 2]}/${i}`
        )
      })
    )
  ),
  Law.make("scores answers by the reward asked for", Case, ({ options, policy, rng, world }) =>
    [0, 1, 2].every((i) =>
      groupOf(world, policy, options, rng, i).completions.every(
        ({ score, tokens }) => score === options.scale * world.rewards![options.objective]![i]![tokens![0]!]!
      )
    )
  ),
  Law.make("draws do not depend on how many there are", Case, ({ options, policy, rng, world }) => {
    const [few, many] = [options.perGroup, options.perGroup + 2].map((perGroup) =>
      groupOf(world, policy, { ...options, perGroup }, rng, 1).completions.map(({ text }) => text)
    )
    return String(many!.slice(0, few!.length)) === String(few)
  }),
  Law.make("lists the responses asked for, drawing none", Case, ({ options, policy, rng, world }) => {
    const { completions } = groupOf(world, policy, { ...options, responses: [3, 1] }, rng, 0)
    return String(completions.map(({ text }) => text)) === "3,1"
  })
]

/**
 * Groups of answers drawn from a policy (the world's reference unless `policy` is given), scored by a reward of the world.
 * **Details** Contexts in turn, all of them or those listed; group `i` answers the prompt `c<context>/<i>` and draws from fork
 * `i` of the generator. With `responses` each group holds these instead, whatever the policy. Fails with `WorldInvalid` where
 * the world has no such reward, context or response.
 */
export const answers = Stage.make({
  name: "exact.answers",
  description: "Scored answers of a policy in a world",
  module: import.meta.url,
  params: {
    groups: Count,
    perGroup: Count,
    contexts: Schema.optionalKey(Schema.NonEmptyArray(Index)),
    responses: Schema.optionalKey(Schema.NonEmptyArray(Index)),
    ...goldFields
  },
  input: WorldValue,
  inputs: { policy: Stage.optional(ExactPolicyValue) },
  output: Scored,
  random: true,
  laws,
  run: ({ input: world, inputs, params, rng }) =>
    Stream.unwrap(
      Effect.try({
        try: () => {
          const policy = policyOf(inputs.policy ?? world.reference)
          return Stream.range(0, params.groups - 1).pipe(Stream.map((i) => groupOf(world, policy, params, rng, i)))
        },
        catch: problemWith
      })
    ).pipe(Stream.catchDefect((cause) => Stream.fail(problemWith(cause))))
})

const problemWith = (cause: unknown) =>
  new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
