import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import * as O from "../../stages/index.ts"
import { dpo, dpop, exact, fDpo, hinge, ipo, rdpo, robust, simpo, sppoHard } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import { type AnyObjective, differenceError, lossOf, type Summary, slopesOf } from "../testbeds/objectives.ts"
import { trained } from "../testbeds/sequences.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"

/** `ln policy / reference` is 1 for the chosen answer and -0.5 for the rejected one, of 4 and 6 tokens. */
const PAIR: Summary = { chosen: [4, -10, -11], rejected: [6, -12, -11.5] }
/** The chosen answer less likely than under the reference. */
const BELOW: Summary = { chosen: [4, -12, -11], rejected: [6, -12, -11.5] }
const OFFSET: Summary = { ...PAIR, numbers: { offset: 0.3 } }
const DRIFTED: Summary = { ...PAIR, others: { mismatched: [1, -1, -1.2] } }

/** What objectives cost there, at beta = tau = 0.1. */
const GOLDENS: ReadonlyArray<readonly [AnyObjective, number, Summary?]> = [
  [dpo(), 0.620957],
  [dpo({ labelSmoothing: 0.1 }), 0.635957],
  [robust({ labelSmoothing: 0.1 }), 0.602207],
  [hinge(), 0.85],
  [ipo(), 12.25],
  [ipo({ lengthNormalized: true }), 21.777778],
  [O.exoPair(), 2.505517],
  [O.ncaPair(), 1.350825],
  [O.bcoPair(), 1.312856],
  [sppoHard(), 36.25],
  [O.apoZero(), 0.962523],
  [O.apoDown(), 0.987549],
  [O.discopop(), 0.849338],
  [O.sigmoidNorm({ beta: 0.1 }), 0.676619],
  [fDpo({ divergence: "forward_kl" }), 0.631154],
  [fDpo({ divergence: "jsd" }), 0.660652],
  [fDpo({ divergence: "alpha", alpha: 0.5 }), 0.627691],
  [O.odpo(), 0.770957, OFFSET],
  [rdpo({ alpha: 0.05 }), 0.66846],
  [dpop({ lambda: 5 }), 0.620957],
  [dpop({ lambda: 5 }), 1.005492, BELOW],
  [simpo({ beta: 2, gammaBetaRatio: 0.5 }), 2.126928],
  [O.cpo(), 3.098139],
  [O.orpo(), 2.601169],
  [O.kto({ desirableWeight: 2, undesirableWeight: 0 }), 0.480011, DRIFTED],
  [O.kto({ desirableWeight: 0, undesirableWeight: 2 }), 0.482507, DRIFTED],
  [O.slicHf(), 1],
  [O.rrhf(), 10.5],
  [O.withSft({ objective: dpo(), weight: 1 }), 3.120957]
]

/** One of each objective that the survey compares, and of the reproduction's others. */
const REGISTRY: ReadonlyArray<AnyObjective> = [
  ...GOLDENS.map(([objective]) => objective),
  ...[O.aot(), O.aotUnpaired(), O.bco(), O.betaDpo(), O.brain(), O.dno(), O.gpo(), O.ldDpo(), O.modpo()],
  ...[O.plackettLuce(), O.rpo(), O.sft(), O.sppo(), O.srpo(), O.tgdpo(), O.tpo(), O.tpoL(), O.vpo(), O.wpo()],
  ...[O.bradleyTerry(), O.gpm(), O.withDegree({ objective: dpo() })]
]

const SLOPE = 0.3
const NOISE = 0.1
const LENGTH = 0.05
const EQUAL: Summary = { chosen: [4, -11, -11], rejected: [6, -11.5, -11.5] }
const ofGap = (slope: number) => ({ chosen: slope, rejected: -slope })
/** Derivatives where the policy is the reference. */
const SLOPES: ReadonlyArray<readonly [AnyObjective, { readonly chosen: number; readonly rejected: number }]> = [
  [dpo({ beta: SLOPE }), ofGap(-SLOPE / 2)],
  [hinge({ beta: SLOPE }), ofGap(-SLOPE)],
  [ipo({ tau: SLOPE }), ofGap(-1 / SLOPE)],
  [robust({ beta: SLOPE, labelSmoothing: NOISE }), ofGap(-SLOPE / (2 * (1 - 2 * NOISE)))],
  [dpo({ beta: SLOPE, labelSmoothing: NOISE }), ofGap((-SLOPE * (1 - 2 * NOISE)) / 2)],
  [rdpo({ beta: SLOPE, alpha: LENGTH }), ofGap(-SLOPE / (1 + Math.exp(LENGTH * (4 - 6))))],
  [sppoHard({ beta: SLOPE }), ofGap(-1 / SLOPE)]
]

