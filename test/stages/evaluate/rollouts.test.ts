import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Evaluation } from "../../../dsl/artifacts.ts"
import type { Checkpoint } from "../../../dsl/Checkpoint.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { Device } from "../../../runtime/device/Device.ts"
import * as Policy from "../../../runtime/models/Policy.ts"
import { evaluate } from "../../../stages/evaluate/evaluate.ts"
import { answers } from "../../../stages/sample/answers.ts"
import { length } from "../../../stages/score/length.ts"
import * as Tiny from "../tinyPolicy.ts"

const reward = length({ target: 40, unit: "characters" })
const sampling = { perPrompt: 5, maxTokens: 6 }
const mean = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0) / values.length

/** By prompt, the scores of the answers that an evaluation with seed 0 draws. */
const scoresOf = (checkpoint: Checkpoint) =>
  Effect.gen(function* () {
    const policy = yield* Policy.load(checkpoint)
    const drawn = yield* answers(
      policy,
      Tiny.prompts,
      { ...sampling, temperature: 1 },
      Rng.make(0, evaluate.stage.name)
    )
    return yield* Effect.forEach(drawn, (group) =>
      reward.implementation.score(
        group.map(({ tokens }) => ({ prompt: "", completion: policy.decodeCompletion(tokens) }))
      )
    )
  }).pipe(Effect.scoped)

layer(Device.layer("wasm"))("evaluate", (it) => {
  it.effect("looks at every answer to a prompt, beside the reference's to the same prompt", () =>
    Effect.gen(function* () {
      const [policy, reference] = [Tiny.tinyPolicy(1, 10), Tiny.tinyPolicy(2, 10)]
      const { estimates } = yield* Tiny.call<Evaluation>(evaluate, {
        params: { reward, ...sampling },
        input: Tiny.prompts,
        inputs: { policy, reference }
      })
      const [ours, theirs] = [yield* scoresOf(policy), yield* scoresOf(reference)]
      const wins = ours.map((group, p) => mean(group.map((x, i) => (Math.sign(x - theirs[p]![i]!) + 1) / 2)))
      const expected = {
        "reward/policy": mean(ours.map(mean)),
        "reward/reference": mean(theirs.map(mean)),
        win_rate: mean(wins)
      }
      for (const [name, value] of Object.entries(expected)) assert.closeTo(estimates[name]!.mean, value, 1e-9, name)
      assert.notStrictEqual(mean(ours.map(([first]) => first!)), expected["reward/policy"])
    })
  )
})
