import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Device, withoutLeak } from "../../../runtime/device/Device.ts"
import * as Parity from "./parityRun.ts"

/** Losses as PyTorch 1.13 gives them (the first, with no difference yet between the policies, is ln 2); the eighth of X and the fiftieth of S stand at indices 7 and 49. */
const pytorch = {
  X: { first: [Math.LN2, 0.689037, 0.680538, 0.681909, 0.681943], last: [7, 0.734065] },
  S: { first: [Math.LN2, 0.729505, 0.184371, 0.290331, 0.097495], last: [49, 0.045115] }
} as const

const compare = (sizes: Parity.Sizes, { first, last }: (typeof pytorch)["X" | "S"], tolerance: number) =>
  Effect.gen(function* () {
    const losses = yield* withoutLeak(Parity.losses(sizes, last[0] + 1))
    for (const [step, loss] of first.entries()) assert.closeTo(losses[step]!, loss, tolerance, `step ${step}`)
    assert.closeTo(losses[last[0]]!, last[1], tolerance, `step ${last[0]}`)
  })

for (const kind of ["wasm", "cpu"] as const)
  layer(Device.layer(kind))(`DPO parity with PyTorch on ${kind}`, (it) => {
    it.effect("X: five steps and the eighth", () => compare(Parity.X, pytorch.X, 1e-5))
    if (kind === "wasm") it.effect("S: five steps and the fiftieth", () => compare(Parity.S, pytorch.S, 2e-5))
  })
