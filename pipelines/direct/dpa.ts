import type { ExactPolicy, ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import type * as Node from "../../dsl/Node.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import type * as Stage from "../../dsl/Stage.ts"
import { exact, sft } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import * as Tabular from "../testbeds/tabular.ts"

/** The angles in degrees at which policies are tried: the first contexts of the arc. None of them was trained on. */
const ANGLES = [-45, -30, -15, 0, 15, 30, 45] as const
const DIRECTIONS = 48
const TRIED = ANGLES.map((_, context) => context)
const TRAINED = Array.from({ length: DIRECTIONS }, (_, i) => ANGLES.length + i) as [number, ...Array<number>]
const FIRST = 0
const LAST = ANGLES.length - 1

/** Expected reward `k` at an angle, by its place among `ANGLES`. */
const at = (output: string, k: number, context: number) => Checks.estimate(output, `reward${k}/c${context}`)
const spread = (output: string) => Checks.difference(at(output, 2, LAST), at(output, 2, FIRST))
const steps = (run: Checks.Run, value: (context: number) => (run: Checks.Run) => number) =>
  TRIED.slice(1).map((context) => value(context)(run) - value(context - 1)(run))

/** A bound on the mean over seeds, not on its interval: how much one direction gains depends on a few radii. */
const exceeds = (baseline: "scalar" | "unconditioned", context: number) =>
  Checks.inMean({
    name: `at ${ANGLES[context]} degrees the directional reward exceeds that of ${baseline} fine-tuning`,
    expected: "by at least 0.3 on average over 8 seeds (the mean, not its interval)",
    over: Checks.seeds(8),
    outputs: ["dpa", baseline],
    value: Checks.difference(at("dpa", 0, context), at(baseline, 0, context)),
    above: 0.3
  })

const ROUNDS = 6
const SMALL = { contexts: 2, responses: 5 } as const
const klBound = (n: number) => Math.log(n) - (n - 1) / n
const population = (round: number) => `population${round}`

/** The largest difference of two lists of numbers. */
const distance = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i]!)))
const thetaOf = (run: Checks.Run, output: string) => (run.outputs[output] as ExactPolicy).theta

export default Pipeline.make(
  "dpa",
  {
    description: "Directional preference alignment: one policy that follows any direction in the space of rewards",
    paper: {
      title:
        "Arithmetic Control of LLMs for Diverse User Preferences: Directional Preference Alignment with Multi-Objective Rewards",
      arxiv: "2402.18571"
    },
    claim:
      "Iterated fine-tuning on the best of n answers, each for a direction that the policy is told, gives one policy that is steered between rewards by arithmetic",
    family: "direct",
    testbed: ["tabular"],
    params: {
      /** Answers among which the best one is kept. */
      n: Count.pipe(withDefault(8)),
      rounds: Count.pipe(withDefault(ROUNDS))
    },
    checks: [
      Checks.exact({
        name: "maximum likelihood on all winners is the law of the best of n",
        expected: "largest error of a probability below 1e-6",
        outputs: ["winners"],
        value: Checks.estimate("winners", "target/max_error"),
        below: 1e-6
      }),
      Checks.exact({
        name: "its KL keeps to the bound ln n - (n - 1) / n",
        expected: "KL less the bound at every angle, n = 2, below 1e-12",
        outputs: [population(1)],
        values: ([run]) => TRIED.map((c) => Checks.estimate(population(1), `kl/c${c}`)(run!) - klBound(2)),
        below: 1e-12
      }),
      Checks.exact({
        name: "the directional reward rises in every round",
        expected: "least rise over 6 rounds and all angles above 0",
        outputs: Array.from({ length: ROUNDS + 1 }, (_, round) => population(round)),
        values: ([run]) =>
          TRIED.flatMap((c) =>
            Array.from(
              { length: ROUNDS },
              (_, round) => at(population(round + 1), 0, c)(run!) - at(population(round), 0, c)(run!)
            )
          ),
        above: 0
      }),
      Checks.exact({
        name: "directional rewards are inner products with the direction",
        expected: "(0.8, -0.6) makes 20, 34 and 10 of (70, 60), (65, 30) and (80, 90): largest error below 1e-9",
        outputs: ["directional"],
        value: (run) => {
          const logits = thetaOf(run, "directional")
          return distance(
            logits.map((logit) => logit - logits[0]!),
            [0, 14, -10]
          )
        },
        below: 1e-9
      }),
      Checks.exact({
        name: "the second of them is selected",
        expected: "its probability among the best of 64 above 1 - 1e-9",
        outputs: ["selected"],
        value: (run) => Math.exp(thetaOf(run, "selected")[1]!),
        above: 1 - 1e-9
      }),
      Checks.exact({
        name: "a direction of another length selects the same",
        expected: "largest difference of a log-probability below 1e-12",
        outputs: ["selected", "selectedByScaled"],
        value: (run) => distance(thetaOf(run, "selected"), thetaOf(run, "selectedByScaled")),
        below: 1e-12
      }),
      Checks.exact({
        name: "the best of two of (0.5, 0.3, 0.2) are (0.25, 0.39, 0.36)",
        expected: "largest error below 1e-12",
        outputs: ["bestOfTwo"],
        value: (run) => distance(thetaOf(run, "bestOfTwo").map(Math.exp), [0.25, 0.39, 0.36]),
        below: 1e-12
      }),
      Checks.inEverySeed({
        name: "the second reward follows the angle",
        expected: "never falls by more than 0.05 from one angle to the next, in each of 4 seeds",
        over: Checks.seeds(4),
        outputs: ["dpa"],
        value: (run) => Math.min(...steps(run, (context) => at("dpa", 2, context))),
        above: -0.05
      }),
      Checks.inEverySeed({
        name: "it is steered far",
        expected: "from -45 to 45 degrees by at least 1.5 in each of 4 seeds",
        over: Checks.seeds(4),
        outputs: ["dpa"],
        value: spread("dpa"),
        above: 1.5
      }),
      ...(["scalar", "unconditioned"] as const).map((baseline) =>
        Checks.exact({
          name: `${baseline} fine-tuning cannot be steered`,
          expected: "second reward the same at -45 and 45 degrees, in each of 4 seeds: difference below 1e-12",
          over: Checks.seeds(4),
          outputs: [baseline],
          value: (run) => Math.abs(spread(baseline)(run)),
          below: 1e-12
        })
      ),
      ...(["scalar", "unconditioned"] as const).flatMap((baseline) =>
        [FIRST, LAST].map((context) => exceeds(baseline, context))
      ),
      Checks.inEverySeed({
        name: "at every angle, seen or unseen, the directional reward exceeds the initial policy's",
        expected: "by at least 0.6 at the worst angle of each of 8 seeds",
        over: Checks.seeds(8),
        outputs: ["dpa", "initial"],
        value: (run) =>
          Math.min(...[...TRIED, ...TRAINED].map((c) => Checks.difference(at("dpa", 0, c), at("initial", 0, c))(run))),
        above: 0.6
      })
    ]
  },
  ({ n, rounds }) => ({ ...infinite(), ...goldens(), ...steered(n, rounds) })
)

