/** Bugs that any stage could have, put around what it makes: for laws of stages which no small change of the code breaks. */
import { createHash } from "node:crypto"
import { Effect } from "effect"
import * as Component from "../../../dsl/Component.ts"
import type * as Law from "../../../dsl/Law.ts"

type Bug = (made: any, call: unknown) => unknown

const records =
  (change: (records: ReadonlyArray<unknown>, call: unknown) => ReadonlyArray<unknown>): Bug =>
  (made, call) =>
    Array.isArray(made) ? change(made, call) : made

/** All numbers and texts changed, at any depth; `at` counts them. */
const leaves =
  (change: (leaf: number | string, call: unknown, at: number) => unknown): Bug =>
  (made, call) => {
    let at = 0
    const visit = (value: unknown): unknown => {
      if (typeof value === "number" || typeof value === "string") return change(value, call, at++)
      if (value instanceof Float32Array || value instanceof Float64Array)
        return value.map((x) => change(x, call, at++) as number)
      if (Array.isArray(value)) return value.map(visit)
      if (value instanceof Map) return new Map([...value].map(([key, held]) => [key, visit(held)]))
      if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value
      const changed = Object.entries(value).map(([key, held]) => [key, visit(held)])
      return Object.assign(Object.create(Object.getPrototypeOf(value)), Object.fromEntries(changed))
    }
    return visit(made)
  }
const numbers = (change: (x: number, call: unknown, at: number) => number): Bug =>
  leaves((leaf, call, at) => (typeof leaf === "number" ? change(leaf, call, at) : leaf))
const texts = (change: (text: string, call: unknown) => string): Bug =>
  leaves((leaf, call) => (typeof leaf === "string" ? change(leaf, call) : leaf))

const seen = (_: string, value: unknown): unknown => {
  if (Component.isComponent(value)) return [value.name, value.params]
  return ArrayBuffer.isView(value)
    ? createHash("sha256")
        .update(value as Uint8Array)
        .digest("hex")
    : value
}
/** What is another in every process: the folder of generated files, and the port of a local endpoint. */
const PASSING = /prefline-laws-\w+|127\.0\.0\.1:\d+/g

/** In [0, 1), as the call says. */
const drawn = (call: unknown): number =>
  createHash("sha256").update(JSON.stringify(call, seen).replaceAll(PASSING, "")).digest().readUInt16BE() / 65536

export const bugs: Readonly<Record<string, Bug>> = {
  "makes the records in reverse": records((made) => made.toReversed()),
  "leaves out the last record": records((made) => made.slice(0, -1)),
  "leaves out the first record": records((made) => made.slice(1)),
  "makes the first record twice": records((made) => [...made.slice(0, 1), ...made]),
  "leaves out the last record of some calls": records((made, call) =>
    made.slice(0, made.length - Math.round(drawn(call)))
  ),
  "makes larger numbers": numbers((x) => x + 0.37),
  "makes numbers of the other sign": numbers((x) => -x - 0.1),
  "makes numbers twice as large": numbers((x) => 2 * x),
  "makes each number larger than the one before": numbers((x, _, at) => x + at / 7),
  "makes numbers that depend on all of the call": numbers((x, call) => x + drawn(call)),
  "makes longer texts": texts((text) => `${text}'`),
  "makes empty texts": texts(() => ""),
  "makes texts that depend on all of the call": texts((text, call) => `${text} ${drawn(call)}`),
  "makes no numbers": numbers(() => Number.NaN)
}

/** The stage with the bug. */
export const wrapped = (subject: Law.Subject, bug: string): Law.Subject => ({
  get given() {
    return subject.given
  },
  run: (call) => Effect.map(subject.run(call), (made) => bugs[bug]!(made, call))
})