const BETA = 0.5
const FLIPS = [0.1, 0.2, 0.3] as const
const DIVERGENCES = ["forward_kl", "jsd", "alpha"] as const
/** How much the judge likes each symbol as such; what `rdpo` puts down to length. */
const LENGTH_WEIGHT = 0.15
const SIMPO_LENGTH =
  "over 12 seeds simpo writes 0.3 symbols less on average, but from 2.1 less to 1.5 more: that it writes less is clear only where the gold does not like length"
const TABLE = ["dpo", "simpo", "ipo", "hinge"] as const

/** Of one estimate, how far the first output lies above the second. */
const lead = (a: string, b: string, name: string) =>
  Checks.difference(Checks.estimate(a, name), Checks.estimate(b, name))
const seeds = (count = 3) => Checks.seeds(count)

export default Pipeline.make(
  "survey",
  {
    description:
      "Objectives of direct preference optimization compared under the same data, start, optimizer and budget",
    paper: { title: "A Survey of Direct Preference Optimization", arxiv: "2503.11701" },
    claim:
      "Variants differ in data, framework, constraint and model property, and a comparison in one setting shows which failure each of them cures",
    family: "direct",
    testbed: ["text", "tabular", "sequences"],
    params: {
      /** Of all objectives with a reference, on text. */
      beta: Positive.pipe(withDefault(0.1)),
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      Checks.exact({
        name: "objectives cost what their equations say",
        expected: `${GOLDENS.length} golden values, largest difference below 1e-6`,
        outputs: [],
        values: () => GOLDENS.map(([objective, value, summary = PAIR]) => Math.abs(lossOf(objective, summary) - value)),
        below: 1e-6
      }),
      Checks.exact({
        name: "slopes are differences of the losses",
        expected: `${REGISTRY.length} objectives on random items, largest relative difference below 1e-6`,
        outputs: [],
        values: () => REGISTRY.map((objective) => differenceError(objective)),
        below: 1e-6
      }),
      Checks.exact({
        name: "at the reference the slopes are the known ones",
        expected: "of dpo, hinge, ipo, robust, conservative dpo, rdpo and sppo-hard, largest difference below 1e-12",
        outputs: [],
        values: () =>
          SLOPES.flatMap(([objective, expected]) => {
            const found = slopesOf(objective, EQUAL)
            return [Math.abs(found.chosen - expected.chosen), Math.abs(found.rejected - expected.rejected)]
          }),
        below: 1e-12
      }),
      Checks.exact({
        name: "the logistic loss ends at the optimum of reward and KL",
        expected: "largest error of a probability below 1e-6",
        outputs: ["sigmoid"],
        value: Checks.estimate("sigmoid", "target/max_error"),
        below: 1e-6
      }),
      Checks.exact({
        name: "ipo ends at the optimum of win rate and KL for any preferences",
        expected: "largest error of a log-probability below 1e-6, intransitive preferences of 4 problems",
        outputs: ["ipo"],
        value: Checks.estimate("ipo", "target/max_log_error"),
        below: 1e-6
      }),
      Checks.exact({
        name: "robust dpo does not see flipped labels",
        expected: "KL to the optimum of the clean labels below 1e-9 nats at rates 0.1, 0.2 and 0.3",
        outputs: FLIPS.map((flip) => `robust.${flip}`),
        values: (runs) =>
          runs.flatMap((run) => FLIPS.map((flip) => Checks.estimate(`robust.${flip}`, "target/kl_reverse")(run))),
        below: 1e-9
      }),
      Checks.exact({
        name: "dpo sees flipped labels",
        expected: "KL to the optimum of the clean labels above 0.03 nats at rates 0.1, 0.2 and 0.3",
        outputs: FLIPS.map((flip) => `dpo.${flip}`),
        values: (runs) =>
          runs.flatMap((run) => FLIPS.map((flip) => Checks.estimate(`dpo.${flip}`, "target/kl_reverse")(run))),
        above: 0.03
      }),
      Checks.exact({
        name: "f-dpo ends where reward and f'(policy / reference) differ by a constant",
        expected: "largest error of a log-probability below 1e-5: forward KL, Jensen-Shannon, alpha 0.5",
        outputs: DIVERGENCES.map((divergence) => `f.${divergence}`),
        values: (runs) =>
          runs.flatMap((run) => DIVERGENCES.map((f) => Checks.estimate(`f.${f}`, "target/max_log_error")(run))),
        below: 1e-5
      }),
      Checks.onAverage({
        name: "noise: robust dpo wins no less than dpo",
        expected:
          "gold win rate against the start, lead over dpo above -0.01 with 20 % flipped labels, 95 % interval of 12 seeds included",
        over: seeds(12),
        outputs: ["noisyRobust", "noisyDpo"],
        value: lead("noisyRobust", "noisyDpo", "win_rate"),
        above: -0.01
      }),
      Checks.inEverySeed({
        name: "noise: conservative dpo keeps its margins smaller than dpo",
        expected: "mean |beta d| less than dpo's with 20 % flipped labels, every seed",
        over: seeds(),
        outputs: ["noisyMarginsDpo", "noisyMarginsCdpo"],
        value: lead("noisyMarginsDpo", "noisyMarginsCdpo", "rewards/abs_margins"),
        above: 0
      }),
      Checks.onAverage({
        name: "length bias: simpo writes no more than dpo",
        expected: "mean length at most dpo's where the gold likes length, 95 % interval of 12 seeds included",
        over: seeds(12),
        outputs: ["biasedDpo", "biasedSimpo"],
        value: lead("biasedDpo", "biasedSimpo", "length/policy"),
        above: -1e-9,
        knownGap: SIMPO_LENGTH
      }),
      Checks.inEverySeed({
        name: "length bias: rdpo writes no more than dpo",
        expected: "mean length at most dpo's where the gold likes length, every seed",
        over: seeds(),
        outputs: ["biasedDpo", "biasedRdpo"],
        value: lead("biasedDpo", "biasedRdpo", "length/policy"),
        above: -1e-9
      }),
      Checks.inEverySeed({
        name: "near-duplicates: dpop keeps chosen answers as likely as they were",
        expected: "mean change of ln policy(chosen) at least -0.05 nats, every seed",
        over: seeds(),
        outputs: ["nearStart", "nearDpop"],
        value: lead("nearDpop", "nearStart", "logps/chosen"),
        above: -0.05
      }),
      Checks.inEverySeed({
        name: "near-duplicates: under dpo chosen answers fare worse than under dpop",
        expected: "mean ln policy(chosen) lower than dpop's, every seed",
        over: seeds(),
        outputs: ["nearDpo", "nearDpop"],
        value: lead("nearDpop", "nearDpo", "logps/chosen"),
        above: 0
      }),
      Checks.inEverySeed({
        name: "on text every objective of the table gains",
        expected: `the judge's sentiment above the start's: ${TABLE.join(", ")}, every seed`,
        outputs: TABLE.map((name) => `text.${name}`),
        value: (run) => Math.min(...TABLE.map((name) => Checks.estimate(`text.${name}`, "judge/gain")(run))),
        above: 0
      })
    ]
  },
  ({ baseSteps, beta, ...scale }) => {
    const from = Text.policy({ steps: baseSteps })
    const report = (name: string, objective: AnyObjective) =>
      [`text.${name}`, Text.experiment({ from, objective, ...scale, as: name }).report] as const
    return {
      ...Object.fromEntries([
        report("dpo", dpo({ beta })),
        report("simpo", simpo()),
        report("ipo", ipo({ tau: beta })),
        report("hinge", hinge({ beta }))
      ]),
      ...optima(),
      ...stresses()
    }
  }
)

