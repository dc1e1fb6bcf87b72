/** The conformance suite of one device: every operation, forward and gradient, against the float64 reference. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, ManagedRuntime } from "effect"
import { Device, type Kind } from "../../runtime/device/Device.ts"
import type { Case } from "./Case.ts"
import { families } from "./cases/index.ts"
import { check, isVacuous, type Part, type Subject } from "./check.ts"
import { keyOf, profiles } from "./profiles.ts"
import * as Whole from "./whole.ts"
import { kernelsSeen, recording } from "./witness.ts"

/** Environment: `PREFLINE_CONFORMANCE_SEED` (default 1) and `PREFLINE_CONFORMANCE_SAMPLES` per case. */
const seed = Number(process.env["PREFLINE_CONFORMANCE_SEED"] ?? 1)

/** Devices that must be there: `PREFLINE_REQUIRE_DEVICES=webgpu,node` turns skipping into failing. */
const required = (kind: Kind): boolean =>
  ["cpu", "wasm", ...(process.env["PREFLINE_REQUIRE_DEVICES"] ?? "").split(",")].includes(kind)

/** Kernels without a case: `optimizer`, `sumOfSquares` and `drawing` check them. */
const OWN_CHECKS: ReadonlySet<string> = new Set(["PreflineAdamW", "PreflineSumOfSquares", "PreflineDraw"])

/** Defines the tests of a device. Where it cannot be opened, says so and skips; or fails, if it must be there. */
export const conformance = async (kind: Kind): Promise<void> => {
  const runtime = ManagedRuntime.make(Device.layer(kind))
  afterAll(() => runtime.dispose())
  const opened = await runtime.runPromiseExit(Effect.flatMap(Device, Effect.succeed))
  if (Exit.isFailure(opened)) {
    const reason = String(Cause.squash(opened.cause))
    if (!required(kind)) process.stderr.write(`conformance on ${kind} is SKIPPED: ${reason}\n`)
    it(`${kind} opens`, (context) => (required(kind) ? assert.fail(reason) : context.skip(reason)))
    return
  }
  const { accuracy, attempts, samples, unsupported } = profiles[kind]
  const subject: Subject = { kind, accuracy, tensors: opened.value.tensors }
  const options = { seed, attempts, samples: Number(process.env["PREFLINE_CONFORMANCE_SAMPLES"] ?? samples) }

  const verify = async (the: Case, part: Part): Promise<void> => {
    const reason = unsupported[keyOf(the.name, part)]
    const enough = reason === undefined ? options.samples : Math.max(options.samples, 20)
    const fault = await check(subject, the, part, {
      ...options,
      samples: enough,
      attempts: reason === undefined ? options.attempts : 0
    })
    if (reason === undefined) assert.isUndefined(fault, fault)
    else if (fault === undefined || isVacuous(fault))
      assert.fail(`${the.name}, ${part}, works on ${kind} by now: take it out of the table (${reason})`)
  }

  const total = Object.values(families).flat().length
  let ran = 0
  const wholes = Object.entries<Effect.Effect<void, unknown, Device>>({
    "the gradient of a whole Llama's DPO loss equals the reference within 1e-5": Whole.modelGradient,
    "decoding gives tokens the log-probabilities of the reference model": Whole.decoding,
    "tokens are drawn as the float64 distribution has it": Whole.drawing,
    "AdamW equals the float64 algorithm, moments too": Whole.optimizer,
    "AdamW's composed update equals float64": Whole.composedUpdate,
    "the global norm equals float64": Whole.sumOfSquares,
    "DPO parity with PyTorch on the workload X": Whole.parity
  })
  const used = new Set<string>()
  let programs = 0

  describe(`conformance on ${kind}`, () => {
    for (const [family, cases] of Object.entries(families))
      describe(family, () => {
        for (const the of cases)
          it(the.name, async () => {
            ran++
            await verify(the, "forward")
            if (the.gradient) await verify(the, "gradient")
          })
      })

    for (const [name, program] of wholes)
      it(name, async () => {
        await runtime.runPromise(recording(kind, program, (kernel) => used.add(kernel)))
        programs++
      })

    it("every kernel that training and decoding run is covered by a case", (context) => {
      if (ran < total || programs < wholes.length) context.skip("only some of the tests were run")
      assert.isAbove(used.size, 5)
      assert.deepStrictEqual(
        [...used].filter((name) => !kernelsSeen.has(name) && !OWN_CHECKS.has(name)),
        []
      )
    })

    it("the table of what is not supported names cases", () => {
      const known = new Set(
        Object.values(families).flatMap((cases) =>
          cases.flatMap(({ name }) => [keyOf(name, "forward"), keyOf(name, "gradient")])
        )
      )
      assert.deepStrictEqual(
        Object.keys(unsupported).filter((key) => !known.has(key)),
        []
      )
    })
  })
}
