/**
 * Small changes of a module's text, each of which ought to be a bug. Left alone: types, imports, comments, schemas,
 * generators, the text of laws, and what only these use.
 */
import { parseAst } from "vitest/node"

/** Replaces the characters from `start` to `end`. */
export interface Change {
  readonly start: number
  readonly end: number
  readonly replacement: string
}

interface Syntax {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: any
}

/** The changes of a module, the likeliest bugs first; in a fixed order. */
export const changesOf = (source: string): ReadonlyArray<Change> => {
  const program = parseAst(source, { lang: "ts" }) as unknown as Syntax
  const found: Array<{ readonly rank: number; readonly change: Change }> = []
  const visit = (node: Syntax): void => {
    if (isLeftAlone(node)) return
    for (const [rank, at, replacement] of changesAt(node, source)) {
      const before = source.slice(at.start, at.end)
      if (before === replacement) continue
      found.push({
        rank: before.includes("\n") ? rank + 2 : rank,
        change: { start: at.start, end: at.end, replacement }
      })
    }
    for (const child of childrenOf(node)) visit(child)
  }
  for (const statement of livePartsOf(program)) visit(statement)
  const seen = new Set<string>()
  return scattered(found)
    .sort((a, b) => a.rank - b.rank)
    .map(({ change }) => change)
    .filter(({ start, end, replacement }) => {
      const id = `${start} ${end} ${replacement}`
      return !seen.has(id) && seen.add(id)
    })
}

export const applied = (source: string, { end, replacement, start }: Change): string =>
  source.slice(0, start) + replacement + source.slice(end)

/** Every seventh, and so on: neighbours are alike, so the first ones tried lie apart. */
const scattered = <A>(items: ReadonlyArray<A>): Array<A> =>
  Array.from({ length: 7 }, (_, offset) => items.filter((_, i) => i % 7 === offset)).flat()

const childrenOf = (node: Syntax): ReadonlyArray<Syntax> =>
  Object.values(node)
    .flat()
    .filter((child): child is Syntax => typeof child === "object" && child !== null && typeof child.type === "string")

const KEYS = ["laws", "given", "description", "module", "name"]
const NAMESPACES = ["Law", "StageLaw", "Arbitrary", "Schema", "Contract"]
const TYPED = ["TSAsExpression", "TSNonNullExpression", "TSSatisfiesExpression", "TSInstantiationExpression"]

const isLeftAlone = (node: Syntax): boolean => {
  if (node.type.startsWith("TS")) return !TYPED.includes(node.type)
  if (node.type === "ImportDeclaration" || node.type === "ClassDeclaration") return true
  if (node.type === "Property") {
    const key = node["key"].name
    return KEYS.includes(key) || (key === "params" && node["value"].type === "ObjectExpression")
  }
  return node.type === "CallExpression" && NAMESPACES.includes(node["callee"].object?.name)
}

const namesIn = (node: Syntax): ReadonlyArray<string> => {
  if (isLeftAlone(node)) return []
  return [...(node.type === "Identifier" ? [node["name"] as string] : []), ...childrenOf(node).flatMap(namesIn)]
}

/** Top-level declarations that the exported ones use, laws aside. */
const livePartsOf = (program: Syntax): ReadonlyArray<Syntax> => {
  const parts = (program["body"] as ReadonlyArray<Syntax>).flatMap((statement) => {
    const isExported = statement.type.startsWith("Export")
    const declared: Syntax = statement["declaration"] ?? statement
    return (declared["declarations"] ?? [declared]).map((node: Syntax) => ({
      node,
      isExported,
      names: node["id"] ? [...new Set(namesIn(node["id"]))] : []
    }))
  })
  const live = new Set(parts.filter(({ isExported, node }) => isExported && !node.type.startsWith("TS")))
  for (const part of live) {
    const used = new Set(namesIn(part.node))
    for (const other of parts) if (other.names.some((name: string) => used.has(name))) live.add(other)
  }
  return [...live].map(({ node }) => node).sort((a, b) => a.start - b.start)
}

type At = readonly [rank: number, at: { readonly start: number; readonly end: number }, replacement: string]

const OPERATORS: Readonly<Record<string, ReadonlyArray<string>>> = {
  "<": [">=", "<="],
  "<=": [">", "<"],
  ">": ["<=", ">="],
  ">=": ["<", ">"],
  "===": ["!=="],
  "!==": ["==="],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["*"],
  "**": ["*"],
  "&&": ["||"],
  "||": ["&&"]
}
const DROPPED = ["toReversed", "toSorted", "filter", "slice", "flatMap", "flat", "concat", "trim", "map", "toLowerCase"]
const METHODS: Readonly<Record<string, string>> = {
  toReversed: "reverse",
  toSorted: "sort",
  every: "some",
  some: "every",
  min: "max",
  max: "min",
  floor: "ceil",
  ceil: "floor",
  indexOf: "lastIndexOf",
  push: "unshift",
  exp: "expm1",
  log: "log1p",
  succeed: "fail"
}