/** Population losses on bandits: with all pairs as often as they occur, flipped where told. */
const optima = () => {
  const world = exact.world({
    world: exact.given({ reference: [[0.4, 0.25, 0.15, 0.12, 0.08]], rewards: [[[1.5, 0.5, 0, -0.5, -1.5]]] })
  })
  const optimum = world.pipe(exact.solve({ solution: exact.klOptimum({ beta: BETA }) }))
  const ends = (objective: AnyObjective, flip = 0, target = optimum) =>
    Tabular.judged(world, Tabular.populationOptimum(world, { objective, flip }), { target, beta: BETA })
  const intransitive = exact.world({ world: exact.bandit({ preferences: "general" }) })
  return {
    sigmoid: ends(dpo({ beta: BETA })),
    ipo: Tabular.judged(intransitive, Tabular.populationOptimum(intransitive, { objective: ipo({ tau: BETA }) }), {
      target: intransitive.pipe(exact.solve({ solution: exact.ipoOptimum({ tau: BETA }) }))
    }),
    ...Object.fromEntries(
      FLIPS.flatMap((flip) => [
        [`robust.${flip}`, ends(robust({ beta: BETA, labelSmoothing: flip }), flip)],
        [`dpo.${flip}`, ends(dpo({ beta: BETA }), flip)]
      ])
    ),
    ...Object.fromEntries(
      DIVERGENCES.map((divergence) => {
        const target = world.pipe(exact.solve({ solution: exact.fOptimum({ divergence, beta: BETA }) }))
        return [`f.${divergence}`, ends(fDpo({ beta: BETA, divergence }), 0, target)]
      })
    )
  }
}

