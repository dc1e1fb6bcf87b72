/** Runs written into a store by hand: every part of a key, every output and every estimate is the test's to choose. */
import { Effect } from "effect"
import type { Estimate } from "../../../dsl/artifacts.ts"
import { EvaluationReport } from "../../../dsl/artifacts.ts"
import type * as Json from "../../../dsl/Json.ts"
import type { ArtifactRef } from "../../../runtime/store/ArtifactRef.ts"
import { sha256 } from "../../../runtime/store/ArtifactRef.ts"
import * as Journal from "../../../runtime/store/Journal.ts"
import * as Key from "../../../runtime/store/Key.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { Score } from "../store/scratch.ts"

export interface Made {
  readonly stage?: string
  /** Input name -> node. */
  readonly inputs?: Readonly<Record<string, string>>
  readonly params?: Json.JsonObject
  /** Path -> what the module says. */
  readonly modules?: Readonly<Record<string, string>>
  readonly source?: Json.Json
  /** The output's content; estimates make it an evaluation. */
  readonly output: number | Readonly<Record<string, Estimate>>
  readonly status?: "computed" | "cached"
  /** Leaves the node unfinished. */
  readonly unfinished?: boolean
}

const versions = { prefline: "0.1.0", node: "v24.0.0", effect: "4.1.0" }

const codeOf = (modules: Readonly<Record<string, string>>) => ({
  digest: sha256(JSON.stringify(modules)),
  modules: Object.fromEntries(Object.entries(modules).map(([path, text]) => [path, sha256(text)])),
  packages: {}
})

/** Writes a run of these nodes (in an order of dependence), and returns its id. */
export const recorded = Effect.fnUntraced(function* (
  nodes: Readonly<Record<string, Made>>,
  options: {
    readonly pipeline?: string
    readonly params?: Json.JsonObject
    readonly outputs?: Readonly<Record<string, string>>
    readonly ended?: boolean
  } = {}
) {
  const store = yield* Store
  const { outputs = {}, params = {}, pipeline = "p" } = options
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const journal = yield* Journal.open(store.root)
      yield* journal.append({
        _tag: "RunStarted",
        run: journal.run,
        pipeline,
        source: { module: "file:///elsewhere/p.ts", export: "default" },
        params,
        numerics: null,
        versions,
        nodes: Object.entries(nodes).map(([id, { inputs = {}, stage = id }]) => ({ id, stage, inputs })),
        outputs
      })
      const refs = new Map<string, ArtifactRef>()
      for (const [node, made] of Object.entries(nodes)) {
        if (made.unfinished === true) continue
        const inputs = Object.entries(made.inputs ?? {}).map(([name, id]) => [name, refs.get(id)!.digest] as const)
        const { key, parts } = Key.make({
          stage: made.stage ?? node,
          code: codeOf(made.modules ?? { "stages/a.ts": "a" }),
          components: [],
          params: made.params ?? {},
          inputs: Object.fromEntries(inputs),
          seed: null,
          numerics: null,
          source: made.source ?? null
        })
        const output =
          typeof made.output === "number"
            ? yield* store.write(Score, Effect.succeed({ score: made.output }))
            : yield* store.write(EvaluationReport, Effect.succeed({ estimates: made.output, examples: [] }))
        refs.set(node, output)
        const stage = made.stage ?? node
        yield* store.record({ key, stage, output, parts, ms: 1, numerics: null, versions })
        const status = made.status ?? "computed"
        yield* journal.append({ _tag: "NodeFinished", node, key, status, output, ms: 1 })
      }
      if (options.ended !== false) yield* journal.append({ _tag: "RunFinished", status: "succeeded", ms: 2 })
      return journal.run
    })
  )
})

export const estimate = (mean: number, half = 0): Estimate => ({
  mean,
  low: mean - half,
  high: mean + half,
  count: 100
})
