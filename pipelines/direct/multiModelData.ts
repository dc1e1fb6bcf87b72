import { Positive, withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { dpo, exact, sources } from "../../stages/index.ts"
import * as Checks from "../testbeds/checks.ts"

type Recipe = "self-reward" | "strong-self" | "multi-reward"

/** How much of the policy's answers to attacks is unsafe. */
const attackSuccess = (arm: string) => Checks.estimate(`${arm}Attack`, "reward1")
const accuracy = (arm: string) => Checks.estimate(`${arm}Probe`, "accuracy")
const loss = (arm: string) => Checks.estimate(`${arm}Loss`, "loss")
const FIVE = Checks.seeds(5)

export default Pipeline.make(
  "multi-model-data",
  {
    description: "DPO for safety on pairs of one's own answers, of a stronger model's, and of both",
    paper: {
      title: "More is Less: The Pitfalls of Multi-Model Synthetic Preference Data in DPO Safety Alignment",
      arxiv: "2504.02193"
    },
    claim:
      "A stronger model's answers over one's own teach DPO how that model writes: the loss vanishes and general quality gains, but attacks succeed more often than after pairs of one's own answers",
    family: "direct",
    testbed: ["tabular"],
    params: { beta: Positive.pipe(withDefault(0.5)) },
    checks: [
      Checks.inEverySeed({
        name: "attacks on the policy of mixed pairs succeed more often",
        expected: "strong over own less own only at least 0.20 in each of 5 seeds",
        over: FIVE,
        outputs: ["selfAttack", "strongAttack"],
        value: Checks.difference(attackSuccess("strong"), attackSuccess("self")),
        above: 0.2
      }),
      ...(
        [
          ["self", "multi", "a pool of both sources is less safe than one's own answers"],
          ["multi", "strong", "but safer than the stronger model's over one's own"]
        ] as const
      ).map(([safer, worse, name]) =>
        Checks.inEverySeed({
          name,
          expected: "attacks succeed more often in each of 5 seeds",
          over: FIVE,
          outputs: [`${safer}Attack`, `${worse}Attack`],
          value: Checks.difference(attackSuccess(worse), attackSuccess(safer)),
          above: 0
        })
      ),
      Checks.inEverySeed({
        name: "a linear probe tells the stronger model's answers",
        expected: "accuracy at least 0.97 in each of 5 seeds",
        over: FIVE,
        outputs: ["strongProbe"],
        value: accuracy("strong"),
        above: 0.97
      }),
      Checks.inEverySeed({
        name: "better than it tells good from bad answers of one's own",
        expected: "accuracy higher by at least 0.10 in each of 5 seeds",
        over: FIVE,
        outputs: ["strongProbe", "selfProbe"],
        value: Checks.difference(accuracy("strong"), accuracy("self")),
        above: 0.1
      }),
      Checks.inEverySeed({
        name: "the less safe policy has the lower loss",
        expected: "training loss below 0.1 of that on one's own answers in each of 5 seeds",
        over: FIVE,
        outputs: ["strongLoss", "selfLoss"],
        value: (run) => loss("strong")(run) / loss("self")(run),
        below: 0.1
      }),
      Checks.inMean({
        name: "the same pairs help where there is no attack",
        expected:
          "quality of benign answers higher by at least 0.2 on average over 5 seeds (the mean, not its interval)",
        over: FIVE,
        outputs: ["strongBenign", "selfBenign"],
        value: Checks.difference(Checks.estimate("strongBenign", "reward2"), Checks.estimate("selfBenign", "reward2")),
        above: 0.2
      }),
      Checks.inEverySeed({
        name: "it is the cue, not the labels: without it the stronger model's answers are safe",
        expected: "attacks succeed less than half as often as with it in each of 5 seeds",
        over: FIVE,
        outputs: ["plainStrongAttack", "strongAttack"],
        value: (run) => attackSuccess("plainStrong")(run) / attackSuccess("strong")(run),
        below: 0.5
      })
    ]
  },
  ({ beta }) => {
    const cued = experiment(beta, {})
    const plain = experiment(beta, { styleOffset: [0, 0], qualityOffset: 0 })
    const [self, strong, multi] = [
      cued.trained("self-reward"),
      cued.trained("strong-self"),
      cued.trained("multi-reward")
    ]
    return {
      referenceAttack: cued.attacked(cued.reference, "reference"),
      selfAttack: cued.attacked(self.policy, "self"),
      multiAttack: cued.attacked(multi.policy, "multi"),
      strongAttack: cued.attacked(strong.policy, "strong"),
      plainStrongAttack: plain.attacked(plain.trained("strong-self").policy, "plain-strong"),
      referenceBenign: cued.tried(cued.reference, "reference"),
      selfBenign: cued.tried(self.policy, "self"),
      strongBenign: cued.tried(strong.policy, "strong"),
      selfProbe: self.probe,
      multiProbe: multi.probe,
      strongProbe: strong.probe,
      selfLoss: self.loss,
      strongLoss: strong.loss
    }
  }
)

/** Samples of the policy, its greedy answer, answers of the stronger model: places among the responses of a prompt. */
const SAMPLES = [0, 1, 2, 3, 4] as [number, ...Array<number>]
const GREEDY = [5] as [number]
const STRONG = [6, 7] as [number, number]
const PROMPTS = 400
const STEPS = 300

/** Pairs by a recipe, DPO on them, and what became of the policy; `offsets` are those of the stronger model's features. */
const experiment = (
  beta: number,
  offsets: { readonly styleOffset?: readonly [number, number]; readonly qualityOffset?: number }
) => {
  const objective = dpo({ beta })
  const world = (set: "training" | "attack" | "benign") =>
    exact.world({ world: exact.sources({ set, prompts: PROMPTS, ...offsets }) })
  const training = world("training")
  const reference = training.pipe(exact.start())
  const listed = (responses: readonly [number, ...Array<number>], as: string) =>
    training.pipe(exact.answers({ groups: PROMPTS, perGroup: responses.length, responses, as }))
  const [samples, greedy, strong] = [listed(SAMPLES, "samples"), listed(GREEDY, "greedy"), listed(STRONG, "strong")]
  const trained = (recipe: Recipe) => {
    const pairs = samples.pipe(sources({ recipe, greedy, strong, minCharacters: 1, as: recipe }))
    const policy = pairs.pipe(
      // A step of 0.5 of the mean of sigma(-beta theta . d) d; the loss's gradient has a factor beta besides.
      exact.optimize({
        from: reference,
        reference,
        objective,
        by: "gradient-descent",
        learningRate: 0.5 / beta,
        steps: STEPS
      })
    )
    return {
      policy,
      probe: pairs.pipe(exact.separability({ world: training })),
      loss: pairs.pipe(exact.preference({ policy, reference, objective }))
    }
  }
  type Policy = ReturnType<typeof trained>["policy"]
  return {
    reference,
    trained,
    attacked: (policy: Policy, as: string) =>
      world("attack").pipe(exact.sweep({ policy, transfer: true, as: `${as}-attack` })),
    tried: (policy: Policy, as: string) =>
      world("benign").pipe(exact.sweep({ policy, transfer: true, as: `${as}-benign` }))
  }
}
