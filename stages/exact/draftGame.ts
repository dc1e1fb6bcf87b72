import { Effect } from "effect"
import { type Evaluation, EvaluationReport } from "../../dsl/artifacts.ts"
import { type ExactPolicy, ExactPolicyValue, type World, WorldValue } from "../../dsl/exactArtifacts.ts"
import * as Law from "../../dsl/Law.ts"
import { Index, Positive, withDefault } from "../../dsl/Params.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as Stage from "../../dsl/Stage.ts"
import { winRate } from "../../runtime/exact/bandit.ts"
import { policyOf } from "../../runtime/exact/families.ts"
import { dot, kl, type Numbers } from "../../runtime/exact/numbers.ts"
import { responseLogProbs } from "../../runtime/exact/Policy.ts"
import { logDirichlet } from "../../runtime/exact/random.ts"
import { estimate } from "../evaluate/estimates.ts"
import { draftContext, withDrafts } from "./drafts.ts"
import { Bandits } from "./generated.ts"
import { payoffsOf } from "./payoffs.ts"
import { improvedDraft, logImprovement } from "./solutions/improvedDraft.ts"
import { WorldInvalid } from "./Worlds.ts"

interface Options {
  readonly beta: number
  readonly random: number
}

const measured = (world: World, given: ExactPolicy, { beta, random }: Options, rng: Rng.Rng): Evaluation => {
  const [policy, reference] = [policyOf(given), policyOf(world.reference)]
  const { contexts } = reference.process
  const rows = Array.from({ length: contexts }, (_, context): Readonly<Record<string, number>> => {
    const preferences = payoffsOf(world, context, "win-rate")
    const base = responseLogProbs(reference, context)
    const own = responseLogProbs(policy, context)
    const logZ = Array.from(base, (_, y) => logImprovement(preferences, base, y, beta))
    const value = (logPolicy: Numbers) =>
      beta * (dot(Float64Array.from(logPolicy, Math.exp), logZ) + kl(logPolicy, base))
    const draws = Array.from({ length: random }, (_, i) =>
      value(logDirichlet(base.length, 1, rng.fork(context).fork(i)))
    )
    const plain = {
      value: value(own),
      ...(random === 0 ? {} : { "value/least_random": Math.min(...draws) - value(own) })
    }
    if (policy.process.contexts === contexts) return plain
    const improvers = Array.from(base, (_, draft) =>
      responseLogProbs(policy, draftContext(contexts, base.length, context, draft))
    )
    const I = (y: number, draft: number) => improvers[draft]![y]! - base[y]!
    const g = (y: number) => own[y]! - base[y]!
    const worst = (error: (y: number, z: number) => number) =>
      Math.max(...Array.from(base, (_, y) => Math.max(...Array.from(base, (_, z) => Math.abs(error(y, z))))))
    const revised = (drafts: Numbers) =>
      Array.from(drafts).reduce((sum, logProb, draft) => {
        const certain = Float64Array.from(drafts, (_, y) => (y === draft ? 1 : 0))
        return sum + Math.exp(logProb) * winRate(improvers[draft]!.map(Math.exp), certain, preferences)
      }, 0)
    return {
      ...plain,
      "identity1/max_error": worst((y, z) => preferences[y]![z]! - 0.5 - beta * (I(y, z) - I(z, z))),
      "identity2/max_error": worst((y, z) => g(y) - g(z) - I(y, y) + I(z, z)),
      "identity3/max_error": worst((y, z) => 2 * preferences[y]![z]! - 1 - beta * (I(y, z) + g(y) - I(z, y) - g(z))),
      "revised/win_rate": revised(base),
      "own/win_rate": revised(own)
    }
  })
  const over = (name: string) => rows.map((row) => row[name]!)
  return {
    estimates: {
      ...Object.fromEntries(
        Object.keys(rows[0]!).map((name) => [
          name,
          name.includes("max")
            ? estimate([Math.max(...over(name))])
            : name.includes("least")
              ? estimate([Math.min(...over(name))])
              : estimate(over(name))
        ])
      ),
      ...(rows[0]!["revised/win_rate"] === undefined
        ? {}
        : { "revised/least": estimate([Math.min(...over("revised/win_rate"))]) })
    },
    examples: []
  }
}

/** The solution in the contexts of a world and of its drafts. */
const solutionOf = (world: World, beta: number): ExactPolicy => {
  const { contexts } = policyOf(world.reference).process
  const drafted = withDrafts(world)
  const reference = policyOf(drafted.reference)
  const { implementation } = improvedDraft({ beta, contexts })
  const rows = Array.from({ length: reference.process.contexts }, (_, context) =>
    Array.from(implementation(drafted, context, responseLogProbs(reference, context)))
  )
  return {
    family: { kind: "softmax", contexts: rows.length, responses: rows[0]!.length },
    theta: rows.flat()
  }
}
const valueOf = (world: World, policy: ExactPolicy, name = "value") =>
  measured(world, policy, { beta: 0.5, random: 0 }, Rng.make(0, "law")).estimates[name]!.mean

const laws: ReadonlyArray<Law.Law> = [
  Law.make("no policy leaves less to improve than the solution", Bandits, ({ other, policy, world }) => {
    const least = valueOf(world, solutionOf(world, 0.5))
    return [policy, other, world.reference].every((each) => valueOf(world, each) >= least - 1e-12)
  }),
  Law.make("the solution obeys its three equations", Bandits, ({ world }) => {
    const solution = solutionOf(world, 0.5)
    return [1, 2, 3].every((k) => valueOf(world, solution, `identity${k}/max_error`) < 1e-9)
  }),
  Law.make(
    "its improver wins at least half of the time",
    Bandits,
    ({ world }) => valueOf(world, solutionOf(world, 0.5), "revised/least") >= 0.5 - 1e-12
  )
]

/**
 * A policy in the game of drafts, for a world without draft contexts; its contexts come first among the policy's, which may go
 * on with those of `exact.drafting`. Means over contexts with their intervals; names with `max` and `least` are the worst:
 *
 * - `value`: what the best improver makes of the policy's answers, `E beta ln Z(y) + beta KL(policy || reference)`; the
 *   generator wants it low. `value/least_random`: how far it lies below that of the lowest of `random` random policies;
 * - with draft contexts `identity1/max_error`, `identity2/max_error`, `identity3/max_error`: how far log-ratios are from the
 *   optimality equations of improver, generator, and both; `revised/win_rate`: that of the improver's answer against the draft,
 *   drafts from the reference, and `revised/least`; `own/win_rate`: the same with drafts from the policy itself.
 */
export const draftGame = Stage.make({
  name: "exact.draft-game",
  description: "A generator and an improver in the game of drafts",
  module: import.meta.url,
  params: { beta: Positive.pipe(withDefault(0.5)), random: Index.pipe(withDefault(0)) },
  input: WorldValue,
  inputs: { policy: ExactPolicyValue },
  output: EvaluationReport,
  random: true,
  laws,
  run: ({ input: world, inputs, params, rng }) =>
    Effect.try({
      try: () => measured(world, inputs.policy, params, rng),
      catch: (cause) => new WorldInvalid({ problem: cause instanceof Error ? cause.message : String(cause) })
    })
})
