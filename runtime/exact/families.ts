/** The families of exact policies. */
import type { ExactPolicy, FamilyData } from "../../dsl/exactArtifacts.ts"
import { hazard } from "./hazard.ts"
import { checkGradient, checkLength, checkSymbols } from "./internal/checks.ts"
import { dot, logSoftmax } from "./numbers.ts"
import type { Family, Policy, Process, Row } from "./Policy.ts"

/** The family that a description names; RangeError where its arrays do not fit together. */
export const familyOf = (data: FamilyData): Family => {
  switch (data.kind) {
    case "softmax":
      return softmax(data.contexts, data.responses)
    case "linear":
      return linear(data.base, data.features)
    case "conditional":
      return conditional(data.responses, data.features)
    case "markov":
      return markov(data.symbols, data.horizon, data.endless)
    case "unigram":
      return unigram(data.symbols, data.length)
    case "hazard":
      return hazard(data.types, data.horizon)
  }
}

/** An exact policy ready to compute with; RangeError where its parameters do not fit its family. */
export const policyOf = ({ family, theta }: ExactPolicy): Policy => familyOf(family).at(Float64Array.from(theta))

/** A free distribution over `responses` for each of `contexts`; `theta[context * responses + response]` are logits. */
export const softmax = (contexts: number, responses: number): Family => ({
  parameters: contexts * responses,
  at: (theta) => tablePolicy({ ...responseTable(contexts, responses), theta, logits: theta })
})

/** Distributions `softmax(base[context] + features[context] . theta)`. */
export const linear = (
  base: ReadonlyArray<ReadonlyArray<number>>,
  features: ReadonlyArray<ReadonlyArray<ReadonlyArray<number>>>
): Family => {
  const responses = base[0]?.length ?? 0
  const parameters = features[0]?.[0]?.length ?? 0
  const rows = features.flat()
  if (
    responses === 0 ||
    base.some((row) => row.length !== responses) ||
    features.length !== base.length ||
    features.some((context) => context.length !== responses) ||
    rows.some((row) => row.length !== parameters)
  )
    throw new RangeError(
      "a linear family needs base [contexts][responses] and features [contexts][responses][parameters]"
    )
  const offsets = base.flat()
  return {
    parameters,
    at: (theta) => {
      checkLength(theta, parameters)
      const logits = Float64Array.from(rows, (row, i) => offsets[i]! + dot(row, theta))
      const policy = tablePolicy({ ...responseTable(base.length, responses), theta, logits })
      return {
        ...policy,
        pull: (rowsRead, gradients) => {
          const upstream = policy.pull(rowsRead, gradients)
          return theta.map((_, d) => rows.reduce((sum, row, i) => sum + upstream[i]! * row[d]!, 0))
        }
      }
    }
  }
}

/** Distributions `softmax_y(theta[y] . features[context])` over `responses`; `theta[response * features + feature]`. */
export const conditional = (responses: number, features: ReadonlyArray<ReadonlyArray<number>>): Family => {
  const width = features[0]?.length ?? 0
  if (width === 0 || features.some((row) => row.length !== width))
    throw new RangeError("a conditional family needs features [contexts][features]")
  const parameters = responses * width
  return {
    parameters,
    at: (theta) => {
      checkLength(theta, parameters)
      const logits = new Float64Array(features.length * responses)
      for (let i = 0; i < logits.length; i++) {
        const row = features[Math.floor(i / responses)]!
        const at = (i % responses) * width
        for (let feature = 0; feature < width; feature++) logits[i]! += row[feature]! * theta[at + feature]!
      }
      const policy = tablePolicy({ ...responseTable(features.length, responses), theta, logits })
      return {
        ...policy,
        pull: (rowsRead, gradients) => {
          const upstream = policy.pull(rowsRead, gradients)
          const pulled = new Float64Array(parameters)
          for (let i = 0; i < upstream.length; i++) {
            const row = features[Math.floor(i / responses)]!
            const at = (i % responses) * width
            for (let feature = 0; feature < width; feature++) pulled[at + feature]! += upstream[i]! * row[feature]!
          }
          return pulled
        }
      }
    }
  }
}

