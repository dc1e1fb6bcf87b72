import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { brain, dpo, exact, group, tournament } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import * as Tabular from "../testbeds/tabular.ts"

type Estimator = "self-normalized" | "no-baseline" | "dpg" | "gdc"

const largest = (output: string, name: string) => (run: Checks.Run) =>
  run.outputs[output].estimates[name].high as number
const smallest = (output: string, name: string) => (run: Checks.Run) =>
  run.outputs[output].estimates[name].low as number
const variance = (output: string) => Checks.estimate(output, "variance")

const overVariance = (output: string, what: string, above: number): ReturnType<typeof Checks.inEverySeed> =>
  Checks.inEverySeed({
    name: `the variance of ${what} is larger`,
    expected: `than BRAIn's at least ${above}-fold in each of 3 seeds, 20,000 repetitions`,
    outputs: [output, "selfNormalizedVariance"],
    value: (run) => variance(output)(run) / variance("selfNormalizedVariance")(run),
    above
  })

export default Pipeline.make(
  "brain",
  {
    description: "Bayesian reward-conditioned amortized inference: groups of answers weighted as under the posterior",
    paper: {
      title: "BRAIn: Bayesian Reward-conditioned Amortized Inference for natural language generation from feedback",
      arxiv: "2402.02479"
    },
    claim:
      "Self-normalized weights with a self-normalized baseline find the posterior with far less variance than policy gradients, and further than DPO on the same samples",
    family: "direct",
    testbed: ["tabular"],
    params: {
      /** Strength of the KL constraint: the posterior is `reference exp(reward / gamma) / Z`. */
      gamma: Positive.pipe(withDefault(0.5)),
      /** Step size for each context. */
      learningRate: Positive.pipe(withDefault(0.3))
    },
    checks: [
      ...(["ownProposal", "otherProposal"] as const).map((output) =>
        Checks.exact({
          name: `at the posterior no group has a gradient (${output === "ownProposal" ? "drawn from the prior" : "drawn from another policy"})`,
          expected: "largest weight of an answer below 1e-6",
          outputs: [output],
          value: largest(output, "gradient/largest"),
          below: 1e-6
        })
      ),
      Checks.exact({
        name: "there, those of policy gradients (DPG) do not vanish",
        expected: "the largest weight of every group above 1e-6",
        outputs: ["dpgAtPosterior"],
        value: smallest("dpgAtPosterior", "gradient/largest"),
        above: 1e-6
      }),
      Checks.exact({
        name: "there, those of GDC++ do not vanish",
        expected: "the largest weight of every group above 1e-6",
        outputs: ["gdcAtPosterior"],
        value: smallest("gdcAtPosterior", "gradient/largest"),
        above: 1e-6,
        knownGap:
          "its weights are (p* - q) / q' with the normalized posterior p*, so they are 0 for every sample at q = p*; they would not vanish with an estimate of Z"
      }),
      Checks.exact({
        name: "the gradient is the difference of the normalized weights",
        expected: "largest error below 1e-12",
        outputs: ["atPrior"],
        value: largest("atPrior", "gradient/error"),
        below: 1e-12
      }),
      ...(["loss", "gradient"] as const).map((what) =>
        Checks.exact({
          name: `two answers and the better one alone are DPO: ${what}`,
          expected: "largest difference below 1e-9",
          outputs: ["pairwise"],
          value: largest("pairwise", `against/${what}_error`),
          below: 1e-9
        })
      ),
      overVariance("gdcVariance", "GDC++", 5.5),
      overVariance("dpgVariance", "DPG", 7),
      overVariance("noBaselineVariance", "weights without their baseline", 1.4),
      Checks.inEverySeed({
        name: "the posterior is found",
        expected: "KL(posterior || policy) at most 0.1 in each of 5 seeds",
        over: Checks.seeds(5),
        outputs: ["brain"],
        value: Checks.estimate("brain", "target/kl"),
        below: 0.1
      }),
      Checks.inEverySeed({
        name: "closer than by DPO on the same samples",
        expected: "KL(posterior || policy) at most a third of its in each of 5 seeds",
        over: Checks.seeds(5),
        outputs: ["brain", "dpo"],
        value: (run) => Checks.estimate("brain", "target/kl")(run) / Checks.estimate("dpo", "target/kl")(run),
        below: 1 / 3
      })
    ]
  },
  ({ gamma, learningRate }) => ({ ...weights(gamma), ...variances(), ...training(gamma, learningRate) })
)

