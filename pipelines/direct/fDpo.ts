import { Schema } from "effect"
import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { dpo, exact, fDpo } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"

const DIVERGENCES = ["reverse_kl", "forward_kl", "jsd", "alpha"] as const
type Divergence = (typeof DIVERGENCES)[number]
const BETAS = [0.3, 1] as const
/** Shares of the reward that can be gained, at which policies are compared. */
const GAINS = [0.3, 0.6, 0.9] as const
/** Which estimate is each divergence to the reference. */
const OWN = { reverse_kl: "kl", forward_kl: "kl/reverse", jsd: "jsd" } as const
const COMPARED = ["reverse_kl", "forward_kl", "jsd"] as const

const objective = (options: { readonly beta: number; readonly divergence: Divergence; readonly alpha?: number }) =>
  fDpo(options)

/** The share of held-out pairs that each divergence's policy orders as the sentiment reward does. */
const accuracy = (divergence: Divergence) =>
  Checks.inEverySeed({
    name: `${divergence}: implicit rewards order held-out pairs`,
    expected: "accuracy above 0.6, every seed",
    over: { ...Checks.seeds(3), divergence: [divergence] },
    outputs: ["heldOut"],
    value: Checks.estimate("heldOut", "rewards/accuracies"),
    above: 0.6
  })

export default Pipeline.make(
  "f-dpo",
  {
    description:
      "DPO whose policy is held to its reference by reverse KL, forward KL, Jensen-Shannon or alpha-divergence",
    paper: {
      title: "Beyond Reverse KL: Generalizing Direct Preference Optimization with Diverse Divergence Constraints",
      arxiv: "2309.16240"
    },
    claim:
      "The loss solves the reward problem under any f-divergence whose derivative is invertible, each divergence with the least of its own at equal reward",
    family: "direct",
    testbed: ["text", "tabular"],
    params: {
      /** Strength of the constraint; equal values are not equally strong under two divergences. */
      beta: Positive.pipe(withDefault(0.1)),
      divergence: Schema.Literals(DIVERGENCES).pipe(withDefault("forward_kl")),
      /** Of `divergence: "alpha"`: near 0 it is the reverse, near 1 the forward KL. */
      alpha: Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThan(1)).pipe(withDefault(0.5)),
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      ...DIVERGENCES.map((divergence) =>
        Checks.exact({
          name: `${divergence}: the population loss is minimal at the optimum of reward and divergence`,
          expected: "largest error of a probability below 1e-4, 4 problems at beta 0.3 and 1",
          outputs: BETAS.map((beta) => `${divergence}.beta${beta}`),
          values: (runs) =>
            runs.flatMap((run) =>
              BETAS.map((beta) => Checks.estimate(`${divergence}.beta${beta}`, "target/max_error")(run))
            ),
          below: 1e-4
        })
      ),
      Checks.exact({
        name: "the divergences' optima differ",
        expected: "any two of the four at beta 0.3 differ in some probability by more than 5e-3",
        outputs: pairsOf(DIVERGENCES).map(([a, b]) => `${a}-${b}`),
        values: (runs) =>
          runs.flatMap((run) =>
            pairsOf(DIVERGENCES).map(([a, b]) => Checks.estimate(`${a}-${b}`, "target/max_error")(run))
          ),
        above: 5e-3
      }),
      ...COMPARED.map((divergence) =>
        Checks.exact({
          name: `${divergence}: its policy has the least of its divergence at equal reward`,
          expected: "lead over the two others at 30, 60 and 90 % of the reward to gain above -1e-9, 16 problems",
          over: Checks.seeds(16),
          outputs: COMPARED.flatMap((of) => GAINS.map((gain) => `${of}.gain${gain}`)),
          values: (runs) =>
            runs.flatMap((run) =>
              GAINS.flatMap((gain) => {
                const of = (other: Divergence) => Checks.estimate(`${other}.gain${gain}`, OWN[divergence])(run)
                return COMPARED.filter((other) => other !== divergence).map((other) => of(other) - of(divergence))
              })
            ),
          above: -1e-9
        })
      ),
      ...(
        [
          ["reverse_kl is DPO", "sameAsDpo", 1e-7],
          ["alpha 0.001 is the reverse KL", "nearReverse", 1e-2],
          ["alpha 0.999 is the forward KL", "nearForward", 1e-2]
        ] as const
      ).map(([name, output, below]) =>
        Checks.exact({
          name,
          expected: `largest relative difference of a loss or a gradient below ${below}`,
          outputs: [output],
          values: (runs) =>
            runs.flatMap((run) =>
              ["against/loss_error", "against/slope_error"].map((error) => Checks.estimate(output, error)(run))
            ),
          below
        })
      ),
      ...DIVERGENCES.map(accuracy)
    ]
  },
  ({ alpha, baseSteps, beta, divergence, ...scale }) => ({
    ...Text.experiment({
      from: Text.policy({ steps: baseSteps }),
      objective: objective({ beta, divergence, alpha }),
      ...scale
    }),
    ...solved(),
    ...efficiency(),
    ...reductions()
  })
)

