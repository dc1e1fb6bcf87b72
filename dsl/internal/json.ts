/**
 * JSON as files carry it: a strict reader that says where it stumbled, and a writer whose bytes depend on the value only.
 * `JSON.parse` keeps the last of two equal keys, often gives no position, and lets `1e999` through as an infinity.
 */
import { Result, type Schema } from "effect"

/** Where and why a text is not JSON. `line` and `column` count from 1, columns in UTF-16 code units. */
export interface Malformed {
  readonly line: number
  readonly column: number
  readonly problem: string
}

/** Objects and arrays nest at most this deep, so that no consumer can be made to overflow its stack. */
const MAX_DEPTH = 128
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const WORDS: ReadonlyArray<readonly [string, Schema.Json]> = [
  ["true", true],
  ["false", false],
  ["null", null]
]

/**
 * Reads one JSON value (RFC 8259).
 *
 * **Details** Refuses more than `JSON.parse` does: a repeated key, a lone surrogate in a string, a number beyond the
 * range of a double, and nesting deeper than 128. A key `__proto__` is an own property like any other.
 */
export const parse = (text: string): Result.Result<Schema.Json, Malformed> => {
  try {
    return Result.succeed(read(text))
  } catch (error) {
    if (error instanceof Stumble) return Result.fail(locate(text, error))
    throw error
  }
}

/**
 * Writes a value with sorted keys (UTF-16 code unit order), two spaces and a final line feed.
 *
 * **Details** Equal values give equal texts whatever the order in which their keys were added, and `parse` gives the
 * value back. Throws a `RangeError` for what JSON cannot hold (`undefined`, NaN, an infinity, a lone surrogate).
 */
export const print = (value: Schema.Json): string => `${render(value, "\n")}\n`

class Stumble {
  readonly problem: string
  readonly offset: number
  constructor(problem: string, offset: number) {
    this.problem = problem
    this.offset = offset
  }
}

const locate = (text: string, { offset, problem }: Stumble): Malformed => {
  const before = text.slice(0, offset)
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n"), problem }
}

const read = (text: string): Schema.Json => {
  let at = 0

  const expected = (what: string): Stumble =>
    new Stumble(at < text.length ? `expected ${what}` : `expected ${what}, got the end of the text`, at)

  const skipSpace = () => {
    while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++
  }

  const skip = (mark: string): boolean => {
    skipSpace()
    if (text[at] !== mark) return false
    at++
    return true
  }

  const string = (): string => {
    const start = at
    let plain = true
    for (at++; text[at] !== '"'; at++) {
      if (at >= text.length) throw new Stumble("a string without an end", start)
      if (text.charCodeAt(at) < 0x20) throw new Stumble("a control character in a string", at)
      if (text[at] === "\\") {
        plain = false
        at++
      }
    }
    at++
    const value = plain ? text.slice(start + 1, at - 1) : unescape(text.slice(start, at), start)
    if (!value.isWellFormed()) throw new Stumble("a lone surrogate in a string", start)
    return value
  }

  const number = (): number => {
    NUMBER.lastIndex = at
    const found = NUMBER.exec(text)
    if (found === null) throw expected("a value")
    const value = Number(found[0])
    if (!Number.isFinite(value)) throw new Stumble("a number out of range", at)
    at += found[0].length
    return value
  }

  const array = (depth: number): Schema.Json => {
    const items: Array<Schema.Json> = []
    if (skip("]")) return items
    do items.push(value(depth))
    while (skip(","))
    if (!skip("]")) throw expected("',' or ']'")
    return items
  }

  const object = (depth: number): Schema.Json => {
    const members = new Map<string, Schema.Json>()
    if (skip("}")) return {}
    do {
      skipSpace()
      const start = at
      if (text[at] !== '"') throw expected("a key in double quotes")
      const key = string()
      if (members.has(key)) throw new Stumble(`the key ${JSON.stringify(key)} stands twice`, start)
      if (!skip(":")) throw expected("':'")
      members.set(key, value(depth))
    } while (skip(","))
    if (!skip("}")) throw expected("',' or '}'")
    return Object.fromEntries(members)
  }

  const value = (depth: number): Schema.Json => {
    if (depth > MAX_DEPTH) throw new Stumble(`nested deeper than ${MAX_DEPTH}`, at)
    skipSpace()
    if (text[at] === '"') return string()
    if (skip("{")) return object(depth + 1)
    if (skip("[")) return array(depth + 1)
    for (const [word, meaning] of WORDS) {
      if (!text.startsWith(word, at)) continue
      at += word.length
      return meaning
    }
    return number()
  }

  const whole = value(0)
  skipSpace()
  if (at < text.length) throw expected("the end of the text")
  return whole
}

const unescape = (literal: string, offset: number): string => {
  try {
    return JSON.parse(literal)
  } catch {
    throw new Stumble("a string with a malformed escape", offset)
  }
}

const render = (value: Schema.Json, lineBreak: string): string => {
  if (value === null || typeof value === "boolean") return String(value)
  if (typeof value === "string") return quote(value)
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new RangeError(`JSON has no number ${value}`)
    return Object.is(value, -0) ? "-0" : String(value)
  }
  if (typeof value !== "object") throw new RangeError(`JSON has no ${typeof value}`)
  const inner = `${lineBreak}  `
  if (Array.isArray(value))
    return enclose(
      "[",
      value.map((item) => render(item, inner)),
      "]",
      lineBreak
    )
  const object = value as Schema.JsonObject
  const members = Object.keys(object)
    .sort()
    .map((key) => `${quote(key)}: ${render(object[key]!, inner)}`)
  return enclose("{", members, "}", lineBreak)
}

const quote = (text: string): string => {
  if (!text.isWellFormed()) throw new RangeError(`JSON text cannot hold the lone surrogate in ${JSON.stringify(text)}`)
  return JSON.stringify(text)
}

const enclose = (open: string, items: ReadonlyArray<string>, close: string, lineBreak: string): string =>
  items.length === 0 ? open + close : `${open}${lineBreak}  ${items.join(`,${lineBreak}  `)}${lineBreak}${close}`