/** Sequences, one budget for all: pairs with wrong labels, pairs of a judge that likes length, pairs that hardly differ. */
const stresses = () => {
  const world = exact.world({ world: exact.sequences() })
  const reference = world.pipe(exact.start())
  const budget = { by: "adam", steps: 300, learningRate: 0.01 } as const
  const gold = { perToken: true, scale: 4 }
  const beta = 0.1
  const objectives = {
    dpo: dpo({ beta }),
    cdpo: dpo({ beta, labelSmoothing: 0.2 }),
    robust: robust({ beta, labelSmoothing: 0.2 }),
    simpo: simpo(),
    rdpo: rdpo({ beta, alpha: LENGTH_WEIGHT }),
    dpop: dpop({ beta, lambda: 5 })
  }
  type Name = keyof typeof objectives
  const noisy = world.pipe(exact.comparisons({ ...gold, count: 300, flip: 0.2, stream: "noisy" }))
  const biased = world.pipe(exact.comparisons({ ...gold, count: 300, lengthWeight: LENGTH_WEIGHT, stream: "biased" }))
  const near = world.pipe(exact.edits({ count: 300 }))
  const learned = (pairs: typeof noisy, name: Name) => trained(world, pairs, { objective: objectives[name], ...budget })
  const nearTo = (policy: ReturnType<typeof learned>) =>
    near.pipe(exact.preference({ objective: objectives.dpo, policy, reference }))
  const margins = (name: Name) =>
    noisy.pipe(exact.preference({ objective: objectives.dpo, policy: learned(noisy, name), reference }))
  return {
    noisyDpo: world.pipe(exact.duel({ ...gold, policy: learned(noisy, "dpo") })),
    noisyRobust: world.pipe(exact.duel({ ...gold, policy: learned(noisy, "robust") })),
    noisyMarginsDpo: margins("dpo"),
    noisyMarginsCdpo: margins("cdpo"),
    biasedDpo: Tabular.judged(world, learned(biased, "dpo")),
    biasedSimpo: Tabular.judged(world, learned(biased, "simpo")),
    biasedRdpo: Tabular.judged(world, learned(biased, "rdpo")),
    nearStart: near.pipe(exact.preference({ objective: objectives.dpo, policy: reference, reference })),
    nearDpo: nearTo(learned(near, "dpo")),
    nearDpop: nearTo(learned(near, "dpop"))
  }
}
