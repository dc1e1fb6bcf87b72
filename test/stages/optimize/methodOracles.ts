/** The methods again, as scalar float64 formulas from their papers' equations: no expressions, no shared code. */
import type { Item, Token } from "../../../stages/optimize/objectiveSamples.ts"

type Answer = ReadonlyArray<Token>
/** One loss for each item of a batch. */
export type Oracle = (items: ReadonlyArray<Item>) => ReadonlyArray<number>

const total = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0)
export const answerOf = (item: Item, role: string): Answer => item.answers[role]!
const logRatio = (tokens: Answer) => total(tokens.map(({ policy, reference }) => policy - reference))
const logProb = (tokens: Answer) => total(tokens.map(({ policy }) => policy))
const minusLogSigmoid = (z: number) => (z > 0 ? Math.log1p(Math.exp(-z)) : -z + Math.log1p(Math.exp(z)))
const sigma = (z: number) => 1 / (1 + Math.exp(-z))
const each =
  (loss: (item: Item) => number): Oracle =>
  (items) =>
    items.map(loss)
/** Log-ratio of a role of the item. */
const l = (item: Item, role: string) => logRatio(answerOf(item, role))
const n = (item: Item, name: string) => item.numbers[name]!
const delta = (item: Item) => l(item, "chosen") - l(item, "rejected")

export const dpo = (beta: number) => each((item) => minusLogSigmoid(beta * delta(item)))

export const modpo = (beta: number, weight: number, marginWeight: number, hinge = false) =>
  each((item) => {
    const margin = marginWeight * (n(item, "marginChosen") - n(item, "marginRejected"))
    const z = (beta * delta(item) - margin) / weight
    return hinge ? Math.max(0, 1 - z) : minusLogSigmoid(z)
  })

export const vpo = (beta: number, alpha: number, sign: number) =>
  each((item) => minusLogSigmoid(beta * delta(item)) + sign * alpha * beta * l(item, "calibration"))

export const srpo = (alpha: number, beta: number, soft: boolean) =>
  each((item) => {
    const p = soft ? n(item, "label") : 1
    const improver =
      (p - 0.5 - beta * (l(item, "wl") - l(item, "ll"))) ** 2 + (p - 0.5 - beta * (l(item, "ww") - l(item, "lw"))) ** 2
    const generated = l(item, "wl") + l(item, "chosen") - l(item, "lw") - l(item, "rejected")
    return (1 - alpha) * (2 * p - 1 - beta * generated) ** 2 + alpha * improver
  })

export const tgdpo = (alpha: number, beta: number, [low, high] = [-Infinity, Infinity]) =>
  each((item) => {
    const side = (role: string, sign: number) =>
      total(
        answerOf(item, role).map(({ guide, policy, reference }) => {
          const weight = 1 + sign * alpha * beta * (guide - reference)
          return beta * Math.min(high, Math.max(low, weight)) * (policy - reference)
        })
      )
    return minusLogSigmoid(side("chosen", 1) - side("rejected", -1))
  })

const softmax = (values: ReadonlyArray<number>) => {
  const weights = values.map((x) => Math.exp(x - Math.max(...values)))
  return weights.map((w) => w / total(weights))
}
const groupOf = (item: Item) =>
  Object.keys(item.answers)
    .filter((role) => role.startsWith("answer"))
    .sort()

export interface Brain {
  readonly gamma: number
  readonly kappa: number
  readonly proposal: "reference" | "guide"
  readonly estimator: "self-normalized" | "no-baseline" | "dpg" | "gdc"
}
export const brain = ({ estimator, gamma, kappa, proposal }: Brain) =>
  each((item) => {
    const sums = groupOf(item).map((role) => {
      const sum = (source: "policy" | "reference" | "guide") => total(answerOf(item, role).map((t) => t[source]))
      return { policy: sum("policy"), prior: sum("reference"), proposal: sum(proposal) }
    })
    const a = sums.map((s, i) => s.prior + n(item, `score${i}`) / gamma - s.proposal)
    const b = sums.map((s) => kappa * (s.policy - s.proposal))
    const alpha = softmax(a)
    if (estimator === "self-normalized") return -total(alpha.map((w, i) => w * Math.log(softmax(b)[i]!)))
    if (estimator === "no-baseline") return -total(alpha.map((w, i) => w * b[i]!))
    const importance = total(a.map((x, i) => Math.exp(x - n(item, "logZ")) * b[i]!))
    return ((estimator === "gdc" ? total(b.map(Math.exp)) : 0) - importance) / a.length
  })

