import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { Clock, Effect, Layer, Option, Schema, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Check from "../../check/Check.ts"
import * as Inventory from "../../check/inventory.ts"
import { readable } from "../../check/readable.ts"
import { Device } from "../../device/Device.ts"
import { Store } from "../../store/Store.ts"
import { Unsuccessful } from "../failure.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { Output, print, printJson, type Style } from "../Output.ts"

/** A case is of one law, so the law has to be named. */
export class CaseMisused extends Schema.TaggedError<CaseMisused>()("CaseMisused", {}) {
  override get message() {
    return "--case tries one input of one law: name both, as in the command that a broken law prints"
  }
}

export const check = Command.make(
  "check",
  {
    what: Argument.String("what").pipe(
      Argument.withDescription(
        "Stages (sample), components (objective/dpo), kinds (objective), or one .ts file with stages of your own; all that prefline ships unless told"
      ),
      Argument.variadic()
    ),
    runs: Flag.Int("runs").pipe(
      Flag.withDescription("Inputs tried per law; what each law asks for unless told"),
      Flag.filter(
        (n) => n >= 1,
        () => "a number of at least 1"
      ),
      Flag.optional
    ),
    seed: Flag.Int("seed").pipe(
      Flag.withDescription("Where generation starts; the same seed tries the same inputs"),
      Flag.withDefault(0)
    ),
    law: Flag.String("law").pipe(
      Flag.withMetavar("<text>"),
      Flag.withDescription("Only laws with this text in their names"),
      Flag.optional
    ),
    replay: Flag.String("case").pipe(
      Flag.withMetavar("<case>"),
      Flag.withDescription("Only the input that a broken law was shrunk to"),
      Flag.optional
    ),
    device: Flags.device,
    json: Flags.json
  },
  Effect.fn("cli.check")(function* ({ device, json, law, replay, runs, seed, what }) {
    if (Option.isSome(replay) && (Option.isNone(law) || what.length !== 1)) return yield* new CaseMisused()
    const begun = yield* Clock.currentTimeMillis
    const files = what.filter((name) => FILE.test(name))
    const { inventory, layer } =
      files.length === 0 ? { inventory: yield* Inventory.shipped, layer: undefined } : yield* fromFile(files[0]!)
    const chosen = yield* Check.choose(
      inventory,
      what.filter((name) => !FILE.test(name))
    )
    const settings: Check.Settings = {
      seed,
      ...(Option.isSome(runs) ? { runs: runs.value } : {}),
      ...(Option.isSome(law) ? { law: law.value } : {}),
      ...(Option.isSome(replay) ? { replay: replay.value } : {})
    }
    const { style } = (yield* Output).stdout
    const told = { files, settings, style }
    const results = yield* withLawsServices(
      Check.run(chosen, settings).pipe(
        Stream.tap((result) => (json ? Effect.void : print(render(result, told)))),
        Stream.runCollect
      ),
      device,
      layer
    )
    if (results.length === 0 && Option.isSome(law)) return yield* new Check.LawUnknown({ law: law.value })
    const ms = (yield* Clock.currentTimeMillis) - begun
    const counts = count(results)
    if (json) yield* printJson({ ...counts, seed, ms, results: results.map(toJson) })
    else yield* print(summary(counts, ms))
    const bad = counts.broken + counts.unchecked
    if (bad > 0) return yield* new Unsuccessful({ summary: summaryOfBad(counts) })
  })
).pipe(
  Command.withDescription("Checks the laws of stages and components on inputs generated from their schemas"),
  Command.withExamples([
    { command: "npm run prefline -- check", description: "Everything that prefline ships" },
    { command: "npm run prefline -- check sample objective/dpo", description: "One stage and one component" },
    { command: "npm run prefline -- check experiment.ts --runs 20", description: "Your own stages and components" },
    { command: "npm run prefline -- check filter --seed 7", description: "Other inputs" }
  ])
)

const FILE = /\.(?:ts|mts|js|mjs)$/

const fromFile = Effect.fnUntraced(function* (file: string) {
  const path = resolve(file)
  if (!existsSync(path)) return yield* new Inventory.ModuleUnusable({ file, problem: "there is no such file" })
  const { inventory, layer } = yield* Inventory.ofFile(path)
  if (inventory.stages.length === 0 && inventory.components.length === 0)
    return yield* new Inventory.ModuleUnusable({
      file,
      problem: "it exports no stage, and neither it nor its pipelines use a component of their own"
    })
  if (layer !== undefined && !Layer.isLayer(layer))
    return yield* new Inventory.ModuleUnusable({ file, problem: "its export `layer` must be a Layer" })
  return { inventory, layer: layer as Layer.Layer<never> | undefined }
})

/** What laws need, no type says, as with stages that are found at run time: a service that is missing breaks the law. */
const withLawsServices = <A, E>(
  effect: Effect.Effect<A, E, any>,
  device: string,
  layer: Layer.Layer<never> | undefined
) =>
  Effect.provide(
    effect as Effect.Effect<A, E, Store | Device | Output>,
    Layer.mergeAll(temporaryStore, Device.layer(device), layer ?? Layer.empty)
  )

/** Laws put what they make into a store, as a run does; this one goes when they are done. */
const temporaryStore = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "prefline-check-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    ),
    (folder) => Store.layer(join(folder, "store"))
  )
)

