import { Schema } from "effect"
import type { ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import type * as Node from "../../dsl/Node.ts"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { bestWorst, dpo, evaluate, exact, extrapolate, pair, sample, score, sppo } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import * as Games from "../testbeds/games.ts"
import * as SelfPlay from "../testbeds/selfPlay.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"

const BETA = 2
const ROUNDS = 8
const rounds = Array.from({ length: ROUNDS }, (_, t) => t + 1)
const named = (name: string) => rounds.map((t) => `${name}${t}`)

const GOLDEN = { reward: [1, 0.5, 0], reference: [0.2, 0.3, 0.5] }
/** Iterates of the golden world before (`hat`) and after extrapolation by 0.3, and without any. */
const ITERATES = {
  hat: [
    [0.35342, 0.32154, 0.32504],
    [0.579508, 0.27524, 0.145252],
    [0.769546, 0.182412, 0.048043]
  ],
  next: [
    [0.405779, 0.317752, 0.276469],
    [0.640815, 0.250437, 0.108748],
    [0.810655, 0.155992, 0.033353]
  ],
  plain: [0.685324, 0.229375, 0.085301]
}

/** The first answer beats the others. */
const WINNER = [
  [0.5, 0.6, 0.7],
  [0.4, 0.5, 0.6],
  [0.3, 0.4, 0.5]
]

/** How far the reward is scaled up after `t` rounds: `ln (policy / reference) = tau r` up to a constant. */
const tau = (t: number, alpha: number) => (t / (1 - alpha) - (alpha ** 2 * (1 - alpha ** t)) / (1 - alpha) ** 2) / BETA

/** What momentum adds to an estimate of the report, for each seed. */
const gainOfMomentum = (name: string) => (runs: ReadonlyArray<Checks.Run>) => {
  const at = (seed: unknown, alpha: number) =>
    runs.find(({ params }) => params["seed"] === seed && params["alpha"] === alpha)!
  return [...new Set(runs.map(({ params }) => params["seed"]))].map(
    (seed) => Checks.estimate("report", name)(at(seed, 0.3)) - Checks.estimate("report", name)(at(seed, 0))
  )
}

export default Pipeline.make(
  "accelerated-po",
  {
    description: "Accelerated Preference Optimization: iterative DPO with momentum from one iterate to the next",
    paper: { title: "Accelerated Preference Optimization for Large Language Model Alignment", arxiv: "2410.06293" },
    claim:
      "Iterative preference optimization is a proximal-point method, and extrapolating its iterates by alpha reduces the regret of t rounds from O(1/t) to O((1 - alpha)/t)",
    family: "direct",
    testbed: ["tabular", "text"],
    params: {
      /** How far each iterate goes on along the way from the one before; 0 is iterative DPO. */
      alpha: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThan(1)).pipe(withDefault(0.3)),
      beta: Positive.pipe(withDefault(0.1)),
      ...SelfPlay.roundFields
    },
    checks: [
      Checks.exact({
        name: "the iterates are those of the closed form",
        expected: "largest error of a probability below 1e-6 in three rounds with alpha 0.3",
        over: { alpha: [0.3] },
        outputs: ["golden1", "golden2", "golden3", "goldenHat1", "goldenHat2", "goldenHat3"],
        values: ([run]) =>
          [1, 2, 3].flatMap((t) => [
            Games.distance(Games.policyIn(run!, `golden${t}`), ITERATES.next[t - 1]!),
            Games.distance(Games.policyIn(run!, `goldenHat${t}`), ITERATES.hat[t - 1]!)
          ]),
        below: 1e-6
      }),
      Checks.exact({
        name: "without momentum they are those of iterative DPO",
        expected: "largest error of a probability below 1e-6 after three rounds",
        over: { alpha: [0] },
        outputs: ["golden3"],
        value: (run) => Games.distance(Games.policyIn(run, "golden3"), ITERATES.plain),
        below: 1e-6
      }),
      Checks.exact({
        name: "log-ratios are rewards times tau",
        expected: "largest error of ln (policy / reference) below 1e-9 in rounds 1 to 8, alpha 0, 0.3, 0.5 and 0.9",
        over: { alpha: [0, 0.3, 0.5, 0.9] },
        outputs: ["world", ...named("iterate")],
        values: (runs) => runs.flatMap((run) => rounds.map((t) => logRatioError(run, t))),
        below: 1e-9
      }),
      Checks.exact({
        name: "more momentum, less regret",
        expected: "regret at alpha 0 above that at 0.3 above that at 0.5: every round, each of 20 draws of 50 rewards",
        over: { alpha: [0, 0.3, 0.5] },
        outputs: ["world", ...named("iterate")],
        values: (runs) =>
          rounds.flatMap((t) => {
            const [none, some, more] = runs.map((run) => regrets(run, t))
            return none!.flatMap((regret, draw) => [regret - some![draw]!, some![draw]! - more![draw]!])
          }),
        above: 0
      }),
      Checks.exact({
        name: "alpha 0 is iterative DPO bit for bit",
        expected: "no parameter that differs in any round",
        over: { alpha: [0] },
        outputs: [...named("iterate"), ...named("plain")],
        values: ([run]) =>
          rounds.map((t) => {
            const [ours, theirs] = [Games.policyIn(run!, `iterate${t}`), Games.policyIn(run!, `plain${t}`)]
            return ours.theta.filter((x, i) => !Object.is(x, theirs.theta[i])).length
          }),
        below: 0.5
      }),
      Checks.exact({
        name: "gradient descent on the population loss of DPO finds the same iterates",
        expected: "largest error of a probability below 1e-4 after three rounds with momentum",
        over: { alpha: [0, 0.3] },
        outputs: ["descended"],
        value: Checks.estimate("descended", "target/max_error"),
        below: 1e-4
      }),
      Checks.exact({
        name: "extrapolating policies and extrapolating parameters is one",
        expected: "largest error of a probability below 1e-6 after three rounds",
        outputs: ["bySpace"],
        value: Checks.estimate("bySpace", "target/max_error"),
        below: 1e-6
      }),
      Checks.exact({
        name: "self-play gains by momentum too",
        expected: "mass on the winner of a game after 10 rounds of SPPO within 1e-3 of 0.867, 0.941 and 0.978",
        over: { alpha: [0, 0.3, 0.5] },
        outputs: ["selfPlay"],
        values: (runs) =>
          runs.map((run, i) => {
            const [[winner]] = Games.probabilities(Games.policyIn(run, "selfPlay")) as [Float64Array]
            return Math.abs(winner! - [0.867, 0.941, 0.978][i]!)
          }),
        below: 1e-3
      }),
      Checks.inEverySeed({
        name: "momentum costs no reward on text",
        expected: "VADER score after three rounds with alpha 0.3 at least that with 0 less 0.02, in every seed",
        over: { ...Checks.seeds(3), alpha: [0, 0.3] },
        outputs: ["report"],
        values: gainOfMomentum("judge/policy"),
        above: -0.02
      }),
      Checks.together({
        name: "it gains reward, and moves further, on average",
        expected: "mean over seeds of the smaller of both gains by momentum, in VADER score and in KL, above 0",
        over: { ...Checks.seeds(3), alpha: [0, 0.3] },
        outputs: ["report"],
        of: (runs) => Math.min(...["judge/policy", "kl"].map((name) => Checks.average(gainOfMomentum(name)(runs)))),
        above: 0
      })
    ]
  },
  ({ alpha, beta, rounds, ...scale }) => ({
    ...golden(alpha),
    ...random(alpha),
    ...trained(alpha),
    selfPlay: selfPlay(alpha),
    ...onText(alpha, beta, rounds, scale)
  })
)