export const plackettLuce = (beta: number) =>
  each((item) => {
    const s = groupOf(item).map((role) => beta * l(item, role))
    return -total(s.map((_, k) => Math.log(softmax(s.slice(k))[0]!)))
  })

export const dno = (eta: number) =>
  each((item) => {
    const target = n(item, "winRateChosen") - n(item, "winRateRejected")
    const z = eta * delta(item)
    return sigma(target) * minusLogSigmoid(z) + sigma(-target) * minusLogSigmoid(-z)
  })

export type By = "sum" | "sequenceMean" | "tokenMean"
const nll =
  (role: string, by: By): Oracle =>
  (items) => {
    const tokens = total(items.map((item) => answerOf(item, role).length)) / items.length
    return items.map((item) => {
      const own = answerOf(item, role)
      return -logProb(own) / (by === "sum" ? 1 : by === "sequenceMean" ? own.length : tokens)
    })
  }
export const plus =
  (base: Oracle, weight: number, role: string, by: By): Oracle =>
  (items) => {
    const term = nll(role, by)(items)
    return base(items).map((loss, i) => loss + weight * term[i]!)
  }

const headsOf = (item: Item, role: string) => item.heads[role]!.map(({ value }) => value)

export const gpm = (blocks: number, tau: number, margin: number, normalized: boolean) =>
  each((item) => {
    const unit = (v: ReadonlyArray<number>) => (normalized ? v.map((x) => x / Math.hypot(...v)) : v)
    const [v, w] = [unit(headsOf(item, "chosen")), unit(headsOf(item, "rejected"))]
    const rotated = v.map((_, i) => (i % 2 === 0 ? -v[i + 1]! : v[i - 1]!))
    const score = total(rotated.slice(0, 2 * blocks).map((x, i) => x * w[i]!))
    return minusLogSigmoid((score - margin) / tau)
  })

export const bradleyTerry = (tau: number, margin: number) =>
  each((item) => minusLogSigmoid((headsOf(item, "chosen")[0]! - headsOf(item, "rejected")[0]! - margin) / tau))

/** The mean of squared distances between log-ratios and targets. */
export const regression = (roles: ReadonlyArray<string>, target: (item: Item, role: string, i: number) => number) =>
  each((item) => total(roles.map((role, i) => (l(item, role) - target(item, role, i)) ** 2)) / roles.length)

export const ldDpo = (alpha: number, beta: number, e = 0) =>
  each((item) => {
    const shared = Math.min(answerOf(item, "chosen").length, answerOf(item, "rejected").length)
    const side = (role: string) =>
      logRatio(answerOf(item, role).slice(0, shared)) + alpha * logRatio(answerOf(item, role).slice(shared))
    const z = beta * (side("chosen") - side("rejected"))
    return (1 - e) * minusLogSigmoid(z) + e * minusLogSigmoid(-z)
  })

export const flexDpo = (betaPlus: number, betaMinus: number) =>
  each((item) => minusLogSigmoid(betaPlus * l(item, "chosen") - betaMinus * l(item, "rejected")))

export const contrast = (link: (d: number) => number, byMean: boolean) =>
  each((item) => {
    const side = (role: string) => logProb(answerOf(item, role)) / (byMean ? answerOf(item, role).length : 1)
    return link(side("chosen") - side("rejected"))
  })
export const logistic = minusLogSigmoid

export const withDegree = (base: Oracle, gamma: number, levels: number, first = 0, separate = false): Oracle => {
  const crossEntropy = (item: Item, side: string, from: number) => {
    const label = n(item, `degree${side}`)
    const logits = headsOf(item, `degraded${side}`).slice(from, from + levels + 1)
    return label < 0 ? 0 : -Math.log(softmax(logits)[label]!)
  }
  return (items) =>
    base(items).map((loss, i) => {
      const rejected = crossEntropy(items[i]!, "Rejected", separate ? first + levels + 1 : first)
      return loss + (gamma * (crossEntropy(items[i]!, "Chosen", first) + rejected)) / 2
    })
}

/** `f'(u)` of policy over reference `u`. */
export const fDpo = (beta: number, derivative: (u: number) => number) =>
  each((item) => {
    const side = (role: string) => derivative(Math.exp(l(item, role)))
    return minusLogSigmoid(beta * (side("chosen") - side("rejected")))
  })
