/** One sample of a case, on the device and by the reference; and the search for a small sample that fails. */
import * as tf from "@tensorflow/tfjs"
import type { Kind } from "../../runtime/device/Device.ts"
import { apply, type Case, type Input, type Sample } from "./Case.ts"
import * as Draw from "./draw.ts"
import * as O from "./oracle.ts"
import * as Tape from "./tape.ts"
import { watched } from "./witness.ts"

export type Part = "forward" | "gradient"

/** What the device did wrong, in a sentence or a few. */
export type Fault = string

export interface Subject {
  readonly kind: Kind
  readonly accuracy: Tape.Accuracy
  readonly tensors: () => { readonly count: number }
}

/**
 * A result may be off by this many times the bound of the error analysis, which is of one order of evaluation while
 * devices choose another.
 */
const SAFETY = 2

/** The sizes that samples go through: small and telling first, since some devices see one or two only. */
const SIZES = [3, 4, 2, 5, 1]

/** Runs one part of a case over its samples; `undefined` if all are right, else a report of a small one that is not. */
export const check = async (
  subject: Subject,
  the: Case,
  part: Part,
  options: { readonly seed: number; readonly samples: number; readonly attempts: number }
): Promise<Fault | undefined> => {
  let telling = 0
  const enough = () => 2 * telling >= options.samples
  for (let sample = 0; sample < options.samples || (!enough() && sample < 4 * options.samples); sample++) {
    const at: Place = { seed: options.seed, sample, size: SIZES[sample % SIZES.length]! }
    const verdict = await judge(subject, the, part, at)
    if (verdict.fault === undefined) telling += verdict.telling ? 1 : 0
    else {
      const smaller = await smallest(subject, the, part, at, options.attempts)
      const first = smaller === undefined ? "" : `\n  seen first: ${verdict.fault}`
      return report(subject, the, part, smaller ?? { ...at, fault: verdict.fault }) + first
    }
  }
  return enough() ? undefined : `${the.name}, ${part}: ${VACUOUS}`
}

const VACUOUS = "the tolerance lets nearly anything through"

/** Not the device's fault, but the suite's: most samples are right and say nothing. */
export const isVacuous = (fault: Fault): boolean => fault.endsWith(VACUOUS)

/** What came of a sample. It tells nothing if all results are so badly conditioned that tolerances exceed a hundredth. */
interface Verdict {
  readonly fault: Fault | undefined
  readonly telling: boolean
}

const wrong = (fault: Fault): Verdict => ({ fault, telling: true })

/** The first fault, if any. */
const together = (verdicts: ReadonlyArray<Verdict>): Verdict => ({
  fault: verdicts.find(({ fault }) => fault !== undefined)?.fault,
  telling: verdicts.some(({ telling }) => telling)
})

/** Which sample: enough to draw it again. */
interface Place {
  readonly seed: number
  readonly sample: number
  readonly size: number
}

const draw = (the: Case, { sample, seed, size }: Place): Sample => the.sample(Draw.make(seed, the.name, sample, size))

const elements = ({ inputs }: Sample): number => inputs.reduce((total, { shape }) => total + O.sizeOf(shape), 0)

/** Of further samples of the case, the one with the fewest elements that fails too. */
const smallest = async (subject: Subject, the: Case, part: Part, found: Place, attempts: number) => {
  const places = Array.from({ length: attempts }, (_, i) => ({
    ...found,
    size: 1 + (i % found.size),
    sample: 1000 + i
  }))
  const sorted = places
    .map((place) => ({ place, count: elements(draw(the, place)) }))
    .filter(({ count }) => count < elements(draw(the, found)))
    .sort((a, b) => a.count - b.count)
  for (const { place } of sorted) {
    const { fault } = await judge(subject, the, part, place)
    if (fault !== undefined) return { ...place, fault }
  }
  return undefined
}

