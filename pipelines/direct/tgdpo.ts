import { NonNegative, Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { dpo, evaluate, exact, logProbs, optimize, preferenceAccuracy, tgdpo } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import { largestDistance, onAnswers, trained } from "../testbeds/sequences.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"
import * as textChecks from "../testbeds/textChecks.ts"

/** The pair of three and two tokens whose log-ratios, of the policy and of the guide, the paper's weights are shown on. */
const pair = {
  chosen: { policy: [0.5, -0.2, 1], reference: [0, 0, 0], guide: [2, 0, -1] },
  rejected: { policy: [-0.4, 0.3], reference: [0, 0], guide: [-3, 1] }
}
const unguided = {
  chosen: { ...pair.chosen, guide: pair.chosen.reference },
  rejected: { ...pair.rejected, guide: pair.rejected.reference }
}
const all = ({ gradient, loss }: ReturnType<typeof onAnswers>) => [loss, ...gradient.chosen, ...gradient.rejected]
const plain = () => all(onAnswers(dpo({ beta: 0.1 }), pair))

/** The gold reward expected of an arm's policy. */
const gold = (arm: string) => Checks.estimate(arm, "reward/policy")
const lead = (arm: string, over: string) => Checks.difference(gold(arm), gold(over))
const seeds = { over: Checks.seeds(32) }

export default Pipeline.make(
  "tgdpo",
  {
    description: "DPO whose tokens are weighted by what a policy that was trained before thinks of each of them",
    paper: {
      title: "TGDPO: Harnessing Token-Level Reward Guidance for Enhancing Direct Preference Optimization",
      arxiv: "2506.14574"
    },
    claim: "A DPO policy's own token rewards tell which tokens to push, and lead further in as many steps",
    family: "direct",
    testbed: ["sequences", "text"],
    params: {
      alpha: NonNegative.pipe(withDefault(0.5)),
      beta: Positive.pipe(withDefault(0.1)),
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      textChecks.judgeGains(0.05),
      textChecks.moves,
      Checks.exact({
        name: "without guidance it is DPO, loss and gradient",
        expected: "largest difference below 1e-6, at alpha 0 and with the reference for guide",
        outputs: [],
        value: () =>
          Math.max(
            largestDistance(all(onAnswers(tgdpo({ alpha: 0, beta: 0.1 }), pair)), plain()),
            largestDistance(all(onAnswers(tgdpo({ alpha: 0.5, beta: 0.1 }), unguided)), plain())
          ),
        below: 1e-6
      }),
      Checks.exact({
        name: "tokens are pushed in proportion to their weights",
        expected:
          "gradients within 1e-12 of -beta sigma(-z) (1 + alpha beta rho) (chosen), beta sigma(-z) (1 - alpha beta rho) (rejected)",
        outputs: [],
        value: () => {
          const [alpha, beta] = [0.5, 0.1]
          const { gradient, loss } = onAnswers(tgdpo({ alpha, beta }), pair)
          // sigma(-z), of a loss -ln sigma(z)
          const slope = 1 - Math.exp(-loss)
          const pushed = (sign: number, rho: ReadonlyArray<number>) =>
            rho.map((r) => -sign * beta * slope * (1 + sign * alpha * beta * r))
          return Math.max(
            largestDistance(gradient.chosen, pushed(1, pair.chosen.guide)),
            largestDistance(gradient.rejected, pushed(-1, pair.rejected.guide))
          )
        },
        below: 1e-12
      }),
      Checks.exact({
        name: "the loss of a pair of three and two tokens",
        expected: "0.6221142501 at beta 0.1 and 0.1101846030 at beta 1, alpha 0.5, to 1e-7",
        outputs: [],
        value: () =>
          largestDistance(
            [0.1, 1].map((beta) => onAnswers(tgdpo({ alpha: 0.5, beta }), pair).loss),
            [0.6221142501, 0.110184603]
          ),
        below: 1e-7
      }),
      Checks.together({
        ...seeds,
        name: "guided by a DPO policy it leads further than DPO in most seeds",
        expected: "expected gold above DPO's after as many steps, in at least 24 of 32 seeds",
        outputs: ["guided", "dpo"],
        of: Checks.higherIn(gold("guided"), gold("dpo")),
        above: 23
      }),
      Checks.onAverage({
        ...seeds,
        name: "guided by a DPO policy it leads further than DPO",
        expected: "expected gold at least 0.4 above DPO's after as many steps, 95 % interval of the mean included",
        outputs: ["guided", "dpo"],
        value: lead("guided", "dpo"),
        above: 0.4
      }),
      Checks.inEverySeed({
        over: Checks.seeds(8),
        name: "negated guidance leads away from gold",
        expected: "expected gold below the reference's in every one of 8 seeds",
        outputs: ["negated"],
        value: Checks.difference(gold("negated"), Checks.estimate("negated", "reward/reference")),
        below: 0
      }),
      Checks.onAverage({
        over: Checks.seeds(8),
        name: "an oracle guides at least as well as a DPO policy",
        expected: "expected gold at least that under self-induced guidance, 95 % interval of the mean included",
        outputs: ["oracle", "guided"],
        value: lead("oracle", "guided"),
        above: 0
      }),
      Checks.onAverage({
        ...seeds,
        name: "weights as large but of no meaning are worse than none",
        expected: "expected gold below DPO's, 95 % interval of the mean included",
        outputs: ["permuted", "dpo"],
        value: lead("permuted", "dpo"),
        below: 0
      }),
      Checks.together({
        ...seeds,
        name: "weights as large but of no meaning are worse than guidance in most seeds",
        expected: "expected gold below that under self-induced guidance in at least 26 of 32 seeds",
        outputs: ["permuted", "guided"],
        of: Checks.higherIn(gold("guided"), gold("permuted")),
        above: 25
      })
    ]
  },
  (params) => ({ ...guidance(), ...onText(params) })
)

/** DPO and TGDPO with guides of different worth, all for as many steps of the same size. */
const guidance = () => {
  const beta = 0.5
  const objective = tgdpo({ alpha: 1, beta })
  const world = exact.world({ world: exact.sequences({ symbols: 8, horizon: 6, endless: true }) })
  const pairs = world.pipe(exact.comparisons({ count: 400 }))
  const minimizer = { by: "gradient-descent", steps: 60, learningRate: 20 } as const
  const plain = trained(world, pairs, { objective: dpo({ beta }), ...minimizer, as: "dpo" })
  const guided = (guide: typeof plain, as: string) =>
    Tabular.judged(world, trained(world, pairs, { objective, guide, ...minimizer, as }), { as })
  return {
    dpo: Tabular.judged(world, plain, { as: "dpo" }),
    guided: guided(plain, "guided"),
    oracle: guided(world.pipe(exact.shifted({ scale: 2 })), "oracle"),
    negated: guided(world.pipe(exact.shifted({ scale: -1, policy: plain })), "negated"),
    permuted: guided(world.pipe(exact.shifted({ permute: true, policy: plain })), "permuted")
  }
}

/** DPO, and then TGDPO from the same start under DPO's guidance, on the same pairs. */
const onText = (params: Text.Amounts & { readonly alpha: number; readonly beta: number }) => {
  const { alpha, baseSteps, beta, learningRate, perPrompt, steps, testPrompts, trainPrompts } = params
  const from = Text.policy({ steps: baseSteps })
  const pairs = Text.preferences(from, { split: "train", limit: trainPrompts, perPrompt })
  const unseen = Text.preferences(from, { split: "test", limit: testPrompts, perPrompt })
  const training = { from, reference: from, steps, learningRate }
  const guide = pairs.pipe(optimize({ ...training, objective: dpo({ beta }), as: "guide" }))
  const objective = tgdpo({ alpha, beta })
  const guideLogProbs = pairs.pipe(logProbs({ policy: guide }))
  const referenceLogProbs = pairs.pipe(logProbs({ policy: from }))
  const policy = pairs.pipe(
    optimize.preference({ from, objective, steps, learningRate, referenceLogProbs, guideLogProbs, as: "policy" })
  )
  const report = Text.prompts({ split: "test", limit: testPrompts }).pipe(
    evaluate({ policy, reference: from, reward: Text.sentiment, judge: Text.judge, as: "report" })
  )
  const heldOut = unseen.pipe(
    preferenceAccuracy({
      policy,
      objective,
      referenceLogProbs: unseen.pipe(logProbs({ policy: from })),
      as: "held-out"
    })
  )
  return { policy, report, heldOut }
}