/** All pairs of a list, the earlier one first. */
function pairsOf<A>(list: ReadonlyArray<A>): ReadonlyArray<readonly [A, A]> {
  return list.flatMap((a, i) => list.slice(i + 1).map((b) => [a, b] as const))
}

/** Where the losses end with all pairs as often as they occur, and how the optima differ. */
const solved = () => {
  const world = Tabular.world()
  const optimum = (divergence: Divergence, beta: number) =>
    world.pipe(exact.solve({ solution: exact.fOptimum({ divergence, beta }) }))
  const trained = DIVERGENCES.flatMap((divergence) =>
    BETAS.map((beta) => {
      const policy = Tabular.populationOptimum(world, { objective: objective({ divergence, beta }) })
      return [
        `${divergence}.beta${beta}`,
        Tabular.judged(world, policy, { target: optimum(divergence, beta), beta })
      ] as const
    })
  )
  const apart = pairsOf(DIVERGENCES).map(
    ([a, b]) => [`${a}-${b}`, Tabular.judged(world, optimum(a, BETAS[0]), { target: optimum(b, BETAS[0]) })] as const
  )
  return Object.fromEntries([...trained, ...apart])
}

/** The policies that earn the same reward under each divergence. */
const efficiency = () => {
  const world = exact.world({ world: exact.bandit({ contexts: 1 }) })
  return Object.fromEntries(
    DIVERGENCES.flatMap((divergence) =>
      GAINS.map((gain) => {
        const policy = world.pipe(exact.solve({ solution: exact.fMatched({ divergence, gain }) }))
        return [`${divergence}.gain${gain}`, Tabular.judged(world, policy)] as const
      })
    )
  )
}

/** Losses and gradients side by side, at a policy whose log-ratios lie about 0. */
const reductions = () => {
  const world = exact.world({ world: exact.bandit({ concentration: 0, rewardDeviation: 0.7 }) })
  const reference = world.pipe(exact.start())
  const policy = world.pipe(exact.solve({ solution: exact.klOptimum({ beta: 1 }) }))
  const compared = (options: Parameters<typeof objective>[0], against: ReturnType<typeof dpo>) =>
    world.pipe(exact.population(), exact.slopes({ policy, reference, objective: objective(options), against }))
  const beta = 0.5
  return {
    sameAsDpo: compared({ divergence: "reverse_kl", beta }, dpo({ beta })),
    nearReverse: compared({ divergence: "alpha", alpha: 1e-3, beta }, objective({ divergence: "reverse_kl", beta })),
    nearForward: compared({ divergence: "alpha", alpha: 0.999, beta }, objective({ divergence: "forward_kl", beta }))
  }
}
