import { Duration, Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { Choice, DeviceUnavailable, Kind } from "../../device/Device.ts"
import { describe } from "../../executor/errors.ts"
import * as Needs from "../doctor/needs.ts"
import * as Health from "../doctor/storeHealth.ts"
import * as Surroundings from "../doctor/surroundings.ts"
import { type Report, tryDevice } from "../doctor/tried.ts"
import { Unsuccessful } from "../failure.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { Output, print, printJson, type Style } from "../Output.ts"

export const doctor = Command.make(
  "doctor",
  {
    device: Flag.String("device").pipe(
      Flag.withMetavar(`<${Choice.literals.join("|")}>`),
      Flag.withDescription("Try this one only (all unless told)"),
      Flag.optional
    ),
    limit: Flag.Int("limit").pipe(
      Flag.withMetavar("<seconds>"),
      Flag.withDescription("How long a device may take"),
      Flag.filter(
        (n) => n >= 1,
        () => "a number of at least 1"
      ),
      Flag.withDefault(60)
    ),
    deep: Flag.Boolean("deep").pipe(
      Flag.withDescription("Read every object of the store, not a sample, and set damaged ones aside"),
      Flag.withDefault(false)
    ),
    network: Flag.Boolean("network").pipe(
      Flag.withDescription("Also ask the Hugging Face Hub for an answer"),
      Flag.withDefault(false)
    ),
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.doctor")(function* ({ deep, device, json, limit, network, store }) {
    const asked = Option.getOrElse(device, () => "auto")
    if (!Schema.is(Choice)(asked))
      return yield* new DeviceUnavailable({
        requested: asked,
        reason: `there is no such device; there are ${Choice.literals.join(", ")}`
      })
    const facts = {
      ...Surroundings.find(store),
      mismatches: Needs.mismatches(),
      variables: Needs.variables(),
      health: yield* healthOf(store, deep),
      network: network ? yield* Needs.hub(NETWORK_SECONDS) : null
    }
    if (!json) {
      const { style } = (yield* Output).stdout
      yield* print([renderFacts(facts, style), ...renderNeeds(facts, style)].join("\n"))
    }
    const wanted = yield* tried(asked, limit)
    const others = Option.isSome(device) ? [] : yield* triedOthers(wanted, limit)
    const devices = [wanted, ...others].toSorted((a, b) => rank(a) - rank(b))
    const auto = asked === "auto" && wanted.works ? wanted.kind : null
    if (json) yield* printJson({ ...facts, devices, auto })
    else yield* print(renderDevices(devices, auto, (yield* Output).stdout.style))
    if (!wanted.works) return yield* new Unsuccessful({ summary: `the device "${asked}" does not work here` })
  })
).pipe(
  Command.withDescription(
    "Tells what works here: devices, each by computing something, Node, packages, the store's folder"
  ),
  Command.withExamples([
    { command: "npm run prefline -- doctor", description: "Everything" },
    {
      command: "npm run prefline -- doctor --device node-gpu",
      description: "One device: what it is, or what is missing"
    },
    { command: "npm run prefline -- doctor --deep", description: "Every object of the store too" },
    { command: "npm run prefline -- doctor --json", description: "The same, for a program" }
  ])
)

/** Longer than a slow answer takes. */
const NETWORK_SECONDS = 5

type Found = Health.StoreHealth | { readonly problem: string } | null

/** Null where there is no store yet. */
const healthOf = (store: string, deep: boolean): Effect.Effect<Found> => {
  const { path, state } = Surroundings.storeFolder(store)
  if (state !== "a store") return Effect.succeed(null)
  return Effect.try({ try: () => Health.storeHealth(path, deep), catch: describe }).pipe(
    Effect.catch((problem) => Effect.succeed({ problem }))
  )
}

interface Needed {
  readonly mismatches: ReadonlyArray<Needs.Mismatch>
  readonly variables: Readonly<Record<string, boolean>>
  readonly health: Found
  readonly network: Needs.Reach | null
}

const renderNeeds = ({ health, mismatches, network, variables }: Needed, style: Style): ReadonlyArray<string> => {
  const set = Object.keys(variables).filter((name) => variables[name])
  const packages = mismatches.map(({ installed, optional, package: name, wanted }) => [
    optional ? name : style.yellow(name),
    installed === null ? "not installed" : `${installed} is installed`,
    `wanted: ${wanted}${optional ? " (optional)" : "; npm ci installs it"}`
  ])
  return [
    ...(packages.length === 0 ? [] : [`\n${style.bold("packages other than wanted")}`, Format.table(packages)]),
    `\n${style.bold("variables that are set")}`,
    set.length === 0 ? "  none" : `  ${set.join(", ")}`,
    ...(health === null ? [] : [`\n${style.bold("store")}`, Format.table(healthRows(health, style))]),
    ...(network === null
      ? []
      : [
          `\n${style.bold("network")}`,
          `  ${network.host}  ${network.reached ? "answers" : style.yellow("is not reached")}: ${network.answer}`
        ])
  ]
}

