/** From the measurements of all trainings to who stands where. Pure. */
import { meanOverSeeds } from "../../../dsl/Check.ts"
import type { Contestant, Entrant, Measures } from "../../../pipelines/tournament/index.ts"
import { MEASURES, type Point, type Spread, type Standing } from "./Tournament.ts"

/** One training under one seed, and what became of it. */
export interface Training {
  readonly entrant: Entrant
  readonly seed: number
  /** Absent where it, or what it is measured by, failed. */
  readonly measures: Measures | undefined
  readonly ms: number | undefined
  readonly problem: string | undefined
}

/** Nats that a unit of win rate is worth when a method's strength is chosen. */
export const KL_WEIGHT = 0.1

export const SELECTION = `each method at its strength of the highest gold win rate less ${KL_WEIGHT} times KL, by the mean over seeds on clean labels`

/** The interval is missing where there is one seed. */
export const spread = (values: ReadonlyArray<number>): Spread => {
  if (values.length < 2) return { mean: values[0]!, low: null, high: null }
  const { interval, value } = meanOverSeeds(values)
  return { mean: value, low: interval![0], high: interval![1] }
}

/** The standings by win rate, and the KL that frontiers are compared at: the median of the methods' at their best. */
export const standings = (
  contestants: ReadonlyArray<Contestant>,
  trainings: ReadonlyArray<Training>,
  seeds: number
): { readonly matchedKl: number | undefined; readonly standings: ReadonlyArray<Standing> } => {
  const alone = contestants.map((contestant) => standing(contestant, ofMethod(trainings, contestant), seeds))
  const matchedKl = median(alone.flatMap(({ best }) => (best === null ? [] : [best.kl.mean])))
  const rank = ({ best }: Standing) => best?.winRate.mean ?? Number.NEGATIVE_INFINITY
  const ranked = alone.sort((a, b) => rank(b) - rank(a))
  const compared = ranked.map((own) => ({
    ...own,
    behind: own === ranked[0] ? null : behind(own, ranked[0]!, trainings),
    gainAtMatchedKl: matchedKl === undefined ? null : (gainAt(own.frontier, matchedKl) ?? null)
  }))
  return { matchedKl, standings: compared }
}

/** At the same seed the world and the pairs are the same: what they contribute to a win rate cancels. */
const behind = (own: Standing, first: Standing, trainings: ReadonlyArray<Training>): Spread | null => {
  const winRates = ({ best, method }: Standing) =>
    trainings.flatMap(({ entrant: { contestant, labels, strength }, measures }) =>
      contestant.name === method && labels === "clean" && strength === best?.strength ? [measures!.winRate] : []
    )
  const [ours, theirs] = [winRates(own), winRates(first)]
  return ours.length === 0 || theirs.length === 0 ? null : spread(ours.map((x, i) => x - theirs[i]!))
}

const ofMethod = (trainings: ReadonlyArray<Training>, { name }: Contestant) =>
  trainings.filter(({ entrant }) => entrant.contestant.name === name)

const standing = (
  { name, objective, parameter }: Contestant,
  trainings: ReadonlyArray<Training>,
  seeds: number
): Standing => {
  const strengths = [...new Set(trainings.map(({ entrant }) => entrant.strength))]
  const under = (strength: number, labels: Entrant["labels"]) =>
    trainings.filter(({ entrant }) => entrant.strength === strength && entrant.labels === labels)
  const points = strengths.flatMap((strength) => pointOf(strength, under(strength, "clean"), seeds) ?? [])
  const frontier = points.sort((a, b) => a.kl.mean - b.kl.mean)
  const value = ({ kl, winRate }: Point) => winRate.mean - KL_WEIGHT * kl.mean
  const best = frontier.reduce<Point | null>((best, p) => (best !== null && value(best) >= value(p) ? best : p), null)
  const clean = trainings.filter(({ entrant }) => entrant.labels === "clean")
  const times = clean.flatMap(({ ms }) => ms ?? [])
  const { reads } = objective(strengths[0]!).implementation
  return {
    method: name,
    parameter: parameter ?? null,
    best,
    behind: null,
    frontier,
    gainAtMatchedKl: null,
    flipped: best === null ? null : flippedOf(under(best.strength, "clean"), under(best.strength, "flipped"), seeds),
    cost: {
      trainingMs: times.length === 0 ? null : average(times),
      policyAnswers: reads.roles.length,
      referenceAnswers: reads.frozen.reference.length
    },
    problems: [...new Set(trainings.flatMap(({ problem }) => problem ?? []))]
  }
}

/** Means over all seeds; nothing where one is missing, since the others would be another comparison. */
const pointOf = (strength: number, trainings: ReadonlyArray<Training>, seeds: number): Point | undefined => {
  const measured = trainings.flatMap(({ measures }) => measures ?? [])
  if (measured.length < seeds) return undefined
  const over = (name: keyof Measures) => spread(measured.map((measures) => measures[name]))
  return { strength, ...(Object.fromEntries(MEASURES.map((name) => [name, over(name)])) as Omit<Point, "strength">) }
}

const flippedOf = (clean: ReadonlyArray<Training>, flipped: ReadonlyArray<Training>, seeds: number) => {
  const pairs = flipped.flatMap(({ measures, seed }) => {
    const before = clean.find((training) => training.seed === seed)?.measures
    return measures === undefined || before === undefined ? [] : [[measures.winRate, before.winRate] as const]
  })
  if (pairs.length < seeds) return null
  return {
    winRate: spread(pairs.map(([after]) => after)),
    change: spread(pairs.map(([after, before]) => after - before))
  }
}

/**
 * The gain on a frontier at a KL, linear in the square root of KL between neighbouring points: close to the start the gain
 * is proportional to it. Undefined where the frontier does not reach from below to above.
 */
export const gainAt = (frontier: ReadonlyArray<Point>, kl: number): number | undefined => {
  const exact = frontier.find((point) => point.kl.mean === kl)
  if (exact !== undefined) return exact.gain.mean
  const after = frontier.findIndex((point) => point.kl.mean > kl)
  if (after < 1) return undefined
  const [low, high] = [frontier[after - 1]!, frontier[after]!]
  const root = (point: Point) => Math.sqrt(Math.max(point.kl.mean, 0))
  const share = (Math.sqrt(kl) - root(low)) / (root(high) - root(low))
  return low.gain.mean + share * (high.gain.mean - low.gain.mean)
}

const average = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0) / values.length

/** The lower one of two middles, so that it is the KL of some method. */
const median = (values: ReadonlyArray<number>): number | undefined =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)]