/** Rounds of DPO on pairs by VADER, weights extrapolated after each. */
const onText = (alpha: number, beta: number, rounds: number, scale: Text.Amounts) => {
  const { baseSteps, learningRate, perPrompt, steps, testPrompts, trainPrompts } = scale
  const from: SelfPlay.Policy = Text.policy({ steps: baseSteps })
  const { next } = Pipeline.iterate(rounds, { hat: from, next: from }, (state, round) => {
    const pairs = Text.prompts({ split: "train", limit: trainPrompts }).pipe(
      sample({ policy: state.next, perPrompt, as: "train-samples" }),
      score({ reward: Text.judge, as: "train-scores" }),
      pair({ by: bestWorst(), as: "train-pairs" })
    )
    const objective = dpo({ beta })
    const hat = SelfPlay.trained(state.next, pairs, { objective, steps, learningRate, as: `policy-${round + 1}` })
    return { hat, next: hat.pipe(extrapolate({ previous: state.hat, alpha })) }
  })
  const report = Text.prompts({ split: "test", limit: testPrompts }).pipe(
    evaluate({ policy: next, reference: from, reward: Text.sentiment, judge: Text.judge, as: "report" })
  )
  return { policy: next, report }
}

type Policies = Node.Node<typeof ExactPolicyValue, unknown>

