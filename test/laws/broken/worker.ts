/** Tries laws on a change of one module, in a process of its own: a change may hang, leak or crash. Asked by messages. */
import "./load.ts"
import type { CheckOptions, Law, Verdict } from "../../../dsl/Law.ts"
import type { Listed, Subject } from "./subjects.ts"

/** Without `file` the laws are tried on the originals. */
export interface Question {
  readonly subject: Pick<Subject, "of" | "by" | "entries">
  readonly laws: ReadonlyArray<string>
  /** How many inputs are tried; what the law says unless told. */
  readonly runs?: number
  /** A bug of `wrapped.ts` that the stage is to have. */
  readonly wrapped?: string
  readonly file?: string
  readonly source?: string
}

export type Answer =
  | ({ readonly _tag: "Subjects" } & Listed)
  | { readonly _tag: "Verdicts"; readonly verdicts: ReadonlyArray<Said> }
  /** The changed module cannot be used at all. */
  | { readonly _tag: "Refused"; readonly reason: string }

export interface Said {
  readonly law: string
  readonly holds: boolean
  /** Whether the law itself said no: nothing crashed in it. */
  readonly isOwn: boolean
  readonly reason: string
}

const { NodeServices } = await import("@effect/platform-node")
const tf = await import("@tensorflow/tfjs")
const { Effect, Layer, ManagedRuntime } = await import("effect")
const { Device } = await import("../../../runtime/device/Device.ts")
const { Store } = await import("../../../runtime/store/Store.ts")
const { temporaryStore } = await import("../../runtime/executor/support.ts")
const { Broken } = await import("../../../dsl/Law.ts")
const { lawsOf, subjects } = await import("./subjects.ts")
const { wrapped } = await import("./wrapped.ts")
const { withBroken } = await import("./load.ts")

const { remove, root } = temporaryStore()
process.on("exit", remove)
const runtime = ManagedRuntime.make(Layer.mergeAll(Store.layer(root), Device.layer("wasm"), NodeServices.layer))
await runtime.runPromise(Effect.void)

/** What laws give as reasons. */
const reasons = new Set(["does not hold"])
Object.defineProperty(Broken.prototype, "message", {
  get(this: { readonly reason: string }) {
    reasons.add(this.reason)
    return this.reason
  }
})

const said = async (law: Law, options: CheckOptions): Promise<Omit<Said, "law">> => {
  tf.engine().startScope()
  try {
    const verdict: Verdict = await runtime.runPromise(law.check(options))
    if (verdict._tag === "Holds") return { holds: true, isOwn: true, reason: "" }
    return { holds: false, isOwn: reasons.has(verdict.reason), reason: verdict.reason }
  } catch (cause) {
    return { holds: false, isOwn: false, reason: String(cause) }
  } finally {
    tf.engine().endScope()
  }
}

const verdictsOf = async (
  { laws, runs, subject, wrapped: bug }: Question,
  modules: ReadonlyArray<Readonly<Record<string, unknown>>>
) => {
  const stated = await lawsOf(subject, modules)
  const all: Array<Said> = []
  for (const name of laws) {
    const found = stated.find((each) => each.name === name)
    if (found === undefined) throw new Error(`${subject.of} has no law ${JSON.stringify(name)}`)
    const called = found.subject && bug !== undefined ? wrapped(found.subject, bug) : found.subject
    const options = { seed: 1, ...(runs && { runs }), ...(called && { subject: called }) }
    all.push({ law: name, ...(await said(found.law, options)) })
  }
  return all
}

const answerTo = async (question: Question | "subjects"): Promise<Answer> => {
  if (question === "subjects") return { _tag: "Subjects", ...(await subjects()) }
  const { file, source, subject } = question
  try {
    const verdicts =
      file === undefined || source === undefined
        ? await verdictsOf(question, await Promise.all(subject.entries.map((entry) => import(entry))))
        : await withBroken({ entries: subject.entries, file, source }, (modules) => verdictsOf(question, modules))
    return { _tag: "Verdicts", verdicts }
  } catch (cause) {
    return { _tag: "Refused", reason: cause instanceof Error ? cause.message : String(cause) }
  }
}

process.on("unhandledRejection", () => undefined) // of changed code
process.on("disconnect", () => process.exit())
process.on("message", (question: Question | "subjects") => {
  void answerTo(question).then((answer) => process.send!(answer))
})
process.send!("ready")
