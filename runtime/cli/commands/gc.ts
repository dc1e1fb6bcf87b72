import { Duration, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Gc from "../../store/Gc.ts"
import { existingStoreAt } from "../environment.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { Output, print, printJson, type Style } from "../Output.ts"

const UNITS: Readonly<Record<string, Duration.Duration>> = {
  m: Duration.minutes(1),
  h: Duration.hours(1),
  d: Duration.days(1),
  w: Duration.weeks(1)
}

/** `30d`, `12h`, `45m`, `2w`; in milliseconds. */
export const parseAge = (text: string): Option.Option<number> => {
  const [, count, unit = ""] = /^(\d{1,6})([mhdw])$/.exec(text) ?? []
  return count === undefined ? Option.none() : Option.some(Number(count) * Duration.toMillis(UNITS[unit]!))
}

const age = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("<age>"),
    Flag.withDescription(description),
    Flag.filterMap(parseAge, (text) => `a number and m, h, d or w, like 30d; got ${JSON.stringify(text)}`),
    Flag.optional
  )

export const gc = Command.make(
  "gc",
  {
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDescription("Tell what would be removed, and remove nothing"),
      Flag.withDefault(false)
    ),
    keepRuns: Flag.Int("keep-runs").pipe(
      Flag.withMetavar("<n>"),
      Flag.withDescription("Remove all but the newest n runs of each pipeline (all are kept unless told)"),
      Flag.filter(
        (n) => n >= 0,
        () => "a number of at least 0"
      ),
      Flag.optional
    ),
    olderThan: age("older-than", "Remove runs that are older than this, like 30d or 12h"),
    grace: age("grace", "Keep what was used within this time (6h); 0m only while nothing else uses the store"),
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.gc")(
    function* ({ dryRun, grace, json, keepRuns, olderThan }) {
      const collected = yield* Gc.collect({
        dryRun,
        ...Option.match(keepRuns, { onNone: () => ({}), onSome: (keepRuns) => ({ keepRuns }) }),
        ...Option.match(olderThan, { onNone: () => ({}), onSome: (olderThan) => ({ olderThan }) }),
        ...Option.match(grace, { onNone: () => ({}), onSome: (grace) => ({ grace }) })
      })
      if (json) return yield* printJson(collected)
      yield* print(render(collected, (yield* Output).stdout.style))
    },
    (effect, { store }) => Effect.provide(effect, existingStoreAt(store))
  )
).pipe(
  Command.withDescription("Removes what no kept run and no pin reaches; with both age and number, runs that fit both"),
  Command.withExamples([
    { command: "npm run prefline -- gc --dry-run", description: "What is reached by no run" },
    {
      command: "npm run prefline -- gc --keep-runs 3 --older-than 30d",
      description: "Forget old runs, but three each"
    },
    { command: "npm run prefline -- pin dpo", description: "Keep a run whatever gc is told" }
  ])
)

const render = (
  { actions, dryRun, kept, objects, partials, quarantined, runs }: Gc.Collected,
  style: Style
): string => {
  const amount = (name: string, { bytes, count }: Gc.Collected["objects"]) => [
    name,
    String(count),
    count === 0 ? "" : Format.bytes(bytes)
  ]
  const runBytes = runs.reduce((total, { bytes }) => total + bytes, 0)
  const gone = [{ count: runs.length, bytes: runBytes }, actions, objects, partials, quarantined]
  const total = gone.reduce((total, { bytes }) => total + bytes, 0)
  return [
    style.bold(dryRun ? "would be removed" : "removed"),
    Format.table([
      amount("runs", gone[0]!),
      amount("entries", actions),
      amount("objects", objects),
      amount("partial states", partials),
      amount("quarantined files", quarantined)
    ]),
    ...runs.map(({ pipeline, run }) => style.dim(`    ${run}  ${pipeline}`)),
    `${Format.bytes(total)} ${dryRun ? "would be " : ""}freed; kept: ${Format.count(kept.runs, "run")}, ${kept.actions.count} entries, ${Format.count(kept.objects.count, "object")} of ${Format.bytes(kept.objects.bytes)}`
  ].join("\n")
}
