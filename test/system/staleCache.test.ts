/**
 * The project is copied, an experiment runs in the copy, and its sources are edited one after the other: each time
 * exactly what depends on the edit is computed again, and the plan says so beforehand and why.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as System from "./support.ts"

/** Every node of the experiment, in graph order. */
const NODES = [
  ...["reviews", "prompts", "texts", "tokenizer", "fresh", "base", "samples"],
  ...["scores", "distinct", "pairs", "score.log-probs", "policy", "report"]
]

interface Step {
  readonly what: string
  readonly edits?: ReadonlyArray<readonly [file: string, from: string, to: string]>
  readonly params?: object
  /** Exactly the nodes that are to be computed. */
  readonly computed: ReadonlyArray<string>
  /** Exactly the nodes whose content is to become another one. */
  readonly differing: ReadonlyArray<string>
  /** What the plan says of the nodes that it can tell before anything has run. */
  readonly why: Readonly<Record<string, string>>
}

const links = "stages/optimize/links.ts"
const attention = "runtime/tensor/causalAttention.ts"
const wasmKernels = "runtime/device/wasm/fused.ts"
const rng = "dsl/Rng.ts"
const afinn = "stages/score/afinn.ts"
const fromScores = NODES.slice(NODES.indexOf("scores"))

/** The edits add up. */
const steps: ReadonlyArray<Step> = [
  {
    what: "comments, white space and types, in a loss, a reward and a kernel",
    edits: [
      [links, "export const hinge", "// Not used by dpo.\n\n\nexport   const hinge"],
      [links, "export type Link =", "export type Gap = X.Expression\nexport type Link ="],
      ["stages/optimize/objectives/dpo.ts", "readonly beta: number", "readonly beta: number | 1"],
      [afinn, "const read = ", "/* What the answer is read for. */ const\tread =\n"],
      [
        "stages/score/Reward.ts",
        "readonly completion: string",
        "readonly completion: string\n  readonly note?: string"
      ],
      [attention, "\nimport", "\n/*! A licence. */\nimport"]
    ],
    computed: [],
    differing: [],
    why: {}
  },
  {
    what: "a helper of dpo's module that dpo does not call",
    edits: [[links, "X.relu(X.sub(1, gap))", "X.relu(X.sub(2, gap))"]],
    computed: ["policy"],
    differing: [],
    why: { policy: `code: ${links} changed` }
  },
  {
    what: "the helper that is dpo's loss",
    edits: [[links, "X.softplus(X.neg(gap))", "X.softplus(X.mul(-2, gap))"]],
    computed: ["policy", "report"],
    differing: ["policy", "report"],
    why: { policy: `code: ${links} changed` }
  },
  {
    what: "a helper three imports down from the stage score",
    edits: [["stages/score/planted/third.ts", "=> x", "=> 1 * x"]],
    computed: ["scores"],
    differing: [],
    why: { scores: "code: stages/score/planted/third.ts changed" }
  },
  {
    what: "a reward, without any effect on scores",
    edits: [[afinn, "const { comparative, score } = analyzer", "const { comparative, score } = [analyzer][0]!"]],
    computed: ["scores", "report"],
    differing: [],
    why: { scores: `code: ${afinn} changed` }
  },
  {
    what: "a kernel, without any effect on results",
    edits: [[attention, "\nimport", "\nexport const planted = 1\nimport"]],
    computed: ["base", "samples", "score.log-probs", "policy", "report"],
    differing: [],
    why: { base: `code: ${attention} changed` }
  },
  {
    what: "a kernel of the backend, which no stage imports",
    edits: [[wasmKernels, "\nimport", "\nexport const planted = 1\nimport"]],
    computed: ["base", "samples", "score.log-probs", "policy", "report"],
    differing: [],
    why: { base: `code: ${wasmKernels} changed` }
  },
  {
    what: "the random generator, which stages are handed",
    edits: [[rng, "\nconst DRAW", "\nexport const planted = 1\nconst DRAW"]],
    computed: ["prompts", "fresh", "base", "samples", "policy", "report"],
    differing: [],
    why: { prompts: `code: ${rng} changed`, fresh: `code: ${rng} changed` }
  },
  {
    what: "the version of a package: what reads its data, and what runs its code",
    edits: [["node_modules/sentiment/package.json", '"version": "5.0.2"', '"version": "99.0.0"']],
    computed: ["reviews", "texts", "scores", "report"],
    differing: [],
    why: {
      reviews: 'source: "sentiment@5.0.2" -> "sentiment@99.0.0"',
      texts: 'source: "sentiment@5.0.2" -> "sentiment@99.0.0"'
    }
  },
  {
    what: "what a reward prefers",
    edits: [[afinn, "score : comparative", "score : -comparative"]],
    computed: fromScores,
    differing: fromScores,
    why: { scores: `code: ${afinn} changed` }
  },
  {
    what: "the parameter beta",
    params: { beta: 0.3 },
    computed: ["policy", "report"],
    differing: ["policy", "report"],
    why: { policy: "params.objective.params.beta: 0.1 -> 0.3" }
  }
]