/** Rounds of an inner step from the extrapolated iterate, each followed by an extrapolation. */
const accelerated = (
  start: Policies,
  count: number,
  inner: (from: Policies) => Policies,
  extrapolation: { readonly alpha: number; readonly space?: "parameters" | "policies" }
) => {
  const iterates: Array<{ readonly hat: Policies; readonly next: Policies }> = []
  Pipeline.iterate(count, { hat: start, next: start }, (state) => {
    const hat = inner(state.next)
    const next = hat.pipe(exact.extrapolate({ previous: state.hat, ...extrapolation }))
    iterates.push({ hat, next })
    return { hat, next }
  })
  return iterates
}

const golden = (alpha: number) => {
  const world = exact.world({ world: exact.given({ reference: [GOLDEN.reference], rewards: [[GOLDEN.reward]] }) })
  const proximal = (from: Policies) => world.pipe(exact.solve({ from, solution: exact.klOptimum({ beta: 1 }) }))
  return Object.fromEntries(
    accelerated(world.pipe(exact.start()), 3, proximal, { alpha }).flatMap(({ hat, next }, t) => [
      [`golden${t + 1}`, next],
      [`goldenHat${t + 1}`, hat]
    ])
  )
}

/** Rounds in closed form, beside those of iterative DPO as such. */
const random = (alpha: number) => {
  const world = exact.world({ world: exact.bandit({ contexts: 20, responses: 50 }) })
  const start = world.pipe(exact.start())
  const proximal = (from: Policies) => world.pipe(exact.solve({ from, solution: exact.klOptimum({ beta: BETA }) }))
  const iterates = accelerated(start, ROUNDS, proximal, { alpha })
  const plain: Array<Policies> = []
  Pipeline.iterate(ROUNDS, start as Policies, (from) => {
    const next = proximal(from)
    plain.push(next)
    return next
  })
  return {
    world,
    ...Object.fromEntries(
      iterates.flatMap(({ next }, t) => [
        [`iterate${t + 1}`, next],
        [`plain${t + 1}`, plain[t]!]
      ])
    )
  }
}

/** Three rounds whose inner step is a descent on DPO's loss, beside the closed form; and the two spaces of extrapolation. */
const trained = (alpha: number) => {
  const world = exact.world({ world: exact.bandit({ contexts: 2, responses: 5 }), stream: "small" })
  const start = world.pipe(exact.start())
  const objective = dpo({ beta: BETA })
  const pairs = world.pipe(exact.population())
  const descent = (reference: Policies) =>
    pairs.pipe(
      exact.optimize({
        from: reference,
        reference,
        objective,
        by: "gradient-descent",
        learningRate: 4,
        steps: 4000,
        tolerance: 1e-8
      })
    )
  const proximal = (from: Policies) => world.pipe(exact.solve({ from, solution: exact.klOptimum({ beta: BETA }) }))
  const target = accelerated(start, 3, proximal, { alpha }).at(-1)!.next
  const descended = accelerated(start, 3, descent, { alpha }).at(-1)!.next
  const byPolicies = accelerated(start, 3, descent, { alpha, space: "policies" }).at(-1)!.next
  return {
    descended: Tabular.judged(world, descended, { target, as: "descended" }),
    bySpace: Tabular.judged(world, byPolicies, { target: descended, as: "by-space" })
  }
}

/** Ten rounds of SPPO in a game with an answer that beats all others. */
const selfPlay = (alpha: number) => {
  const world = Games.game([1, 1, 1], WINNER)
  const inner = (policy: Policies) =>
    world.pipe(
      exact.winRates({ policy, rate: 2 }),
      exact.optimize({ from: policy, reference: policy, objective: sppo({ eta: 2, logZ: "given" }) })
    )
  return accelerated(world.pipe(exact.start()), 10, inner, { alpha }).at(-1)!.next
}

/** The largest error of `ln (iterate / reference)` as `tau` times the reward, both without their mean. */
const logRatioError = (run: Checks.Run, t: number): number => {
  const world = Games.worldIn(run, "world")
  const [policy, reference] = [Games.policyIn(run, `iterate${t}`), world.reference].map(Games.logProbabilities)
  const scale = tau(t, run.params["alpha"] as number)
  return Math.max(
    ...world.rewards![0]!.map((reward, context) => {
      const errors = reward.map((r, y) => policy![context]![y]! - reference![context]![y]! - scale * r)
      const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length
      return Math.max(...errors.map((error) => Math.abs(error - mean)))
    })
  )
}

/** What the iterate of a round is short of the best reward, for each draw of rewards. */
const regrets = (run: Checks.Run, t: number): ReadonlyArray<number> => {
  const policy = Games.probabilities(Games.policyIn(run, `iterate${t}`))
  return Games.worldIn(run, "world").rewards![0]!.map((reward, context) => {
    const best = Math.max(...reward)
    return reward.reduce((sum, r, y) => sum + policy[context]![y]! * (best - r), 0)
  })
}
