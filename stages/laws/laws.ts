/** Laws that several of the shipped stages share. */
import { readFileSync } from "node:fs"
import { basename } from "node:path"
import { gunzipSync } from "node:zlib"
import type { Checkpoint } from "../../dsl/Checkpoint.ts"
import type * as Law from "../../dsl/Law.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { words } from "../load/selection.ts"
import * as Files from "./files.ts"

/** Laws of slow stages, tried on so many inputs unless told. */
export const few = (runs: number, laws: ReadonlyArray<Law.Law>): ReadonlyArray<Law.Law> =>
  laws.map(({ check, name }) => ({ name, check: (asked = {}) => check({ ...asked, runs: asked.runs ?? runs }) }))

/** With a limit a loader makes the first of the records that it makes without. */
export const limited = StageLaw.related(
  "a limit takes the first",
  ({ params }, made) => (made.length === 0 ? undefined : { params: { ...params, limit: Math.ceil(made.length / 2) } }),
  (made, fewer) => StageLaw.near(fewer, made.slice(0, Math.ceil(made.length / 2)), 0)
)

/** What `selectionFields` promise of texts. */
export const selection: ReadonlyArray<Law.Law> = [
  limited,
  StageLaw.related(
    "lower case changes the letters alone",
    ({ params }) => ({ params: { ...params, lowercase: true } }),
    (made, lower) =>
      StageLaw.near(
        made.map((text: any) => ({ ...text, text: text.text.toLowerCase() })),
        lower,
        0
      )
  ),
  StageLaw.related(
    "bounds take the texts with so many words",
    ({ params }, made) => {
      const most = longest(made)
      return most < 2 ? undefined : { params: { ...params, minWords: 2, maxWords: most - 1 } }
    },
    (made, within, { params }) => {
      const [low, high] = [2, longest(made) - 1]
      const wanted = made.filter(({ text }: any) => words(text).length >= low && words(text).length <= high)
      // of bounded texts there may be more where a limit stood
      return StageLaw.near(params.limit === undefined ? within : within.slice(0, wanted.length), wanted, 0)
    }
  )
]

const longest = (made: ReadonlyArray<{ readonly text: string }>) =>
  Math.max(0, ...made.map(({ text }) => words(text).length))

const contentOf = (path: string): string => {
  const bytes = readFileSync(path)
  return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8")
}

/** The objects on the lines of a file. */
export const rowsOf = (path: string): ReadonlyArray<any> =>
  contentOf(path)
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line))

const at = (call: any, path: string) => ({ ...call, params: { ...call.params, path } })

/** What loaders of lines promise, whatever the records are. */
export const lineByLine: ReadonlyArray<Law.Law> = [
  limited,
  StageLaw.related(
    "a packed file is read alike",
    (call) => at(call, Files.packed(`packed/${basename(call.params.path)}`, contentOf(call.params.path))),
    (made, unpacked) => StageLaw.near(made, unpacked, 0)
  ),
  StageLaw.related(
    "empty lines at the end, and a last line without end, change nothing",
    (call) => at(call, Files.file(`trimmed/${basename(call.params.path)}`, contentOf(call.params.path).trimEnd())),
    (made, trimmed) => StageLaw.near(made, trimmed, 0)
  )
]

/** A file holds the records themselves: they come as they stand. */
export const asWritten = StageLaw.output(
  "makes the records of the file, unchanged and in order",
  (made, { params }) => {
    if (params.format === "trl") return true
    return StageLaw.near(made, rowsOf(params.path).slice(0, params.limit ?? Number.POSITIVE_INFINITY), 0)
  }
)

/** The largest difference between the weights of two checkpoints; infinite where they are not of one shape. */
export const weightDistance = (a: Checkpoint, b: Checkpoint): number => {
  if ([...a.weights.keys()].sort().join() !== [...b.weights.keys()].sort().join()) return Number.POSITIVE_INFINITY
  let most = 0
  for (const [name, { data, shape }] of a.weights) {
    const other = b.weights.get(name)!
    if (shape.join() !== other.shape.join()) return Number.POSITIVE_INFINITY
    for (let i = 0; i < data.length; i++) most = Math.max(most, Math.abs(Number(data[i]) - Number(other.data[i])))
  }
  return most
}

/** Whether two checkpoints have the same weights, up to a distance. */
export const sameWeights = (a: Checkpoint, b: Checkpoint, tolerance = 0): StageLaw.Finding => {
  const distance = weightDistance(a, b)
  return distance <= tolerance || `the weights differ by ${distance}`
}

/** Whether every mean lies in its interval, over a positive number of items. */
export const intervals = StageLaw.output("has every mean within its interval", ({ estimates }) => {
  for (const [name, { count, high, low, mean }] of Object.entries<any>(estimates))
    if (!(low <= mean + 1e-12 && mean <= high + 1e-12 && count > 0)) return `${name} is ${mean} in [${low}, ${high}]`
  return true
})

/** Whether the means of these names are those of the other evaluation. */
export const sameMeans = (a: any, b: any, tolerance = 1e-6): StageLaw.Finding =>
  StageLaw.near(means(a), means(b), tolerance)

export const means = ({ estimates }: any): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries<any>(estimates).map(([name, { mean }]) => [name, mean]))