/** Puts a helper behind two others, which only the stage `score` imports. It passes scores on as they are. */
const plantHelper = (copy: string) => {
  const folder = `${copy}/stages/score/planted`
  Fs.mkdirSync(folder)
  Fs.writeFileSync(`${folder}/first.ts`, 'export * from "./second.ts"\n')
  Fs.writeFileSync(
    `${folder}/second.ts`,
    'import { same } from "./third.ts"\nexport const pass = (x: number) => same(x)\n'
  )
  Fs.writeFileSync(`${folder}/third.ts`, "export const same = (x: number): number => x\n")
  const stage = "stages/score/score.ts"
  System.edit(copy, stage, "\nimport", '\nimport { pass } from "./planted/first.ts"\nimport')
  System.edit(copy, stage, "score: scores[g]![i]!", "score: pass(scores[g]![i]!)")
}

it.live(
  "an edit recomputes exactly its dependants, and what follows only where the content differs",
  () =>
    Effect.scoped(
      Effect.gen(function* () {
        const home = yield* System.folder
        const [first, copy] = [`${home}/first`, `${home}/moved/and deeper`]
        System.copyProject(first, "sentiment")
        plantHelper(first)
        const run = (cwd: string, store: string, params: object = {}) =>
          System.finished(`${System.EXPERIMENT}#default`, `${home}/${store}`, params, { cwd })

        let { result: before } = yield* run(first, "store")
        assert.deepStrictEqual(before.statuses, Object.fromEntries(NODES.map((id) => [id, "computed"])))

        Fs.mkdirSync(Path.dirname(copy))
        Fs.renameSync(first, copy)
        const moved = (yield* run(copy, "store")).result
        assert.deepStrictEqual(moved.statuses, Object.fromEntries(NODES.map((id) => [id, "cached"])))

        for (const { computed, differing, edits = [], params, what, why } of steps) {
          for (const [file, from, to] of edits) System.edit(copy, file, from, to)
          const { lines, result } = yield* run(copy, "store", params)
          const where = (holds: (id: string) => boolean) => NODES.filter(holds)
          assert.deepStrictEqual(
            where((id) => result.statuses[id] === "computed"),
            computed,
            what
          )
          assert.deepStrictEqual(
            where((id) => result.digests[id] !== before.digests[id]),
            differing,
            what
          )
          const plan = lines.find((line) => line._tag === "Planned")!.nodes
          const foreseen = where((id) => plan[id]!.status === "run").map((id) => [id, plan[id]!.why.join("; ")])
          assert.deepStrictEqual(Object.fromEntries(foreseen), why, what)
          before = result
        }

        const fromNothing = yield* run(copy, "another-store", steps.at(-1)!.params)
        assert.deepStrictEqual(before.digests, fromNothing.result.digests, "something stale was kept")
      })
    ),
  180_000
)