/** A first-order chain over symbols, with an end symbol of id `symbols` or, `endless`, of exactly `horizon` symbols. */
export const markov = (symbols: number, horizon: number, endless = false): Family => {
  const width = endless ? symbols : symbols + 1
  const check = ({ finish, tokens }: Row) => {
    if (tokens.length > horizon) throw new RangeError(`${tokens.length} symbols, the horizon is ${horizon}`)
    if (!endless && finish === "stop" && tokens.length === horizon)
      throw new RangeError(`an answer of ${horizon} symbols is cut off at the horizon: its finish is "length"`)
  }
  return {
    parameters: (symbols + 1) * width,
    at: (theta) =>
      tablePolicy({
        theta,
        logits: theta,
        cells: symbols + 1,
        width,
        entries: (row) => {
          check(row)
          const actions = row.finish === "stop" && !endless ? [...row.tokens, symbols] : row.tokens
          checkSymbols(row.tokens, symbols)
          return actions.map((action, t) => (t === 0 ? symbols : actions[t - 1]!) * width + action)
        },
        process: (cell) => ({
          contexts: 1,
          horizon,
          states: symbols + 1,
          start: symbols,
          logProbs: (_context, _position, state) => cell(state),
          next: (position, action) => (action === symbols ? "stop" : position + 1 === horizon ? "length" : action),
          symbol: (action) => (action === symbols ? undefined : action)
        })
      })
  }
}

/** Independent symbols of one distribution; answers of any length have a probability, samples have `length` symbols. */
export const unigram = (symbols: number, length: number): Family => ({
  parameters: symbols,
  at: (theta) =>
    tablePolicy({
      theta,
      logits: theta,
      cells: 1,
      width: symbols,
      entries: ({ tokens }) => {
        checkSymbols(tokens, symbols)
        return tokens
      },
      process: (cell) => ({
        contexts: 1,
        horizon: length,
        states: 1,
        start: 0,
        logProbs: () => cell(0),
        next: (position) => (position + 1 === length ? "length" : 0),
        symbol: (action) => action
      })
    })
})

/** A policy of which every token is one draw from one cell of a table of softmax distributions. */
interface Table {
  readonly theta: Float64Array
  /** `[cells * width]` */
  readonly logits: Float64Array
  readonly cells: number
  readonly width: number
  /** Each of a row's tokens as an index into `logits`. */
  readonly entries: (row: Row) => ReadonlyArray<number>
  readonly process: (cell: (index: number) => Float64Array) => Process
}

const responseTable = (contexts: number, responses: number): Omit<Table, "theta" | "logits"> => ({
  cells: contexts,
  width: responses,
  entries: ({ context, tokens }) => {
    if (tokens.length !== 1) throw new RangeError(`a response is one token, got ${tokens.length}`)
    if (!(Number.isInteger(context) && context >= 0 && context < contexts))
      throw new RangeError(`context ${context} of ${contexts}`)
    checkSymbols(tokens, responses)
    return [context * responses + tokens[0]!]
  },
  process: (cell) => ({
    contexts,
    horizon: 1,
    states: 1,
    start: 0,
    logProbs: (context) => cell(context),
    next: () => "stop",
    symbol: (action) => action
  })
})

/** A policy over a table; its pull is the derivative with respect to the table's logits. */
const tablePolicy = ({ cells, entries, logits, process, theta, width }: Table): Policy => {
  checkLength(logits, cells * width)
  const logProbs = new Float64Array(cells * width)
  for (let at = 0; at < logProbs.length; at += width) logProbs.set(logSoftmax(logits.subarray(at, at + width)), at)
  const table = Array.from({ length: cells }, (_, cell) => logProbs.subarray(cell * width, (cell + 1) * width))
  return {
    theta,
    process: process((index) => {
      const cell = table[index]
      if (cell === undefined) throw new RangeError(`context or state ${index} of ${cells}`)
      return cell
    }),
    tokenLogProbs: (row) => {
      const path = entries(row)
      const read = new Float64Array(path.length)
      for (let t = 0; t < path.length; t++) read[t] = logProbs[path[t]!]!
      return read
    },
    pull: (rows, gradients) => {
      const pulled = new Float64Array(cells * width)
      rows.forEach((row, i) => {
        const path = entries(row)
        const gradient = checkGradient(gradients[i], path.length, i)
        for (let t = 0; t < path.length; t++) pulled[path[t]!]! += gradient[t]!
      })
      for (let at = 0; at < pulled.length; at += width) {
        const total = pulled.subarray(at, at + width).reduce((sum, g) => sum + g, 0)
        for (let entry = at; entry < at + width; entry++) pulled[entry]! -= total * Math.exp(logProbs[entry]!)
      }
      return pulled
    }
  }
}