const GROUP = 8

const objective = (gamma: number, proposal: "reference" | "guide" = "reference", answers = GROUP) =>
  brain({ answers, gamma, proposal })

/** The importance weights of groups, at the posterior and elsewhere. */
const weights = (gamma: number) => {
  const world = exact.world({ world: exact.normalBandit(), as: "weights-world" })
  const prior = world.pipe(exact.start())
  const posterior = world.pipe(exact.solve({ solution: exact.klOptimum({ beta: gamma }) }))
  const other = world.pipe(exact.solve({ solution: exact.boltzmann({ weights: [-0.7] }), as: "other" }))
  const own = world.pipe(exact.answers({ groups: 300, perGroup: GROUP, as: "own-groups" }), group({ answers: GROUP }))
  const foreign = world.pipe(
    exact.answers({ groups: 300, perGroup: GROUP, policy: other, as: "other-groups" }),
    group({ answers: GROUP })
  )
  const compared = (estimator: Estimator) =>
    exact.groupWeights({
      objective: brain({ answers: GROUP, gamma, proposal: "guide", estimator }),
      gamma,
      world,
      policy: posterior,
      guide: other
    })
  return {
    ownProposal: own.pipe(exact.groupWeights({ objective: objective(gamma), gamma, world, policy: posterior })),
    otherProposal: foreign.pipe(
      exact.groupWeights({ objective: objective(gamma, "guide"), gamma, world, policy: posterior, guide: other })
    ),
    dpgAtPosterior: foreign.pipe(compared("dpg")),
    gdcAtPosterior: foreign.pipe(compared("gdc")),
    atPrior: foreign.pipe(
      exact.groupWeights({ objective: objective(gamma, "guide"), gamma, world, policy: prior, guide: other })
    ),
    pairwise: world.pipe(
      exact.answers({ groups: 300, perGroup: 2, as: "two-each" }),
      group({ answers: 2 }),
      exact.groupWeights({
        objective: objective(1e-4, "reference", 2),
        against: dpo({ beta: 1 }),
        gamma: 1e-4,
        world,
        policy: other
      })
    )
  }
}

/** The gradient in the mean of a normal policy that draws its own samples, by the estimators that the paper compares. */
const variances = () => {
  const of = (estimator: Estimator) =>
    exact.gaussianGradient({ objective: brain({ answers: GROUP, proposal: "guide", estimator }), as: estimator })
  return {
    selfNormalizedVariance: exact.gaussianGradient({ objective: objective(1, "guide"), as: "self-normalized" }),
    noBaselineVariance: of("no-baseline"),
    dpgVariance: of("dpg"),
    gdcVariance: of("gdc")
  }
}

const CONTEXTS = 6
const STEPS = 400

/** Four hundred steps, each on a fresh group in each context; DPO sees the same answers as pairs of neighbours. */
const training = (gamma: number, learningRate: number) => {
  const world = exact.world({ world: exact.normalBandit({ contexts: CONTEXTS }) })
  const prior = world.pipe(exact.start())
  const target = world.pipe(exact.solve({ solution: exact.klOptimum({ beta: gamma }) }))
  const sampled = world.pipe(exact.answers({ groups: CONTEXTS * STEPS, perGroup: GROUP }))
  const groups = sampled.pipe(group({ answers: GROUP }))
  const pairs = sampled.pipe(tournament())
  const common = { from: prior, reference: prior, learningRate: learningRate * CONTEXTS }
  const judged = (policy: ReturnType<ReturnType<typeof exact.descent>>, as: string) =>
    Tabular.judged(world, policy, { target, beta: gamma, as })
  return {
    brain: judged(groups.pipe(exact.descent({ ...common, objective: objective(gamma), batchSize: CONTEXTS })), "brain"),
    dpo: judged(
      pairs.pipe(exact.descent({ ...common, objective: dpo({ beta: 1 }), batchSize: (CONTEXTS * GROUP) / 2 })),
      "dpo"
    ),
    bestOnly: judged(
      groups.pipe(exact.descent({ ...common, objective: objective(1e-4), batchSize: CONTEXTS })),
      "best-only"
    )
  }
}