const OPPOSITES = [
  ["chosen", "rejected"],
  ["Chosen", "Rejected"],
  ["ours", "theirs"],
  ["policy", "reference"],
  ["first", "second"],
  ["low", "high"]
] as const

/** The name with a word in it turned into its opposite. */
const opposite = (name: string): string | undefined => {
  for (const [one, other] of OPPOSITES) {
    if (name.includes(one)) return name.replace(one, other)
    if (name.includes(other)) return name.replace(other, one)
  }
  return undefined
}

const changesAt = (node: Syntax, source: string): ReadonlyArray<At> => {
  const text = (part: Syntax) => source.slice(part.start, part.end)
  const whole = (rank: number, replacement: string): At => [rank, node, replacement]
  switch (node.type) {
    case "BinaryExpression":
    case "LogicalExpression": {
      const { left, operator, right } = node
      const swapped = (OPERATORS[operator] ?? []).map((other) => whole(0, `(${text(left)} ${other} ${text(right)})`))
      return [...swapped, whole(1, text(left)), whole(1, text(right))]
    }
    case "UnaryExpression":
      return node["operator"] === "!" || node["operator"] === "-" ? [whole(0, text(node["argument"]))] : []
    case "Identifier": {
      const other = opposite(node["name"])
      return other === undefined ? [] : [whole(2, other)]
    }
    case "Literal":
      if (typeof node["value"] === "string") {
        const other = opposite(node["value"])
        return other === undefined ? [] : [whole(1, JSON.stringify(other))]
      }
      if (typeof node["value"] === "boolean") return [whole(0, `${!node["value"]}`)]
      if (typeof node["value"] !== "number") return []
      return [
        whole(0, `(${text(node)} + 1)`),
        whole(2, `(${text(node)} * 1.01)`),
        whole(2, "0"),
        whole(3, "Math.random()")
      ]
    case "ConditionalExpression":
      return [
        [0, node["test"], `!(${text(node["test"])})`],
        whole(1, text(node["consequent"])),
        whole(1, text(node["alternate"]))
      ]
    case "IfStatement":
      return [
        [0, node["test"], `!(${text(node["test"])})`],
        [1, node["test"], "false"]
      ]
    case "SpreadElement":
      return [[1, node["argument"], "[]"]]
    case "ExpressionStatement":
      return [whole(2, "void 0")]
    case "AssignmentExpression":
      return node["operator"] === "+=" ? [whole(0, `${text(node["left"])} -= ${text(node["right"])}`)] : []
    case "Property":
      return node["shorthand"] || node["value"].type.includes("Function") ? [] : madeOtherwise(node["value"], source)
    case "ArrowFunctionExpression":
      return node["body"].type === "BlockStatement" ? [] : madeOtherwise(node["body"], source)
    case "ReturnStatement":
      return node["argument"] ? madeOtherwise(node["argument"], source) : []
    case "CallExpression":
      return changesOfCall(node, source)
    default:
      return []
  }
}

/** Another value in place of one that is returned or put into a record. */
const madeOtherwise = (value: Syntax, source: string): ReadonlyArray<At> => {
  const text = source.slice(value.start, value.end)
  if (value.type.includes("Function")) return []
  if (value.type === "ObjectExpression" || value.type === "ArrayExpression") return [[3, value, "([])"]]
  return [
    [1, value, `((${text}) + 0.1)`],
    [2, value, `((${text}) * 1.1)`],
    [2, value, `-(${text})`],
    [2, value, "0"],
    [2, value, "[]"],
    [3, value, `((${text}) + Math.random())`],
    [3, value, "NaN"]
  ]
}

const changesOfCall = (node: Syntax, source: string): ReadonlyArray<At> => {
  const text = (part: Syntax) => source.slice(part.start, part.end)
  const { callee } = node
  const given: ReadonlyArray<Syntax> = node["arguments"]
  const method: string | undefined = callee.type === "MemberExpression" ? callee.property.name : undefined
  const changes: Array<At> = []
  const [first, second] = given
  if (first !== undefined && second !== undefined && given.length === 2 && !second.type.includes("Function"))
    changes.push([0, { start: first.start, end: second.end }, `${text(second)}, ${text(first)}`])
  if (method !== undefined && Object.hasOwn(METHODS, method)) changes.push([0, callee.property, METHODS[method]!])
  if (method !== undefined && DROPPED.includes(method) && callee.object.name !== "Stream")
    changes.push([0, node, text(callee.object)])
  if (method === "pipe" && given.length > 1) {
    given.forEach((argument, i) => {
      const [from, to] = i === 0 ? [argument.start, given[1]!.start] : [given[i - 1]!.end, argument.end]
      changes.push([1, { start: from, end: to }, ""])
    })
  }
  for (const argument of given.filter(({ type }) => type === "Identifier"))
    changes.push([2, argument, `(${text(argument)} + 1)`], [3, argument, `(${text(argument)} + Math.random())`])
  if (given.length === 2) changes.push([1, node, `(${text(first!)})`], [1, node, `(${text(second!)})`])
  if (given.length === 1) changes.push([1, node, `(${text(first!)})`])
  if (callee.object?.name === "Math") changes.push([2, node, "0"])
  return changes
}
