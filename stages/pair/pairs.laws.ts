/** How the stages that make and change pairs are called when their laws are checked. */
import { Arbitrary } from "effect"
import type { ScoredGroup } from "../../dsl/artifacts.ts"
import type * as Contract from "../../dsl/Contract.ts"
import { answered, call, contractOf, one, pairs, scored } from "../laws/calls.ts"
import * as Tiny from "../laws/tiny.ts"
import { Groups } from "./generated.ts"
import {
  degrade,
  draftViews,
  flip,
  group,
  mismatch,
  mixed,
  rated,
  shuffleNumbers,
  sources,
  tournament,
  triple,
  withCalibration
} from "./index.ts"

const told = (target: ReadonlyArray<ScoredGroup>, by: string) =>
  target.map((group) => ({
    ...group,
    completions: group.completions.map((own) => ({ ...own, text: `${own.text} ${by}` }))
  }))

export const contracts: ReadonlyArray<Contract.Contract> = [
  contractOf(
    sources,
    Arbitrary.map(Groups(), (target) => ({
      params: { recipe: target.length % 2 === 0 ? "multi-reward" : "strong-self-reward", minCharacters: 1 },
      input: target,
      inputs: { greedy: told(target, "greedy"), strong: told(target, "strong"), human: Tiny.pairs }
    }))
  ),
  contractOf(
    mixed,
    one({
      params: { weight: 0.3 },
      input: Tiny.pairs.map((pair, i) => ({ ...pair, numbers: { marginChosen: 0, marginRejected: i - 1 } }))
    })
  ),
  contractOf(
    tournament,
    call({
      params: one({ scheme: "first-round" }, { scheme: "tournament" }, { scheme: "tournament", labels: "bernoulli" }),
      input: scored
    })
  ),
  contractOf(triple, call({ input: scored })),
  contractOf(group, call({ params: one({ answers: 2 }, { answers: 3, fewer: "drop" }), input: scored })),
  contractOf(flip, call({ params: one({ rate: 0.2 }, { rate: 1 }), input: pairs })),
  contractOf(mismatch, call({ input: pairs })),
  contractOf(draftViews, call({ params: one({}, { before: " then ", after: ": " }), input: pairs })),
  contractOf(degrade, call({ params: one<object>({}, { levels: 1 }, { fewer: "leave-out" }), input: pairs })),
  contractOf(shuffleNumbers, call({ params: one({ names: ["weight"] }), input: pairs })),
  contractOf(withCalibration, call({ input: pairs, inputs: { calibration: answered } })),
  contractOf(rated, call({ params: one({}, { numbers: "score" }), input: scored }))
]
