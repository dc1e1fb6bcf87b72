import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { ArtifactRef } from "../../store/ArtifactRef.ts"
import * as Pins from "../../store/Pins.ts"
import { Store } from "../../store/Store.ts"
import { existingStoreAt } from "../environment.ts"
import * as Flags from "../flags.ts"
import * as Format from "../format.ts"
import { print, printJson } from "../Output.ts"
import * as Target from "../Target.ts"

export const pin = Command.make(
  "pin",
  {
    what: Argument.String("what").pipe(
      Argument.withDescription(
        "A run (its id, or a pipeline's name for its newest), a node's artifact (run/node), or the first digits of a digest; the pins there are if left out"
      ),
      Argument.optional
    ),
    name: Flag.String("name").pipe(
      Flag.withDescription("The pin's name (the run's id or the digest's first digits unless told)"),
      Flag.optional
    ),
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.pin")(
    function* ({ json, name, what }) {
      const { root } = yield* Store
      if (Option.isSome(what)) {
        const [fallback, pinned] = yield* pinnedBy(yield* Target.find(what))
        yield* Pins.add(root, { name: Option.getOrElse(name, () => fallback), pinned })
      }
      const pins = yield* Pins.list(root)
      if (json) return yield* printJson(pins)
      yield* print(pins.length === 0 ? "no pins" : Format.table(pins.map(row)))
    },
    (effect, { store }) => Effect.provide(effect, existingStoreAt(store))
  )
).pipe(
  Command.withDescription("Keeps a run or an artifact whatever gc is told to remove, and lists the pins"),
  Command.withExamples([
    { command: "npm run prefline -- pin dpo --name best", description: "The newest run of a pipeline" },
    { command: "npm run prefline -- pin dpo/policy", description: "One artifact" },
    { command: "npm run prefline -- pin", description: "The pins" }
  ])
)

export const unpin = Command.make(
  "unpin",
  {
    name: Argument.String("name").pipe(Argument.withDescription("The pin's name, as `pin` lists it")),
    store: Flags.store,
    json: Flags.json
  },
  Effect.fn("cli.unpin")(
    function* ({ json, name }) {
      yield* Pins.remove((yield* Store).root, name)
      yield* json ? printJson({ removed: name }) : print(`removed pin ${name}`)
    },
    (effect, { store }) => Effect.provide(effect, existingStoreAt(store))
  )
).pipe(
  Command.withDescription("Removes a pin; what it kept goes with the next gc, if nothing else keeps it"),
  Command.withExamples([{ command: "npm run prefline -- unpin best", description: "Removes the pin of that name" }])
)

const pinnedBy = (target: Target.Target): Effect.Effect<readonly [string, Pins.Pinned], Target.NodeUnknown> => {
  const artifact = (ref: ArtifactRef) => Effect.succeed([Format.short(ref.digest), { kind: "artifact", ref }] as const)
  switch (target._tag) {
    case "Run":
      return Effect.succeed([target.run.run, { kind: "run", run: target.run.run }])
    case "Node":
      return target.node.output === undefined
        ? Effect.fail(new Target.NodeUnknown({ run: target.run.run, node: target.node.id, known: made(target.run) }))
        : artifact(target.node.output)
    case "Artifact":
      return artifact(target.ref)
  }
}

/** The nodes that have an artifact to pin. */
const made = ({ nodes }: Extract<Target.Target, { _tag: "Run" }>["run"]) =>
  nodes.flatMap(({ id, output }) => (output === undefined ? [] : [id]))

const row = ({ name, pinned }: Pins.Pin) =>
  pinned.kind === "run" ? [name, "run", pinned.run] : [name, pinned.ref.artifact, pinned.ref.digest]
