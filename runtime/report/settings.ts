/** Sweeps as their outputs' names tell them: `report[beta=0.1,seed=0]` is the output `report` at beta 0.1 and seed 0. */

/** Values of swept parameters as text, by name, in the order in which names give them. */
export type Setting = Readonly<Record<string, string>>

export interface Named {
  readonly output: string
  readonly setting: Setting
}

/** An output's name taken apart; one that is not of a sweep has no setting. */
export const parse = (name: string): Named => {
  const match = /^([^[]+)\[(.*)\]$/s.exec(name)
  if (match === null) return { output: name, setting: {} }
  const parts: Array<readonly [string, string]> = []
  for (const part of splitOutside(match[2]!)) {
    const at = part.indexOf("=")
    const last = parts.length - 1
    if (at > 0 && /^[\w.-]+$/.test(part.slice(0, at))) parts.push([part.slice(0, at), part.slice(at + 1)])
    else if (last < 0) return { output: name, setting: {} }
    else parts[last] = [parts[last]![0], `${parts[last]![1]},${part}`] // a text with a comma in it
  }
  return { output: match[1]!, setting: Object.fromEntries(parts) }
}

/** At the commas that stand in no bracket and in no quotes. */
const splitOutside = (text: string): ReadonlyArray<string> => {
  const parts = [""]
  let depth = 0
  let isQuoted = false
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!
    if (c === '"' && text[i - 1] !== "\\") isQuoted = !isQuoted
    else if (!isQuoted && "([{".includes(c)) depth++
    else if (!isQuoted && ")]}".includes(c)) depth--
    if (c === "," && depth <= 0 && !isQuoted) parts.push("")
    else parts[parts.length - 1] += c
  }
  return parts
}

export const toText = (setting: Setting): string =>
  Object.entries(setting)
    .map(([name, value]) => `${name} = ${value}`)
    .join(", ")

/** What all of these settings have in common. */
export const common = ([first, ...others]: ReadonlyArray<Setting>): Setting =>
  Object.fromEntries(
    Object.entries(first ?? {}).filter(([name, value]) => others.every((setting) => setting[name] === value))
  )

/** Without the seed, over which results are averaged. */
export const withoutSeed = ({ seed: _, ...rest }: Setting): Setting => rest

/** Values in the order of numbers, where they are numbers. */
export const byValue = (a: string, b: string): number => {
  const [x, y] = [Number(a), Number(b)]
  return Number.isFinite(x) && Number.isFinite(y) && a !== "" && b !== "" ? x - y : a < b ? -1 : a > b ? 1 : 0
}

/** Settings by their first parameter's value, then by their second's. */
export const bySetting = (a: Setting, b: Setting): number => {
  for (const name of Object.keys(a)) {
    const order = byValue(a[name]!, b[name] ?? "")
    if (order !== 0) return order
  }
  return 0
}

/** For every node the settings of the outputs that need it; none where it is on the way to no output. */
export const reaching = (
  nodes: ReadonlyArray<{ readonly id: string; readonly inputs: Readonly<Record<string, string>> }>,
  outputs: Readonly<Record<string, string>>
): ReadonlyMap<string, ReadonlyArray<Setting>> => {
  const names = new Map<string, Set<string>>(nodes.map(({ id }) => [id, new Set()]))
  const settings = new Map<string, Setting>()
  for (const [name, node] of Object.entries(outputs)) {
    const { setting } = parse(name)
    settings.set(toText(setting), setting)
    names.get(node)?.add(toText(setting))
  }
  // Nodes stand after their inputs.
  for (const { id, inputs } of nodes.toReversed())
    for (const input of Object.values(inputs)) for (const name of names.get(id)!) names.get(input)?.add(name)
  return new Map(
    [...names].map(([id, texts]) => [id, [...texts].map((text) => settings.get(text)!).toSorted(bySetting)])
  )
}
