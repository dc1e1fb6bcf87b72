/**
 * Pins: what is kept whatever `Gc` is told to remove. `<store>/pins/<name>.json`, one file a pin, so that several
 * processes may pin at the same time.
 */
import * as Fs from "node:fs"
import { Effect, Option, Schema } from "effect"
import { Name } from "../../dsl/Params.ts"
import { ArtifactRef } from "./ArtifactRef.ts"
import * as Layout from "./internal/layout.ts"
import { RunId } from "./RunEvent.ts"
import { StoreReadFailed, StoreWriteFailed } from "./StoreError.ts"

export const Pinned = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("run"), run: RunId }),
  Schema.Struct({ kind: Schema.Literal("artifact"), ref: ArtifactRef })
])
export type Pinned = typeof Pinned.Type

export interface Pin {
  readonly name: string
  readonly pinned: Pinned
}

/** A pin's name is taken by something else. */
export class PinTaken extends Schema.TaggedError<PinTaken>()("PinTaken", { name: Schema.String }) {
  override get message() {
    return `there is a pin ${this.name} already, of something else; choose another --name, or unpin it`
  }
}

/** No pin has this name. */
export class PinUnknown extends Schema.TaggedError<PinUnknown>()("PinUnknown", {
  name: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    const known = this.known.length === 0 ? "there are none" : `there are ${this.known.join(", ")}`
    return `there is no pin ${JSON.stringify(this.name)}; ${known}`
  }
}

const json = Schema.fromJsonString(Pinned)
const encode = Schema.encodeSync(json)
const decode = Schema.decodeUnknownEffect(json)
const sameAs = Schema.toEquivalence(Pinned)

const folderOf = (root: string) => `${root}/pins`
const pathOf = (root: string, name: string) => `${folderOf(root)}/${name}.json`

/** All pins, by name. One that cannot be read fails: what it kept would be lost. */
export const list = Effect.fn("Pins.list")(function* (root: string) {
  const failed = (name: string) => (cause: unknown) =>
    new StoreReadFailed({ path: `pins/${name}`, problem: Layout.problemOf(cause) })
  const names = yield* Effect.try({
    try: () => Layout.ifThere(() => Fs.readdirSync(folderOf(root))) ?? [],
    catch: failed("")
  })
  const pins: Array<Pin> = []
  for (const file of names.filter((name) => name.endsWith(".json")).sort()) {
    const text = yield* Effect.try({
      try: () => Layout.readIfThere(`${folderOf(root)}/${file}`)?.toString("utf8"),
      catch: failed(file)
    })
    if (text === undefined) continue
    const pinned = yield* Effect.mapError(decode(text), failed(file))
    pins.push({ name: file.slice(0, -".json".length), pinned })
  }
  return pins as ReadonlyArray<Pin>
})

/** Pins under a name; to pin the same again changes nothing. */
export const add = Effect.fn("Pins.add")(function* (root: string, { name, pinned }: Pin) {
  if (!Schema.is(Name)(name))
    return yield* new StoreWriteFailed({
      path: "pins",
      problem: `${JSON.stringify(name)} is no name: letters, digits, ".", "_" and "-", at most 100, no dot first`
    })
  const known = (yield* list(root)).find((pin) => pin.name === name)
  if (known !== undefined) return sameAs(known.pinned, pinned) ? undefined : yield* new PinTaken({ name })
  const layout = Layout.make(root)
  const [temporary, path] = [layout.temporary(), pathOf(root, name)]
  const write = () => {
    try {
      Layout.withFolder(temporary, () => Fs.writeFileSync(temporary, encode(pinned), { flag: "wx", flush: true }))
      Layout.withFolder(path, () => Fs.linkSync(temporary, path)) // fails where somebody else was faster
    } finally {
      Layout.removeIfThere(temporary)
    }
  }
  yield* Effect.try({
    try: write,
    catch: (cause) =>
      Layout.codeOf(cause) === "EEXIST" ? new PinTaken({ name }) : Layout.writeFailed(layout, path)(cause)
  })
})

/** Removes a pin, by its name. */
export const remove = Effect.fn("Pins.remove")(function* (root: string, name: string) {
  const pins = yield* list(root)
  const pin = Option.fromNullishOr(pins.find((pin) => pin.name === name))
  if (Option.isNone(pin)) return yield* new PinUnknown({ name, known: pins.map(({ name }) => name) })
  const layout = Layout.make(root)
  yield* Layout.writing(layout, pathOf(root, name), () => Layout.removeIfThere(pathOf(root, name)))
})