const broken = ({ verdicts }: Check.Result) => verdicts.filter(({ verdict }) => verdict._tag === "Broken")
const inputs = ({ verdicts }: Check.Result) =>
  verdicts.reduce((sum, { verdict }) => sum + (verdict._tag === "Holds" ? verdict.runs : 0), 0)

const count = (results: ReadonlyArray<Check.Result>) => ({
  stages: results.filter(({ sort }) => sort === "stage").length,
  components: results.filter(({ sort }) => sort === "component").length,
  laws: results.reduce((sum, { verdicts }) => sum + verdicts.length, 0),
  inputs: results.reduce((sum, result) => sum + inputs(result), 0),
  broken: results.reduce((sum, result) => sum + broken(result).length, 0),
  unchecked: results.filter(({ problem }) => problem !== undefined).length
})

const summary = (counts: ReturnType<typeof count>, ms: number) =>
  `\n${Format.count(counts.stages, "stage")}, ${Format.count(counts.components, "component")}: ${Format.count(counts.laws, "law")} on ${Format.count(counts.inputs, "input")}, ${counts.broken} broken, ${Format.duration(ms)}`

const summaryOfBad = ({ broken, unchecked }: ReturnType<typeof count>) =>
  [
    ...(broken > 0 ? [`${Format.count(broken, "law")} broken`] : []),
    ...(unchecked > 0 ? [`${unchecked} could not be checked`] : [])
  ].join(", ")

interface Told {
  readonly files: ReadonlyArray<string>
  readonly settings: Check.Settings
  readonly style: Style
}

const render = (result: Check.Result, told: Told): string => {
  const { style } = told
  if (result.problem !== undefined) return `${style.red("?")} ${result.id}  ${result.problem}`
  const bad = broken(result)
  const laws = Format.count(result.verdicts.length, "law")
  const { refused, taken } = result.calls
  const unused = taken === 0 && refused > 0 ? style.yellow("; it refused every call of its own laws") : ""
  const about = style.dim(`${laws}, ${Format.count(inputs(result), "input")}, ${Format.duration(result.ms)}`)
  const head = `${bad.length === 0 ? style.green("✓") : style.red("✗")} ${result.id}  ${about}${unused}`
  return [head, ...bad.map(({ law, verdict }) => renderBroken(result, law, verdict as never, told))].join("\n")
}

const renderBroken = (
  result: Check.Result,
  law: string,
  verdict: { readonly reason: string; readonly input: unknown; readonly seed: number; readonly replay?: string },
  { files, settings, style }: Told
): string => {
  const again = [
    "npm run prefline -- check",
    files[0] ?? result.id,
    `--law ${quoted(law)}`,
    `--seed ${verdict.seed}`,
    ...(settings.runs === undefined ? [] : [`--runs ${settings.runs}`]),
    ...(verdict.replay === undefined ? [] : [`--case ${quoted(verdict.replay)}`])
  ].join(" ")
  return [
    `  ${style.red("broken")}  ${law}`,
    `          ${verdict.reason.split("\n").join("\n          ")}`,
    ...(verdict.input === undefined ? [] : [`  input   ${readable(verdict.input).split("\n").join("\n          ")}`]),
    `  again   ${again}`
  ].join("\n")
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

const toJson = (result: Check.Result) => ({
  ...result,
  problem: result.problem ?? null,
  verdicts: result.verdicts.map(({ law, verdict }) => ({
    law,
    ...(verdict._tag === "Holds"
      ? { holds: true, inputs: verdict.runs }
      : {
          holds: false,
          reason: verdict.reason,
          input: verdict.input === undefined ? null : readable(verdict.input),
          seed: verdict.seed,
          case: verdict.replay ?? null
        })
  }))
})
