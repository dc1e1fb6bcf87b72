import type { Evaluation } from "../../dsl/artifacts.ts"
import type { ExactPolicyValue } from "../../dsl/exactArtifacts.ts"
import type * as Node from "../../dsl/Node.ts"
import { NonNegative, Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { bestWorst, cpo, dpo, exact, likelihood, noise, pair, sft, tpo, triple } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"
import * as Tabular from "../testbeds/tabular.ts"
import * as Text from "../testbeds/text.ts"

/** What is trained on everywhere below. */
const objective = tpo

const gold = (output: string) => Checks.estimate(output, "reward/policy")
const risen = (output: string) =>
  Checks.difference(Checks.estimate(output, "logps/chosen"), Checks.estimate("startOnGold", "logps/chosen"))
const FIVE = Checks.seeds(5)

export default Pipeline.make(
  "tpo",
  {
    description: "Triple Preference Optimization: a contrast and a gold answer in one step, without reference or SFT",
    paper: {
      title: "Triple Preference Optimization: Achieving Better Alignment with Less Data in a Single Step Optimization",
      arxiv: "2405.16681"
    },
    claim: "One step on a contrast and a gold answer does better than supervised learning, DPO, or one after the other",
    family: "direct",
    testbed: ["tabular", "text"],
    params: {
      /** Scale of the contrast. */
      beta: Positive.pipe(withDefault(0.2)),
      /** Weight of the gold answer's log-likelihood, a mean over tokens. */
      alpha: NonNegative.pipe(withDefault(0.9)),
      learningRate: Positive.pipe(withDefault(8e-4)),
      ...Text.scaleFields
    },
    checks: [
      Checks.exact({
        name: "without the gold answer it is the contrast of CPO",
        expected: "largest difference of a log-probability after 400 steps below 1e-9",
        outputs: ["ungilded"],
        value: Checks.estimate("ungilded", "target/max_log_error"),
        below: 1e-9
      }),
      Checks.exact({
        name: "with the chosen answer as gold it is CPO",
        expected: "largest difference of a log-probability after 400 steps below 1e-9",
        outputs: ["chosenAsGold"],
        value: Checks.estimate("chosenAsGold", "target/max_log_error"),
        below: 1e-9
      }),
      ...(
        [
          ["sft", "supervised learning of the gold answer", 0.1],
          ["dpo", "DPO", 1],
          ["sftThenDpo", "supervised learning and then DPO", 1]
        ] as const
      ).map(([other, name, margin]) =>
        Checks.inEverySeed({
          name: `beats ${name} where the reward saturates`,
          expected: `expected gold reward after 400 steps at least ${margin} above, in each of 5 seeds`,
          over: FIVE,
          outputs: ["saturated", other],
          value: Checks.difference(gold("saturated"), gold(other)),
          above: margin
        })
      ),
      Checks.inEverySeed({
        name: "makes gold answers likelier",
        expected: "rise of mean ln policy(gold) above 0.2 in each of 5 seeds",
        over: FIVE,
        outputs: ["saturatedOnGold", "startOnGold"],
        value: risen("saturatedOnGold"),
        above: 0.2
      }),
      Checks.inEverySeed({
        name: "DPO makes gold answers less likely",
        expected: "rise of mean ln policy(gold) below -3 in each of 5 seeds",
        over: FIVE,
        outputs: ["dpoOnGold", "startOnGold"],
        value: risen("dpoOnGold"),
        below: -3
      }),
      Checks.inEverySeed({
        name: "held-out gold text is likelier than under DPO",
        expected: "DPO's mean negative log-likelihood of a token at least 0.1 nats higher in every seed",
        outputs: ["goldLikelihood", "dpoGoldLikelihood"],
        value: Checks.difference(
          Checks.estimate("dpoGoldLikelihood", "nll/token"),
          Checks.estimate("goldLikelihood", "nll/token")
        ),
        above: 0.1,
        knownGap:
          "120 steps of DPO, held by its reference, hardly lower it: -0.003 to 0.033 nats in three seeds (in the solved world it is 20 nats an answer)"
      }),
      Checks.inEverySeed({
        name: "gains more reward than supervised learning of the gold answers",
        expected: "lead in mean reward, in standard errors of the other mean, above 1 in every seed",
        outputs: ["report", "sftReport"],
        value: (run) => {
          const { high, low, mean } = (run.outputs.sftReport as Evaluation).estimates["reward/policy"]!
          return (gold("report")(run) - mean) / ((high - low) / 2 / 1.959964)
        },
        above: 1,
        knownGap:
          "the reward is a mean over words: the best of 8 answers are short, and supervised learning of them makes answers short, while a contrast of sums without a reference makes them long (in seed 0, 8 and 15 tokens); the lead is -5.7 to -2.6"
      })
    ]
  },
  ({ alpha, baseSteps, beta, ...scale }) => {
    const from = Text.policy({ steps: baseSteps })
    const shared = Text.shared({ from, ...scale })
    const ours = Text.experiment({
      from,
      ...scale,
      objective: objective({ alpha, beta }),
      pairs: shared.scored("train").pipe(triple({ as: "train-triples" }))
    })
    const supervised = Text.experiment({ from, ...scale, objective: sft(), as: "sft" })
    const theirs = Text.experiment({ from, ...scale, objective: dpo(), as: "dpo" })
    const held = shared.scored("test").pipe(triple({ as: "test-triples" }))
    return {
      ...ours,
      sftReport: supervised.report,
      goldLikelihood: held.pipe(likelihood({ role: "gold", policy: ours.policy })),
      dpoGoldLikelihood: held.pipe(likelihood({ role: "gold", policy: theirs.policy })),
      ...line({ alpha, beta }),
      ...asCpo({ alpha, beta })
    }
  }
)

const training = { by: "adam", learningRate: 0.05, steps: 400, tolerance: 0 } as const

/** Triples of 200 prompts to a line of responses, and the policies that methods make of them. */
const line = ({ alpha, beta }: { readonly alpha: number; readonly beta: number }) => {
  const world = exact.world({ world: exact.saturating() })
  const start = world.pipe(exact.start())
  const scored = world.pipe(exact.answers({ groups: 200, perGroup: 4 }), noise({ deviation: 0.3 }))
  const triples = scored.pipe(triple())
  const onGold = scored.pipe(pair({ by: bestWorst(), as: "gold-pairs" }))
  const contrasted = <E, R>(from: Node.Node<typeof ExactPolicyValue, E, R>, as: string) =>
    triples.pipe(exact.optimize({ objective: dpo({ beta }), from, reference: from, ...training, as }))
  const supervised = onGold.pipe(exact.optimize({ objective: sft(), from: start, ...training }))
  const direct = contrasted(start, "dpo")
  const trained = objective({ alpha, beta })
  const { reads } = trained.implementation
  const reference = reads.reference ? { reference: start } : {}
  const ours = triples.pipe(exact.optimize({ objective: trained, from: start, ...reference, ...training }))
  const likely = <E, R>(policy: Node.Node<typeof ExactPolicyValue, E, R>) =>
    onGold.pipe(exact.preference({ objective: sft(), policy }))
  return {
    saturated: Tabular.judged(world, ours),
    sft: Tabular.judged(world, supervised),
    dpo: Tabular.judged(world, direct),
    sftThenDpo: Tabular.judged(world, contrasted(supervised, "sft-dpo")),
    startOnGold: likely(start),
    saturatedOnGold: likely(ours),
    dpoOnGold: likely(direct)
  }
}

/** The limits in which TPO is CPO: no weight on the gold answer, and the chosen answer as the gold one. */
const asCpo = ({ alpha, beta }: { readonly alpha: number; readonly beta: number }) => {
  const world = exact.world({ world: exact.saturating() })
  const from = world.pipe(exact.start())
  const triples = (responses: readonly [number, number, number]) =>
    world.pipe(exact.answers({ groups: 1, perGroup: 3, responses }), triple())
  const same = (pairs: ReturnType<typeof triples>, alpha: number) => {
    const trained = (objective: Parameters<typeof exact.optimize>[0]["objective"]) =>
      pairs.pipe(
        exact.optimize({
          objective,
          from,
          ...(objective.implementation.reads.reference ? { reference: from } : {}),
          ...training
        })
      )
    return Tabular.judged(world, trained(objective({ alpha, beta })), {
      target: trained(cpo({ beta, cpoAlpha: alpha, normalization: "tokenMean" }))
    })
  }
  return { ungilded: same(triples([27, 20, 5]), 0), chosenAsGold: same(triples([24, 24, 5]), alpha) }
}
