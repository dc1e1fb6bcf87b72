/** What the store knows about a key: which output the computation with this key had, and what the key was made of. */
import { Option, Schema } from "effect"
import * as Json from "../../dsl/Json.ts"
import { ArtifactRef, Digest, isConsistent, sha256 } from "./ArtifactRef.ts"

export const Action = Schema.Struct({
  key: Digest,
  stage: Schema.NonEmptyString,
  output: ArtifactRef,
  /** The parts of the key, for people who ask why; see `Key`. */
  parts: Schema.Json,
  /** How long the computation took. */
  ms: Schema.Finite,
  /** What the bits of the output depend on besides the program; null where they do not. */
  numerics: Schema.NullOr(Schema.Json),
  /** Who made it. */
  versions: Schema.Struct({ prefline: Schema.String, node: Schema.String, effect: Schema.String })
})
export type Action = typeof Action.Type

const decode = Schema.decodeUnknownOption(Action, { onExcessProperty: "error" })

const OPENING = '{"sha256":"'
const MIDDLE = '","action":'
const CLOSING = "}\n"
const BODY_AT = OPENING.length + 64 + MIDDLE.length

/** The text of an entry: JSON that begins with the digest of its own body, so that a torn or altered one shows. */
export const toText = (action: Action): string => {
  return enclosed(Json.canonicalUnsafe(action))
}

const enclosed = (body: string) => `${OPENING}${sha256(body)}${MIDDLE}${body}${CLOSING}`

/** Reads an entry back; `None` unless it is whole, unaltered, and the entry of this key. */
export const fromText = (key: string, text: string): Option.Option<Action> => {
  const body = text.slice(BODY_AT, -CLOSING.length)
  if (text !== enclosed(body)) return Option.none()
  return Option.liftThrowable(Json.parseUnsafe)(body).pipe(
    Option.flatMap((json) => decode(json)),
    Option.filter((action) => action.key === key && isConsistent(action.output))
  )
}
