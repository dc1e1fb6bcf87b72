/** Inputs of laws as people read them: JSON, with long lists and texts cut, and components by their names. */
import * as Component from "../../dsl/Component.ts"

/** Items of a list, and characters of a text, that are shown. */
const ITEMS = 12
const CHARACTERS = 120
/** Nested deeper, a value is shown on one line of its own. */
const WIDTH = 100

export const readable = (value: unknown): string => print(plain(value), "")

const plain = (value: unknown): unknown => {
  if (Component.isComponent(value)) {
    const { name, params } = value
    return Object.keys(params).length === 0 ? name : { name, params }
  }
  if (typeof value === "string") return value.length > CHARACTERS ? `${value.slice(0, CHARACTERS)}…` : value
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${value.byteLength} bytes`
  if (value instanceof Map) return plain(Object.fromEntries(value))
  if (Array.isArray(value)) {
    const items = value.slice(0, ITEMS).map(plain)
    return value.length > ITEMS ? [...items, `… ${value.length - ITEMS} more`] : items
  }
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, member]) => member !== undefined)
        .map(([name, member]) => [name, plain(member)])
    )
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value
}

const print = (value: unknown, indent: string): string => {
  const line = JSON.stringify(value)
  if (line === undefined || line.length + indent.length <= WIDTH || typeof value !== "object" || value === null)
    return line ?? "undefined"
  const inner = `${indent}  `
  const members = Array.isArray(value)
    ? value.map((item) => `${inner}${print(item, inner)}`)
    : Object.entries(value).map(([name, member]) => `${inner}${JSON.stringify(name)}: ${print(member, inner)}`)
  const [open, close] = Array.isArray(value) ? "[]" : "{}"
  return `${open}\n${members.join(",\n")}\n${indent}${close}`
}
