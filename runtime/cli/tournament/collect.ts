/** Reads from the store what the trainings of a tournament came to. */
import { Effect, Stream } from "effect"
import type { Records } from "../../../dsl/Artifact.ts"
import type { Evaluation } from "../../../dsl/artifacts.ts"
import type * as Pipeline from "../../../dsl/Pipeline.ts"
import type { Arena, Entrant } from "../../../pipelines/tournament/index.ts"
import type { RunResult } from "../../executor/Executor.ts"
import { describe, type NodeFailed } from "../../executor/errors.ts"
import { Store } from "../../store/Store.ts"
import { load } from "./Asked.ts"
import type { Training } from "./standings.ts"

export interface Ran {
  readonly built: Pipeline.Built
  readonly result: RunResult
  readonly failures: ReadonlyArray<NodeFailed>
}

/** Every training with its measurements; those that failed say why. */
export const trainings = Effect.fn("tournament.trainings")(function* (
  arena: Arena,
  entrants: ReadonlyArray<Entrant>,
  seeds: ReadonlyArray<number>,
  ran: Ran
) {
  const outputs = reader(ran)
  return yield* Effect.forEach(
    seeds.flatMap((seed) => entrants.map((entrant) => ({ entrant, seed }))),
    Effect.fnUntraced(function* ({ entrant, seed }) {
      const names = [
        ...arena.parts.map((part) => inSeed(`${entrant.name}/${part}`, seed)),
        ...arena.shared.map((part) => inSeed(`start/${part}`, seed))
      ]
      const policy = inSeed(`${entrant.name}/policy`, seed)
      const ms = yield* outputs.ms(policy)
      const about = { entrant, seed, ms }
      const missing = [policy, ...names].find((name) => ran.result.outputs[name] === undefined)
      if (missing !== undefined) {
        const failed: Training = { ...about, measures: undefined, problem: outputs.problem(missing) }
        return failed
      }
      const own = yield* outputs.all(arena.parts, (part) => inSeed(`${entrant.name}/${part}`, seed))
      const start = yield* outputs.all(arena.shared, (part) => inSeed(`start/${part}`, seed))
      const training: Training = { ...about, measures: arena.measure(own, start), problem: undefined }
      return training
    })
  )
})

/** The most gold reward at the KL of each beta, means over seeds; without those that failed. */
export const optimum = Effect.fnUntraced(function* (seeds: ReadonlyArray<number>, ran: Ran) {
  const { OPTIMUM_BETAS, optimumName } = yield* load
  const outputs = reader(ran)
  const points = yield* Effect.forEach(
    OPTIMUM_BETAS,
    Effect.fnUntraced(function* (beta) {
      const names = seeds.map((seed) => inSeed(optimumName(beta), seed))
      if (names.some((name) => ran.result.outputs[name] === undefined)) return []
      const evaluations = (yield* Effect.forEach(names, outputs.read)) as ReadonlyArray<Evaluation>
      const mean = (of: (estimates: Evaluation["estimates"]) => number) =>
        evaluations.reduce((sum, { estimates }) => sum + of(estimates), 0) / evaluations.length
      const gain = mean((estimates) => estimates["reward/policy"]!.mean - estimates["reward/reference"]!.mean)
      return [{ beta, kl: mean((estimates) => estimates["kl"]!.mean), gain }]
    })
  )
  return points.flat().sort((a, b) => a.kl - b.kl)
})

/** The store keys of the trained policies, by entrant and seed. */
export const keys = (
  entrants: ReadonlyArray<Entrant>,
  seeds: ReadonlyArray<number>,
  { built, result }: Ran
): Readonly<Record<string, string>> => {
  const byId = new Map(result.nodes.map((node) => [node.id, node.key]))
  return Object.fromEntries(
    entrants.flatMap(({ name }) =>
      seeds.flatMap((seed) => {
        const key = byId.get(built.graph.outputs[inSeed(`${name}/policy`, seed)]!)
        return key === undefined ? [] : [[inSeed(name, seed), key] as const]
      })
    )
  )
}

/** As a sweep names an output. */
const inSeed = (output: string, seed: number) => `${output}[seed=${seed}]`

const reader = ({ built: { graph }, failures, result }: Ran) => {
  const nodes = new Map(result.nodes.map((node) => [node.id, node]))
  const decoded = new Map<string, unknown>()
  const read = Effect.fnUntraced(function* (name: string) {
    const id = graph.outputs[name]!
    if (!decoded.has(id)) {
      const { artifact } = graph.byId.get(id)!.node
      const value = yield* (yield* Store).read(artifact, result.outputs[name]!)
      const isRecords = artifact.kind === "records"
      decoded.set(id, isRecords ? yield* Stream.runCollect((value as Records<unknown>).stream) : value)
    }
    return decoded.get(id)
  })
  return {
    read,
    all: (parts: ReadonlyArray<string>, nameOf: (part: string) => string) =>
      Effect.map(
        Effect.forEach(parts, (part) => Effect.map(read(nameOf(part)), (value) => [part, value] as const)),
        (entries) => Object.fromEntries(entries)
      ),
    /** How long the computation of an output's node took, now or earlier. */
    ms: Effect.fnUntraced(function* (name: string) {
      const key = nodes.get(graph.outputs[name]!)?.key
      if (key === undefined) return undefined
      const action = yield* (yield* Store).lookup(key)
      return action._tag === "Some" ? action.value.ms : undefined
    }),
    /** Why an output was not made: its own failure, or the first one before it. */
    problem: (name: string): string => {
      const before = new Set([graph.outputs[name]!])
      for (const { id, inputs } of graph.nodes.toReversed())
        if (before.has(id)) for (const input of Object.values(inputs)) before.add(input)
      const failure = failures.find(({ node }) => before.has(node))
      return failure === undefined
        ? "was not made"
        : `${failure.stage}: ${describe(failure.cause).replaceAll(/\s+/g, " ")}`
    }
  }
}