const report = (subject: Subject, the: Case, part: Part, failed: Place & { readonly fault: Fault }): Fault => {
  const { attributes, inputs } = draw(the, failed)
  const { sample, seed, size } = failed
  return [
    `${the.name}, ${part}, on ${subject.kind}: ${failed.fault}`,
    `  attributes ${JSON.stringify(attributes)}`,
    ...inputs.map((input, i) => `  input ${i}: ${shown(input)}`),
    `  sample ${seed}/${sample}/${size}; again: PREFLINE_CONFORMANCE_SEED=${seed} npx vitest run test/conformance/${subject.kind}.test.ts -t ${JSON.stringify(the.name)}`
  ].join("\n")
}

const shown = ({ dtype, shape, values }: Input): string => {
  const listed = Array.from(values).slice(0, 24).join(", ")
  return `${dtype} [${shape}] = [${listed}${values.length > 24 ? ", …" : ""}]`
}

const judge = async (subject: Subject, the: Case, part: Part, place: Place): Promise<Verdict> => {
  const sample = draw(the, place)
  const before = subject.tensors().count
  const verdict = await (part === "forward" ? forward(subject, sample) : gradient(subject, sample, place))
  if (verdict.fault !== undefined) return verdict
  const after = subject.tensors().count
  return after === before ? verdict : wrong(`${after - before} tensors left behind`)
}

const tensorOf = ({ dtype, shape, values }: Input): tf.Tensor => {
  const array = dtype === "float32" ? Float32Array : dtype === "int32" ? Int32Array : Uint8Array
  return tf.tensor(array.from(values as ArrayLike<number>), [...shape], dtype)
}

const onTape = (subject: Subject, sample: Sample) => {
  const tape = Tape.make(subject.accuracy)
  const inputs = sample.inputs.map(({ dtype, shape, values }) => O.input(tape, shape, values, dtype))
  return { tape, inputs, outputs: [sample.oracle(...inputs)].flat() }
}

/** What a device computed, read back; or what it threw. */
interface Read {
  readonly shape: ReadonlyArray<number>
  readonly dtype: string
  readonly values: ArrayLike<number>
}

/** Runs operations on the device and reads their results, asynchronously. Frees everything, whatever happens. */
const onDevice = async (
  { kind }: Subject,
  sample: Sample,
  sizes: ReadonlyArray<number>,
  run: (inputs: ReadonlyArray<tf.Tensor>) => ReadonlyArray<tf.Tensor>
): Promise<ReadonlyArray<Read> | string> => {
  const inputs = sample.inputs.map(tensorOf)
  let outputs: ReadonlyArray<tf.Tensor> = []
  // Memory that is used again must not pass for a result that was never written.
  tf.dispose([...sizes, ...sizes, ...sizes].map((size) => tf.fill([size], Number.NaN)))
  try {
    outputs = watched(kind, () => tf.tidy(() => [...run(inputs)]))
    return await Promise.all(
      outputs.map(async (output) => ({
        shape: output.shape,
        dtype: output.dtype,
        values: (await output.data()).slice()
      }))
    )
  } catch (error) {
    await settled()
    return described(error)
  } finally {
    tf.dispose([...inputs, ...outputs])
  }
}

const described = (error: unknown) =>
  `threw ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`

/** A device that refused a command may say so again at the next one: waits until it works, or has said so often enough. */
const settled = async (): Promise<void> => {
  for (let attempt = 0; attempt < 3; attempt++) {
    const x = tf.scalar(1)
    const complaint = await Promise.resolve()
      .then(() => tf.tidy(() => tf.neg(x)))
      .then((y) => y.data().finally(() => y.dispose()))
      .then(() => undefined, described)
    x.dispose()
    if (complaint === undefined) return
  }
}

const forward = async (subject: Subject, sample: Sample): Promise<Verdict> => {
  const { outputs } = onTape(subject, sample)
  const sizes = outputs.map(({ ids }) => ids.length)
  const got = await onDevice(subject, sample, sizes, (inputs) => apply(sample, inputs))
  if (typeof got === "string") return wrong(got)
  if (got.length !== outputs.length) return wrong(`${got.length} results, not ${outputs.length}`)
  return together(
    outputs.map((expected, i) => compare(`result ${i}`, got[i]!, expected, O.valuesOf(expected), O.boundsOf(expected)))
  )
}

