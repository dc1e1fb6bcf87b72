/** JSON as the keys see it: one text for one value, and no two values share a text. */
import { Schema } from "effect"

export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [name: string]: Json }
export type JsonObject = { readonly [name: string]: Json }

export const JsonObject = Schema.JsonObject

/** A value that has no canonical JSON text: where it stands and what it is. */
export class NotCanonical extends Schema.TaggedError<NotCanonical>()("NotCanonical", {
  at: Schema.String,
  found: Schema.String
}) {
  override get message() {
    return `${this.at || "the value"}: ${this.found} has no canonical JSON form`
  }
}

/**
 * The canonical text: object members sorted by UTF-16 code units, no white space, numbers as ECMAScript prints them
 * (shortest text that reads back to the same double), `-0` as `-0`. Injective on JSON values.
 * Throws `NotCanonical` for NaN, infinities, `undefined`, functions, bigints and symbols.
 */
export const canonicalUnsafe = (value: unknown, at = ""): string => {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value)
    case "boolean":
      return value ? "true" : "false"
    case "number":
      if (!Number.isFinite(value)) throw new NotCanonical({ at, found: String(value) })
      return Object.is(value, -0) ? "-0" : String(value)
    case "object": {
      if (value === null) return "null"
      if (Array.isArray(value)) return `[${value.map((item, i) => canonicalUnsafe(item, `${at}[${i}]`)).join(",")}]`
      const prototype = Object.getPrototypeOf(value)
      if (prototype !== Object.prototype && prototype !== null) {
        throw new NotCanonical({ at, found: `an instance of ${prototype.constructor?.name ?? "a class"}` })
      }
      const record = value as Readonly<Record<string, unknown>>
      const members = Object.keys(record)
        .sort()
        .map((name) => `${JSON.stringify(name)}:${canonicalUnsafe(record[name], at === "" ? name : `${at}.${name}`)}`)
      return `{${members.join(",")}}`
    }
    default:
      throw new NotCanonical({ at, found: value === undefined ? "undefined" : `a ${typeof value}` })
  }
}

/**
 * As `JSON.parse`, but two texts more throw a `SyntaxError`: one whose lists and objects nest deeper than `limit`, for a walk
 * over its value could overflow the stack, and one with a number that no double holds, such as `1e999`.
 */
export const parseUnsafe = (text: string, limit = 128): Json => {
  const value: Json = JSON.parse(text)
  if (isDeeper(text, limit)) throw new SyntaxError(`nested deeper than ${limit}`)
  const large = LARGE.test(text) ? largeAt(value, "") : undefined
  if (large !== undefined) throw new SyntaxError(`${large || "the value"} is a number out of range`)
  return value
}

/** What every text with such a number has somewhere. */
const LARGE = /\d[eE]\+?\d{3}|\d{300}/

/** Where such a number stands. */
const largeAt = (value: Json, at: string): string | undefined => {
  if (typeof value === "number") return Number.isFinite(value) ? undefined : at
  if (!isContainer(value)) return undefined
  for (const [name, member] of Object.entries(value as JsonObject)) {
    const large = largeAt(member, memberPath(at, name, Array.isArray(value)))
    if (large !== undefined) return large
  }
  return undefined
}

/** Of a text that is JSON: brackets outside of strings, open at a time. */
const isDeeper = (text: string, limit: number): boolean => {
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const mark = text.charCodeAt(at)
    if (mark === QUOTE) quoted = !quoted
    else if (quoted) at += mark === BACKSLASH ? 1 : 0
    else if (mark === OPEN_LIST || mark === OPEN_OBJECT) {
      if (++depth > limit) return true
    } else if (mark === CLOSE_LIST || mark === CLOSE_OBJECT) depth--
  }
  return false
}

const [QUOTE, BACKSLASH] = [0x22, 0x5c]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/** One leaf at which two JSON values differ; a side that lacks the member is `undefined`. */
export interface Difference {
  readonly at: string
  readonly left: Json | undefined
  readonly right: Json | undefined
}

/** The leaves at which two JSON values differ, in document order, numbers compared by `sameNumber`. */
export const differences = (
  left: Json | undefined,
  right: Json | undefined,
  sameNumber: (a: number, b: number) => boolean = Object.is,
  at = ""
): ReadonlyArray<Difference> => {
  if (typeof left === "number" && typeof right === "number") return sameNumber(left, right) ? [] : [{ at, left, right }]
  if (isContainer(left) && isContainer(right) && Array.isArray(left) === Array.isArray(right)) {
    const [a, b] = [left as JsonObject, right as JsonObject]
    return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((name) =>
      differences(own(a, name), own(b, name), sameNumber, memberPath(at, name, Array.isArray(left)))
    )
  }
  return left === right ? [] : [{ at, left, right }]
}

const isContainer = (value: Json | undefined) => typeof value === "object" && value !== null
const own = (object: JsonObject, name: string) => (Object.hasOwn(object, name) ? object[name] : undefined)
const memberPath = (at: string, name: string, inArray: boolean) =>
  inArray ? `${at}[${name}]` : at === "" ? name : `${at}.${name}`