const objective = sft()
const TRAINING = { by: "gradient-descent", learningRate: 3, steps: 150 } as const

type Failure = Stage.Error<typeof exact.world> | Stage.Error<typeof exact.bestOf> | Stage.Error<typeof exact.optimize>
type Policy = Node.Node<typeof ExactPolicyValue, Failure, never>

/** The policy that a round starts from, for an objective that reads a reference; maximum likelihood reads none. */
const referring = (reference: Policy) => {
  const { reads }: { readonly reads: { readonly reference: boolean } } = objective.implementation
  return reads.reference ? { reference } : {}
}

/** Rounds of infinitely many samples. */
const infinite = () => {
  const small = exact.world({ world: exact.normalBandit(SMALL), as: "small" })
  const start = small.pipe(exact.start())
  const fitted = small.pipe(exact.bestOf({ n: 3 }), exact.optimize({ from: start, objective, ...referring(start) }))
  const law = small.pipe(exact.solve({ solution: exact.bestOfN({ n: 3 }), as: "best-of-three" }))
  const arc = exact.world({ world: exact.arc(), as: "arc" })
  const swept = (policy: ReturnType<ReturnType<typeof exact.solve>>, round: number) =>
    arc.pipe(exact.sweep({ policy, contexts: TRIED, as: population(round) }))
  const first = arc.pipe(exact.start())
  const { reports } = Pipeline.iterate(
    ROUNDS,
    { policy: first, reports: [swept(first, 0)] },
    ({ policy, reports }, round) => {
      const next = arc.pipe(exact.solve({ solution: exact.bestOfN({ n: 2 }), from: policy }))
      return { policy: next, reports: [...reports, swept(next, round + 1)] }
    }
  )
  return {
    winners: Tabular.judged(small, fitted, { target: law, as: "winners" }),
    ...Object.fromEntries(reports.map((report, round) => [population(round), report]))
  }
}

/** The paper's arithmetic on three answers. */
const goldens = () => {
  const rated = exact.given({
    reference: [[1, 1, 1]],
    rewards: [[[70, 65, 80]], [[60, 30, 90]]]
  })
  const answers = exact.world({ world: rated, as: "rated" })
  const ordered = exact.world({
    world: exact.given({ reference: [[0.5, 0.3, 0.2]], rewards: [[[1, 2, 3]]] }),
    as: "ordered"
  })
  const selected = (scale: number, as: string) =>
    answers.pipe(exact.solve({ solution: exact.bestOfN({ n: 64, weights: [0.8 * scale, -0.6 * scale] }), as }))
  return {
    directional: answers.pipe(exact.solve({ solution: exact.boltzmann({ weights: [0.8, -0.6] }), as: "directional" })),
    selected: selected(1, "selected"),
    selectedByScaled: selected(37, "selected-by-scaled"),
    bestOfTwo: ordered.pipe(exact.solve({ solution: exact.bestOfN({ n: 2 }), as: "best-of-two" }))
  }
}

/** Rounds of 600 answers to directions between -45 and 45 degrees, each the best of `n`. */
const steered = (n: number, rounds: number) => {
  const told = exact.world({ world: exact.arc({ directions: DIRECTIONS }) })
  const untold = exact.world({ world: exact.arc({ directions: DIRECTIONS, conditioned: false }) })
  const forward = exact.world({ world: exact.arc({ directions: 1, conditioned: false }) })
  const tuned = (world: typeof told, contexts: typeof TRAINED, reward: number) =>
    Pipeline.iterate<Policy>(rounds, world.pipe(exact.start()), (policy) =>
      world.pipe(
        exact.bestOf({ n, groups: 600, contexts, objective: reward, policy }),
        exact.optimize({ ...TRAINING, from: policy, objective, ...referring(policy) })
      )
    )
  const swept = (world: typeof told, policy: Policy, as: string) =>
    world.pipe(exact.sweep({ policy, contexts: as === "scalar" ? TRIED : [...TRIED, ...TRAINED], as }))
  return {
    initial: swept(told, told.pipe(exact.start()), "initial"),
    dpa: swept(told, tuned(told, TRAINED, 0), "dpa"),
    scalar: swept(forward, tuned(forward, [ANGLES.length], 1), "scalar"),
    unconditioned: swept(untold, tuned(untold, TRAINED, 0), "unconditioned")
  }
}