/** Of `slopes . results`, with slopes that differ from one another. */
const gradient = async (subject: Subject, sample: Sample, place: Place): Promise<Verdict> => {
  const { inputs, outputs, tape } = onTape(subject, sample)
  const slopesDraw = Draw.make(place.seed, "slopes", place.sample, place.size)
  const slopes = outputs.map(({ shape }) => slopesDraw.values(shape))
  const by = [...sample.inputs.keys()].filter((i) => !sample.inputs[i]!.constant)
  const sizes = by.map((i) => inputs[i]!.ids.length)
  const got = await onDevice(subject, sample, sizes, (tensors) => {
    const call = (floats: ReadonlyArray<tf.Tensor>) => {
      const all = tensors.map((tensor, i) => (by.includes(i) ? floats[by.indexOf(i)]! : tensor))
      return apply(sample, all)
    }
    const ys = outputs.map(({ shape }, i) => tf.tensor(slopes[i]!, [...shape]))
    const floats = by.map((i) => tensors[i]!)
    if (ys.length === 1) return tf.grads((...floats: Array<tf.Tensor>) => call(floats)[0]!)(floats, ys[0]!)
    return tf.grads((...floats: Array<tf.Tensor>) => tf.addN(call(floats).map((y, i) => tf.sum(tf.mul(y, ys[i]!)))))(
      floats
    )
  })
  if (typeof got === "string") return wrong(got)
  const { bounds, values } = Tape.backward(
    tape,
    outputs.flatMap(({ ids }) => ids),
    slopes.flatMap((slope) => Array.from(slope))
  )
  return together(
    by.map((i, at) => {
      const { ids } = inputs[i]!
      return compare(
        `by input ${i}`,
        got[at]!,
        inputs[i]!,
        ids.map((id) => values[id]!),
        ids.map((id) => bounds[id]!)
      )
    })
  )
}

/** Below this, float32 loses digits and devices flush to zero. */
const SMALLEST = 2 ** -120

const compare = (
  what: string,
  got: Read,
  expected: { readonly shape: ReadonlyArray<number>; readonly dtype: string },
  values: ArrayLike<number>,
  bounds: ArrayLike<number>
): Verdict => {
  const { dtype, shape } = expected
  if (got.shape.join() !== shape.join()) return wrong(`${what} has shape [${got.shape}], not [${shape}]`)
  if (got.dtype !== dtype) return wrong(`${what} is of type ${got.dtype}, not ${dtype}`)
  if (got.values.length !== values.length) return wrong(`${what} has ${got.values.length} values, not ${values.length}`)
  const allowed = (i: number) => (dtype === "float32" ? SAFETY * bounds[i]! + SMALLEST : 0)
  let worst: { readonly i: number; readonly excess: number } | undefined
  for (let i = 0; i < values.length; i++) {
    if (got.values[i] === values[i] || (Number.isNaN(got.values[i]) && Number.isNaN(values[i]))) continue
    const off = Math.abs(got.values[i]! - values[i]!)
    if (off <= allowed(i)) continue
    const excess = Number.isNaN(off) ? Number.POSITIVE_INFINITY : off / allowed(i)
    if (worst === undefined || excess > worst.excess) worst = { i, excess }
  }
  if (worst === undefined) return { fault: undefined, telling: tells(values, bounds) }
  const { i } = worst
  const tolerance = dtype === "float32" ? ` +- ${allowed(i).toPrecision(3)}` : ""
  return wrong(`${what}: [${coordinates(i, shape)}] is ${got.values[i]}, not ${values[i]}${tolerance}`)
}

const tells = (values: ArrayLike<number>, bounds: ArrayLike<number>): boolean => {
  let size = 0
  let allowed = 0
  for (let i = 0; i < values.length; i++) {
    size += values[i]! ** 2
    allowed += bounds[i]! ** 2
  }
  return !(allowed > 1e-4 * size)
}

const coordinates = (i: number, shape: ReadonlyArray<number>): string => {
  const at: Array<number> = []
  for (let axis = shape.length - 1, rest = i; axis >= 0; axis--) {
    at.unshift(rest % shape[axis]!)
    rest = Math.floor(rest / shape[axis]!)
  }
  return at.join()
}
