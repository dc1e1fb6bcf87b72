import * as tf from "@tensorflow/tfjs"
import { Arbitrary, Effect, Schema } from "effect"
import { type Evaluation, EvaluationReport, Pairs } from "../../dsl/artifacts.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import * as Law from "../../dsl/Law.ts"
import { Count, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import { withHead } from "../../runtime/models/head.ts"
import { HEAD } from "../../runtime/models/LlamaConfig.ts"
import * as Policy from "../../runtime/models/Policy.ts"
import { computed } from "../../runtime/tensor/read.ts"
import * as X from "../optimize/algebra/Expression.ts"
import { reads } from "../optimize/algebra/reads.ts"
import { onTensors } from "../optimize/algebra/tensors.ts"
import { itemsOf, tensorsOf } from "../optimize/items.ts"
import { average, clusteredEstimate } from "./estimates.ts"
import { NothingToEvaluate } from "./evaluate.ts"

const PAIRS_AT_ONCE = 32

/** The policy's head has another number of outputs than there are degrees. */
export class HeadDiffers extends Schema.TaggedError<HeadDiffers>()("HeadDiffers", {
  outputs: Schema.Int,
  wanted: Schema.Int
}) {
  override get message() {
    return `the policy's head has ${this.outputs} outputs; for so many levels it needs ${this.wanted}`
  }
}

/** What the head says of one answer, and what is true. */
interface Judged {
  readonly prompt: string
  readonly logits: ReadonlyArray<number>
  readonly degree: number
}

const logSumExp = (x: ReadonlyArray<number>) => {
  const highest = Math.max(...x)
  return highest + Math.log(x.reduce((sum, value) => sum + Math.exp(value - highest), 0))
}

const estimatesOf = (answers: ReadonlyArray<Judged>): Evaluation["estimates"] => {
  const over = (value: (of: Judged) => number, of = answers) =>
    clusteredEstimate(
      of.map(value),
      of.map(({ prompt }) => prompt)
    )
  const right = ({ degree, logits }: Judged) => (logits.indexOf(Math.max(...logits)) === degree ? 1 : 0)
  const degrees = [...new Set(answers.map(({ degree }) => degree))].sort((a, b) => a - b)
  return {
    "degree/accuracy": over(right),
    "degree/loss": over(({ degree, logits }) => logSumExp(logits) - logits[degree]!),
    ...Object.fromEntries(
      degrees.flatMap((degree) => {
        const of = answers.filter((answer) => answer.degree === degree)
        return [
          [`degree/accuracy/${degree}`, over(right, of)],
          [`degree/share/${degree}`, over((answer) => (answer.degree === degree ? 1 : 0))]
        ]
      })
    )
  }
}

const Logits = Arbitrary.all([
  Arbitrary.schema(Law.Real(-3, 3)),
  Arbitrary.schema(Law.Real(-3, 3)),
  Arbitrary.schema(Law.Real(-3, 3))
])
const Answers = Arbitrary.array(Arbitrary.all([Logits, Arbitrary.schema(Schema.Literals([0, 1, 2]))]), {
  minLength: 1,
  maxLength: 6
}).pipe(Arbitrary.map((all) => all.map(([logits, degree], i): Judged => ({ prompt: `${i % 2}`, logits, degree }))))
const meansOf = (answers: ReadonlyArray<Judged>) =>
  Object.fromEntries(Object.entries(estimatesOf(answers)).map(([name, { mean }]) => [name, mean]))
const near = (a: number | undefined, b: number) => Math.abs(a! - b) < 1e-9

const laws: ReadonlyArray<Law.Law> = [
  Law.make("of equal outputs loses the logarithm of their number", Answers, (answers) =>
    near(meansOf(answers.map((answer) => ({ ...answer, logits: [0, 0, 0] })))["degree/loss"], Math.log(3))
  ),
  Law.make("renaming the degrees with the outputs changes nothing", Answers, (answers) => {
    const renamed = answers.map(({ degree, logits: [a, b, c], prompt }): Judged => {
      return { prompt, logits: [c!, a!, b!], degree: (degree + 1) % 3 }
    })
    const tied = answers.some(({ logits }) => new Set(logits).size < 3)
    const [before, after] = [meansOf(answers), meansOf(renamed)]
    return (
      near(before["degree/loss"], after["degree/loss"]!) &&
      (tied || near(before["degree/accuracy"], after["degree/accuracy"]!))
    )
  }),
  Law.make("is the mean of the degrees' accuracies by their shares", Answers, (answers) => {
    const means = meansOf(answers)
    const parts = [0, 1, 2].map((d) => (means[`degree/share/${d}`] ?? 0) * (means[`degree/accuracy/${d}`] ?? 0))
    return near(means["degree/accuracy"], 3 * average(parts))
  })
]

const SIDES = ["Chosen", "Rejected"] as const

/**
 * How well a policy's head knows the degree of the answers `degradedChosen` and `degradedRejected` of each pair, whose numbers
 * are `degreeChosen` and `degreeRejected`: `degree/accuracy` (the share of answers whose highest output is the true one, the
 * first of equal ones), `degree/loss` (cross-entropy in nats), and for each degree d `degree/accuracy/<d>` and `degree/share/<d>`,
 * how many answers are of it. Both sides count alike; an answer of degree -1 is left out.
 * **Details** The head has `levels + 1` outputs, the first of a head that has more for other uses. A policy without a head is
 * judged with one of zeros. Fails with `HeadDiffers` for a head that has fewer.
 */
export const degree = Stage.make({
  name: "evaluate.degree",
  description: "How well a head tells the degree of degraded answers",
  module: import.meta.url,
  params: { levels: Count.pipe(withDefault(3)) },
  input: Pairs,
  inputs: { policy: CheckpointFolder },
  output: EvaluationReport,
  numerics: true,
  laws,
  run: ({ input, inputs, params: { levels }, rng }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const outputs = inputs.policy.weights.get(HEAD)?.shape[0]
        if (outputs !== undefined && outputs < levels + 1)
          return yield* new HeadDiffers({ outputs, wanted: levels + 1 })
        const checkpoint = outputs === undefined ? withHead(inputs.policy, levels + 1, 0, rng) : inputs.policy
        const policy = yield* Policy.load(checkpoint)
        const roots = SIDES.flatMap((side) =>
          Array.from({ length: levels + 1 }, (_, k) => X.head(`degraded${side}`, k))
        )
        const range = { minimum: -1, maximum: levels, whole: true }
        const wanted = reads([...roots, ...SIDES.map((side) => X.number(`degree${side}`, range))])
        const items = yield* itemsOf(policy, input, {}, wanted)
        const answers: Array<Judged> = []
        for (let start = 0; start < items.length; start += PAIRS_AT_ONCE) {
          yield* Effect.yieldNow
          const some = items.slice(start, start + PAIRS_AT_ONCE)
          const values = yield* computed(() => tf.stack([...onTensors(roots, tensorsOf(policy.model, some, wanted))]))
          const value = (root: number, i: number) => values[root * some.length + i]!
          some.forEach(({ numbers, prompt }, i) => {
            SIDES.forEach((side, s) => {
              const first = s * (levels + 1)
              const logits = Array.from({ length: levels + 1 }, (_, k) => value(first + k, i))
              const degree = numbers[`degree${side}`]!
              if (degree >= 0) answers.push({ prompt, logits, degree })
            })
          })
        }
        if (answers.length === 0) return yield* new NothingToEvaluate({ what: "degraded answers" })
        const report: Evaluation = { estimates: estimatesOf(answers), examples: [] }
        return report
      })
    )
})
