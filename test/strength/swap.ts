/**
 * Whether the checks of every pipeline can tell its method from plain DPO: swaps the objectives (see `plainDpo.ts`), runs
 * the checks that this touches, exact ones first, and tells the first that holds for the method and not for DPO.
 *
 *     npm run strength:swap [-- <pipeline's name or file>...]   all of the catalog unless told; the store is .prefline
 */
import { resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import type * as Check from "../../dsl/Check.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import { catalog } from "../../pipelines/catalog.ts"
import { Device } from "../../runtime/device/Device.ts"
import * as Claims from "../../runtime/executor/Claims.ts"
import { describe } from "../../runtime/executor/errors.ts"
import { CodeHash } from "../../runtime/store/CodeHash.ts"
import { Store } from "../../runtime/store/Store.ts"
import { type Off, withPlainDpo } from "./plainDpo.ts"

/** Methods that are no objective, or not only one: what turns them off beside it. */
const OFF: Readonly<Record<string, { readonly what: string; readonly params: Off }>> = {
  "accelerated-po": {
    what: "no momentum (alpha 0)",
    params: { "exact.extrapolate": { alpha: 0 }, "optimize.extrapolate": { alpha: 0 } }
  },
  "multi-model-data": {
    what: "no other model's answers (every recipe is self-reward)",
    params: { "pair.sources": { recipe: "self-reward" } }
  },
  "reward-models": {
    what: "no shift of lengths (12 symbols everywhere)",
    params: {
      "exact.world": {
        world: { name: "unigrams", params: { length: 12, tokenRewards: [1, 1, 1, 1, 1, -1, -1, -1, -1, -1] } }
      }
    }
  },
  rso: {
    what: "no rejection (beta 1e9: the first answers are accepted)",
    params: { "filter.statistical-rejection": { beta: 1e9 }, "exact.rejection": { beta: 1e9 } }
  }
}

interface Subject {
  readonly pipeline: Pipeline.Pipeline
  readonly module: string
}

/** `Same`: the method is plain DPO as it is. */
type Outcome =
  | { readonly _tag: "Told"; readonly check: string; readonly method: number; readonly dpo: number }
  | { readonly _tag: "Same" }
  | { readonly _tag: "NotTold"; readonly held: number; readonly problems: ReadonlyArray<string> }

const subjects = async (names: ReadonlyArray<string>): Promise<ReadonlyArray<Subject>> =>
  names.length === 0
    ? catalog
    : Promise.all(
        names.map(async (name): Promise<Subject> => {
          const known = catalog.find(({ pipeline }) => pipeline.name === name)
          if (known !== undefined) return known
          const module = pathToFileURL(resolve(name)).href
          const { default: pipeline } = (await import(module)) as { readonly default: unknown }
          if (!Pipeline.isPipeline(pipeline)) throw new TypeError(`${name} is no pipeline's name or file`)
          return { pipeline, module }
        })
      )

const verdictOf = Effect.fnUntraced(function* (pipeline: Pipeline.Pipeline, check: Check.Check, module: string) {
  const options = { source: { module, export: "default" } }
  const built = yield* Claims.build(pipeline, check, options)
  // What stages of any pipeline may need is not known to types; those of the catalog need what is provided below.
  return yield* Claims.verdict(check, built as Claims.Sweep<unknown, never>, options)
})

const tell = Effect.fnUntraced(function* ({ module, pipeline }: Subject) {
  const swapped = withPlainDpo(pipeline, OFF[pipeline.name]?.params)
  const touched: Array<{ readonly check: Check.Check; readonly cost: number }> = []
  for (const check of pipeline.checks) {
    const { graph } = yield* Claims.build(swapped.pipeline, check, { source: { module, export: "default" } })
    const outputs = check.outputs ?? Object.keys(pipeline.outputs({}))
    const isOnDevice = graph.nodes.some(({ node }) => node.stage.numerics)
    if (outputs.some(swapped.isTouched))
      touched.push({ check, cost: (isOnDevice ? 2 : 0) + (check.kind === "exact" ? 0 : 1) })
  }
  if (touched.length === 0) return { _tag: "Same" } as Outcome
  const problems: Array<string> = []
  let held = 0
  for (const { check } of touched.sort((a, b) => a.cost - b.cost)) {
    console.error(`${pipeline.name}: ${check.name}`)
    const withDpo = yield* Effect.result(verdictOf(swapped.pipeline, check, module))
    if (withDpo._tag === "Failure") problems.push(`${check.name}: ${describe(withDpo.failure)}`)
    else if (withDpo.success.holds) held++
    else {
      const own = yield* verdictOf(pipeline, check, module)
      const [method, dpo] = [own.measured.value, withDpo.success.measured.value]
      if (own.holds) return { _tag: "Told", check: check.name, method, dpo } as Outcome
      problems.push(`${check.name}: does not hold for the method itself`)
    }
  }
  return { _tag: "NotTold", held, problems } as Outcome
})

const described = ({ pipeline }: Subject, outcome: Outcome): string => {
  const off = OFF[pipeline.name]
  const swap = off === undefined ? "dpo" : `dpo; ${off.what}`
  const number = (x: number) => x.toPrecision(4)
  if (outcome._tag === "Told")
    return `| ${pipeline.name} | ${swap} | ${outcome.check} | ${number(outcome.method)} | ${number(outcome.dpo)} |`
  if (outcome._tag === "Same") return `| ${pipeline.name} | ${swap} | nothing to swap: it is plain DPO | | |`
  const problems = outcome.problems.map((problem) => problem.replaceAll(/\s+/g, " ").replaceAll("|", "\\|"))
  const found = outcome.problems.length === 0 ? "**none**" : "cannot be measured any more"
  const why = [`${outcome.held} checks hold all the same`, ...problems].join("; ")
  return `| ${pipeline.name} | ${swap} | ${found}: ${why} | | |`
}

const store = fileURLToPath(new URL("../../.prefline", import.meta.url))
const services = Layer.mergeAll(Store.layer(store), CodeHash.layer, NodeServices.layer, Device.layer("wasm"))

const program = Effect.gen(function* () {
  console.log("| pipeline | swapped for | check that fails | method | swapped |\n|---|---|---|---|---|")
  for (const subject of yield* Effect.promise(() => subjects(process.argv.slice(2)))) {
    const outcome = yield* tell(subject)
    console.log(described(subject, outcome))
    if (
      (outcome._tag === "NotTold" && outcome.problems.length === 0) ||
      (outcome._tag === "Same" && subject.pipeline.name !== "dpo")
    )
      process.exitCode = 1
  }
})

await Effect.runPromise(program.pipe(Effect.provide(services)))
