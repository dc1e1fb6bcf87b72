/** Damage to JSON that keeps it nearly JSON, and says what no value can: equal keys, `1e999`, nesting without end. */
import type * as Json from "../../dsl/Json.ts"
import type { Draws } from "./Draws.ts"

/** A JSON text as a tree whose leaves are any text. */
export type Tree =
  | { readonly _tag: "Object"; readonly members: ReadonlyArray<readonly [key: string, value: Tree]> }
  | { readonly _tag: "Array"; readonly items: ReadonlyArray<Tree> }
  | { readonly _tag: "Text"; readonly text: string }

export const toTree = (value: Json.Json): Tree => {
  if (Array.isArray(value)) return { _tag: "Array", items: value.map(toTree) }
  if (typeof value === "object" && value !== null)
    return {
      _tag: "Object",
      members: Object.entries(value).map(([key, member]) => [JSON.stringify(key), toTree(member)])
    }
  return { _tag: "Text", text: JSON.stringify(value) }
}

export const print = (tree: Tree): string => {
  if (tree._tag === "Text") return tree.text
  if (tree._tag === "Array") return `[${tree.items.map(print).join(",")}]`
  return `{${tree.members.map(([key, member]) => `${key}:${print(member)}`).join(",")}}`
}

const NUMBERS = [
  ...["0", "-0", "-1", "1", "2", "0.5", "1e308", "-1e308", "1e999", "-1e999", "5e-324", "1e-999", "1E+2", "01", "+1"],
  ...["2147483647", "2147483648", "4294967296", "9007199254740991", "9007199254740993", "18446744073709551616", "NaN"],
  ...["Infinity", "-Infinity", "0x10", ".5", "1.", "1_000"]
]
const STRINGS = [
  ...['""', '" "', '"\\u0000"', '"\\ud800"', '"\\udc00x"', '"\\u2028"', '"\\ufeff"', '"F64"', '"I64"', '"BPE"'],
  ...['"__proto__"', '"constructor"', '"../../../../tmp/escaped"', '"/etc/passwd"', '"C:\\\\x"', '".."', '"a/b"'],
  ...['"\\x"', '"unterminated', '"\u0007"', '"é🙂"', '"<|eos|>"', '"[object Object]"', '"true"', '"1"']
]
const KEYS = [
  ...['"__proto__"', '"constructor"', '"toString"', '"hasOwnProperty"', '"length"', '""', '"__metadata__"', '"_tag"'],
  ...['"../up"', '"\\ud800"', '"0"', "unquoted"]
]
const WORDS = ["null", "true", "false", "undefined", "[]", "{}", "", "[,]", "{,}", '{"__proto__":{"polluted":true}}']

const nested = (depth: number, { chance, pick }: Draws): string => {
  const [open, close] = pick([
    ["[", "]"],
    ['{"a":', "}"],
    ['{"__proto__":', "}"]
  ] as const)
  const inner = pick(["", "1", "null", '""'])
  const text = open.repeat(depth) + (open === "[" ? inner : inner || "0")
  return chance(0.8) ? text + close.repeat(depth) : text
}

const leaf = (draws: Draws): string => {
  switch (draws.int(8)) {
    case 0:
    case 1:
    case 2:
      return draws.pick(NUMBERS)
    case 3:
    case 4:
      return draws.pick(STRINGS)
    case 5:
      return draws.pick(WORDS)
    case 6:
      return JSON.stringify("x".repeat(draws.pick([1, 100, 1000, 20_000])))
    default:
      return nested(draws.pick([2, 20, 127, 128, 129, 1000, 1000, 20_000]), draws)
  }
}

const text = (text: string): Tree => ({ _tag: "Text", text })

const mutateHere = (tree: Tree, draws: Draws): Tree => {
  if (tree._tag === "Text" || draws.chance(0.25)) return text(leaf(draws))
  if (tree._tag === "Array") {
    const { items } = tree
    const at = draws.int(items.length + 1)
    const item = items[at] ?? text(leaf(draws))
    switch (draws.int(4)) {
      case 0:
        return { _tag: "Array", items: items.toSpliced(at, 1) }
      case 1:
        return { _tag: "Array", items: items.toSpliced(at, 0, item) }
      case 2:
        return { _tag: "Array", items: items.toSpliced(at, 0, text(leaf(draws))) }
      default:
        return { _tag: "Array", items: items.toReversed() }
    }
  }
  const { members } = tree
  const at = draws.int(members.length + 1)
  const [key, value] = members[at] ?? [draws.pick(KEYS), text(leaf(draws))]
  const other = members[draws.int(Math.max(1, members.length))]
  switch (draws.int(6)) {
    case 0:
      return { _tag: "Object", members: members.toSpliced(at, 1) }
    case 1: // the same key again, with the same or another value
      return { _tag: "Object", members: [...members, [key, draws.chance(0.5) ? value : text(leaf(draws))]] }
    case 2:
      return { _tag: "Object", members: members.toSpliced(at, 1, [draws.pick(KEYS), value]) }
    case 3:
      return { _tag: "Object", members: [...members, [draws.pick(KEYS), text(leaf(draws))]] }
    case 4: // another member's value
      return { _tag: "Object", members: members.toSpliced(at, 1, [key, other === undefined ? value : other[1]]) }
    default:
      return { _tag: "Object", members: members.toReversed() }
  }
}

/** Changes one place of the tree, at any depth. */
export const mutateTree = (tree: Tree, draws: Draws): Tree => {
  const children = tree._tag === "Text" ? 0 : tree._tag === "Array" ? tree.items.length : tree.members.length
  if (children === 0 || draws.chance(0.3)) return mutateHere(tree, draws)
  const at = draws.int(children)
  if (tree._tag === "Array") return { _tag: "Array", items: tree.items.with(at, mutateTree(tree.items[at]!, draws)) }
  const { members } = tree as Extract<Tree, { _tag: "Object" }>
  const [key, value] = members[at]!
  return { _tag: "Object", members: members.with(at, [key, mutateTree(value, draws)]) }
}

/** One to three damaged places. */
export const mutateJson = (value: Json.Json, draws: Draws): string => {
  let tree = toTree(value)
  for (let left = 1 + draws.int(3); left > 0; left--) tree = mutateTree(tree, draws)
  return print(tree)
}