const healthRows = (health: NonNullable<Found>, style: Style): ReadonlyArray<ReadonlyArray<string>> => {
  if ("problem" in health) return [["not readable", style.red(health.problem)]]
  const { checked, damaged, entries, objects, partials, quarantined, runs, temporaries, trash, unusableEntries } =
    health
  const found = damaged.length === 0 ? "all intact" : style.red(`${damaged.length} damaged`)
  const more = damaged.length > 0 && unusableEntries === null ? "; --deep sets them aside" : ""
  return [
    ["runs, entries", `${runs}, ${entries}`],
    ["objects", `${objects.count}, ${Format.bytes(objects.bytes)}; ${checked} read, ${found}${more}`],
    ...(unusableEntries === null || unusableEntries === 0
      ? []
      : [["entries without output", `${style.yellow(String(unusableEntries))}; their nodes are computed again`]]),
    ["partial states", `${partials.count}${partials.count === 0 ? "" : `, ${Format.bytes(partials.bytes)}`}`],
    ["quarantined, temporary", `${quarantined}, ${temporaries}`],
    ...(trash === 0 ? [] : [["trash", `${trash}; a gc is at work or was killed: the next one sees to it`]])
  ]
}

type Tried = Report & { readonly device: string; readonly ms: number }

const tried = Effect.fnUntraced(function* (device: string, limit: number) {
  const [time, report] = yield* Effect.timed(tryDevice(device, { limit }))
  const result: Tried = { device: report.works ? report.kind : device, ms: Duration.toMillis(time), ...report }
  return result
})

/** All kinds but that which `auto` came to; two at a time, since loading a library is mostly waiting. */
const triedOthers = (wanted: Tried, limit: number) =>
  Effect.forEach(
    Kind.literals.filter((kind) => kind !== wanted.device),
    (kind) => tried(kind, limit),
    { concurrency: 2 }
  )

/** Best first, as `Kind` lists them. */
const rank = ({ device }: Tried) => (Kind.literals as ReadonlyArray<string>).indexOf(device)

const renderFacts = ({ data, machine, node, packages, prefline, store }: Surroundings.Facts, style: Style): string => {
  const versions = Object.entries(packages).map(([name, version]) => [name, version ?? style.dim("not installed")])
  return [
    style.bold("prefline"),
    Format.table([
      ["version", prefline],
      ["node", `${node.version}  ${nodeNote(node, style)}`],
      ["store", `${store.path}  ${storeNote(store, style)}`],
      ["PREFLINE_DATA", data === "no folder" ? style.yellow("set, and names no folder") : dataNotes[data]]
    ]),
    `\n${style.bold("machine")}`,
    Format.table([
      ["system", machine.platform],
      ["processor", `${machine.processor}  ${Format.count(machine.cores, "core")}`],
      ["memory", `${Format.bytes(machine.memoryBytes)}, ${Format.bytes(machine.freeMemoryBytes)} free`]
    ]),
    `\n${style.bold("packages")}`,
    Format.table(versions)
  ].join("\n")
}

const dataNotes = { "not set": "not set: tests on real models are skipped", "a folder": "set" } as const

const nodeNote = ({ own, ownInstalled, path }: Surroundings.Facts["node"], style: Style) => {
  if (own) return "prefline's own"
  const help = ownInstalled
    ? "npm's scripts (npm run prefline) use prefline's own"
    : "npm rebuild node fetches prefline's own"
  return style.yellow(`${path}, which is not prefline's own; ${help}`)
}

const storeNote = ({ freeBytes, state, writable }: Surroundings.Facts["store"], style: Style) => {
  const free = `${Format.bytes(freeBytes)} free`
  if (state === "unusable") return style.red("is no folder of prefline's; --store has to name another")
  return writable ? `${state}, ${free}` : style.red(`${state}, ${free}, and may not be written to`)
}

const renderDevices = (devices: ReadonlyArray<Tried>, auto: string | null, style: Style): string => {
  const text = devices.map((tried) => renderDevice(tried, tried.device === auto, style)).join("\n")
  return `\n${style.bold("devices")}\n${text}`
}

const renderDevice = (tried: Tried, isAuto: boolean, style: Style): string => {
  const { device, ms } = tried
  const mark = tried.works ? style.green("✓") : style.red("✗")
  if (!tried.works) return `${mark} ${device}\n    ${Format.visible(tried.reason)}`
  const why = isAuto ? `  (what auto takes: ${autoNote(tried.kind)})` : ""
  const facts = Object.entries({ ...tried.details, numerics: tried.numerics.kernels }).filter(([, text]) => text !== "")
  const table = Format.table(facts.map(([name, text]) => ["", name, Format.visible(text)]))
  return `${mark} ${style.bold(device)}  works, tried in ${Format.duration(ms)}${why}\n${table}`
}

const autoNote = (kind: Kind) => (kind === "wasm" ? "it needs nothing but npm's install" : "the best that works here")
