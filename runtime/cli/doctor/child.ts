/** The process in which `doctor` tries one device: `node child.ts <device>`. It sends a `Report` and has to end by itself. */
import type { Tensor, Tensor2D } from "@tensorflow/tfjs"
import { Cause, Effect } from "effect"
import { Device, type DeviceUnavailable } from "../../device/Device.ts"
import { describe } from "../../executor/errors.ts"
import type { Report } from "./tried.ts"

/** Gradient of the summed log-probabilities of `TARGETS` by the weights, in float64: `x^T (onehot - softmax(x W))`. */
const X = [
  [0.5, -1],
  [2, 0.25]
]
const WEIGHTS = [
  [1, 0, -0.5],
  [0.3, -0.7, 0.2]
]
const TARGETS = [2, 0]
/** Wide enough for any device's float32, and far below what a wrong kernel does. */
const TOLERANCE = 1e-5

const expected = (): ReadonlyArray<number> => {
  const columns = WEIGHTS[0]!.map((_, column) => column)
  const residuals = X.map((row, n) => {
    const logits = columns.map((column) => row.reduce((sum, x, k) => sum + x * WEIGHTS[k]![column]!, 0))
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0)
    return columns.map((column) => Number(column === TARGETS[n]) - Math.exp(logits[column]!) / total)
  })
  return WEIGHTS.flatMap((_, k) =>
    columns.map((column) => X.reduce((sum, row, n) => sum + row[k]! * residuals[n]![column]!, 0))
  )
}

const attempt = Effect.gen(function* (): Effect.fn.Return<Report, DeviceUnavailable, Device> {
  const { details, kind, numerics } = yield* Device
  // Only now: these load the tensor library, and importing it may be what fails.
  const [tf, { logProbs }, { computed }] = yield* Effect.promise(() =>
    Promise.all([import("@tensorflow/tfjs"), import("../../tensor/logProbs.ts"), import("../../tensor/read.ts")])
  )
  const sum = (weights: Tensor) =>
    tf.sum(logProbs(tf.matMul(tf.tensor2d(X), weights as Tensor2D), Int32Array.from(TARGETS)))
  const values = yield* computed(() => tf.grad(sum)(tf.tensor2d(WEIGHTS)))
  const error = Math.max(...expected().map((value, i) => Math.abs(value - (values[i] ?? Number.NaN))))
  return error <= TOLERANCE
    ? { works: true, kind, numerics, details }
    : failed(`it computes wrong values: a small gradient is off by ${error}`)
})

const failed = (reason: string): Report => ({ works: false, reason })

/** Ends the connection with the message, so that only a device that lingers keeps the process alive. */
const send = (report: Report) => {
  if (process.send === undefined) throw new Error("this is a part of `prefline doctor`, which starts it")
  process.send(report, undefined, undefined, () => process.disconnect())
}

const report = await Effect.runPromise(
  attempt.pipe(
    Effect.provide(Device.layer(process.argv[2] ?? "")),
    Effect.catchTag("DeviceUnavailable", ({ reason }) => Effect.succeed(failed(reason))),
    Effect.catchCause((cause) => Effect.succeed(failed(describe(Cause.squash(cause)))))
  )
)
send(report)
