/** How the stages are called that speak of sequences and likelihoods, when their laws are checked. */
import { Arbitrary, Schema } from "effect"
import type { Pair } from "../../dsl/artifacts.ts"
import type { ExactPolicy, World } from "../../dsl/exactArtifacts.ts"
import type * as Stage from "../../dsl/Stage.ts"
import { completionOf, promptOf } from "../../stages/exact/rows.ts"
import { bradleyTerry } from "../../stages/optimize/objectives/bradleyTerry.ts"
import { dpo } from "../../stages/optimize/objectives/dpo.ts"

type Given = Arbitrary.Arbitrary<Stage.Given>

const one = (...calls: ReadonlyArray<Stage.Given>): Given =>
  Arbitrary.schema(Schema.Literals(calls.map((_, i) => i))).pipe(Arbitrary.map((i) => calls[i]!))

const reference: ExactPolicy = { family: { kind: "unigram", symbols: 3, length: 2 }, theta: [0, 0.5, -0.5] }
const world: World = { reference, tokenRewards: [1, -1, 0] }
const policy: ExactPolicy = { family: reference.family, theta: [1, 0, 0] }
const bandit: ExactPolicy = { family: { kind: "softmax", contexts: 1, responses: 3 }, theta: [0, 0.5, -0.5] }

const pairOf = (chosen: ReadonlyArray<number>, rejected: ReadonlyArray<number>): Pair => ({
  id: `${chosen}/${rejected}`,
  prompt: promptOf(0),
  chosen: completionOf({ context: 0, tokens: chosen, finish: "stop" }),
  rejected: completionOf({ context: 0, tokens: rejected, finish: "stop" }),
  margin: 0
})
const pairs = [pairOf([0, 1], [1, 2]), pairOf([1], [0, 0]), pairOf([2], [0])]
const responses = [pairOf([0], [1]), pairOf([1], [0])]

const before = [{ pair: "a", chosen: [-1, -2], rejected: [-3] }]
const after = [{ pair: "a", chosen: [-0.5, -2], rejected: [-4] }]

export const sequenceGivens: Readonly<Record<string, Given>> = {
  "exact.shifted": one(
    { params: { scale: -1 }, input: world, inputs: { policy } },
    { params: { scale: 2, permute: true }, input: world },
    { params: {}, input: { reference: bandit, rewards: [[[1, 0, 0]]] } }
  ),
  "exact.dynamics": one(
    { params: { objective: dpo(), steps: 3 }, input: responses, inputs: { from: bandit, reference: bandit } },
    { params: { objective: dpo(), steps: 3 }, input: responses, inputs: { from: bandit } }
  ),
  "exact.reward-model": one(
    { params: { objective: bradleyTerry(), steps: 5 }, input: pairs, inputs: { world } },
    { params: { objective: dpo() }, input: pairs, inputs: { world } }
  ),
  "exact.ranked": one(
    { params: {}, input: pairs, inputs: { world } },
    { params: { perToken: true, lengthWeight: 0.5 }, input: pairs, inputs: { world } }
  ),
  "evaluate.likelihood-change": one(
    { params: {}, input: after, inputs: { before } },
    { params: {}, input: after, inputs: { before: [] } }
  )
}
