/** How the stages that sample solved worlds, and pair answers of several sources, are called when their laws are checked. */
import { Arbitrary } from "effect"
import type { Pair, ScoredGroup } from "../../dsl/artifacts.ts"
import type { ExactPolicy, World } from "../../dsl/exactArtifacts.ts"
import * as Rng from "../../dsl/Rng.ts"
import type * as Stage from "../../dsl/Stage.ts"
import { Bandits } from "../../stages/exact/generated.ts"
import { completionOf } from "../../stages/exact/rows.ts"
import { sources as sourcesWorld } from "../../stages/exact/worlds/sources.ts"
import { brain } from "../../stages/optimize/objectives/brain.ts"
import { dpo } from "../../stages/optimize/objectives/dpo.ts"
import { Groups } from "../../stages/pair/generated.ts"
import * as Tiny from "../stages/tinyPolicy.ts"

type Given = Arbitrary.Arbitrary<Stage.Given>

const called = (call: (given: { world: World; policy: ExactPolicy; other: ExactPolicy }) => Stage.Given): Given =>
  Arbitrary.map(Bandits, call)

const answer = (response: number) => completionOf({ context: 0, tokens: [response], finish: "stop" })
const groupOf = (id: number, first: number, second: number): Pair => ({
  id: `${id}`,
  prompt: { id: `c0/${id}`, text: "" },
  chosen: answer(first),
  rejected: answer(second),
  margin: 0.5,
  others: { answer0: { completion: answer(first) }, answer1: { completion: answer(second) } },
  numbers: { score0: 0.5, score1: 0 }
})
const groups = [groupOf(0, 0, 1), groupOf(1, 1, 0), groupOf(2, 1, 1)]
const featured = sourcesWorld({ prompts: 6 }).implementation(Rng.make(0, "sources"))
const told = (target: ReadonlyArray<ScoredGroup>, by: string) =>
  target.map((group) => ({
    ...group,
    completions: group.completions.map((own) => ({ ...own, text: `${own.text} ${by}` }))
  }))

export const sourceGivens: Readonly<Record<string, Given>> = {
  "exact.answers": called(({ policy, world }) => ({
    params: policy.theta[0]! > 0 ? { groups: 4, perGroup: 2 } : { groups: 2, perGroup: 1, responses: [1, 0] },
    input: world,
    inputs: { policy }
  })),
  "exact.rejection": called(({ policy, world }) => ({
    params: { repeats: 3, candidates: 4, dedupe: policy.theta[0]! > 0 },
    input: world
  })),
  "exact.descent": called(({ policy, world }) => ({
    params: { objective: dpo(), batchSize: 2 },
    input: groups,
    inputs: { from: policy, reference: world.reference }
  })),
  "exact.gaussian-gradient": called(({ policy }) => ({
    params: { objective: brain({ answers: 3, proposal: "guide" }), repetitions: 4, policyMean: policy.theta[0]! }
  })),
  "exact.group-weights": called(({ other, policy, world }) => ({
    params: { objective: brain({ answers: 2, proposal: "guide", estimator: "gdc" }), against: dpo() },
    input: groups,
    inputs: { world, policy, guide: other }
  })),
  "exact.best-of": called(({ policy, world }) => ({
    params: policy.theta[0]! > 0 ? { n: 2 } : { n: 3, groups: 4 },
    input: world,
    inputs: { policy }
  })),
  "exact.sweep": called(({ policy, world }) => ({
    params: { contexts: [0], transfer: policy.theta[0]! > 0 },
    input: world,
    inputs: { policy }
  })),
  "exact.separability": called(({ policy }) => ({
    params: { folds: policy.theta[0]! > 0 ? 2 : 3 },
    input: groups,
    inputs: { world: featured }
  })),
  "pair.sources": Arbitrary.map(Groups(), (target) => ({
    params: { recipe: target.length % 2 === 0 ? "multi-reward" : "strong-self-reward", minCharacters: 1 },
    input: target,
    inputs: { greedy: told(target, "greedy"), strong: told(target, "strong"), human: Tiny.pairs }
  }))
}
