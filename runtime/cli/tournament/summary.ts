/** Which method to use when, in sentences that say no more than the numbers do. */
import * as Format from "../format.ts"
import type { Point, Standing } from "./Tournament.ts"
import { percent } from "./text.ts"

type Ranked = Standing & { readonly best: Point }

const isRanked = (standing: Standing): standing is Ranked => standing.best !== null

/** One sentence a question; none where nothing was measured. */
export const summarize = (
  standings: ReadonlyArray<Standing>,
  { flip, matchedKl }: { readonly flip: number; readonly matchedKl: number | undefined }
): ReadonlyArray<string> => {
  const ranked = standings.filter(isRanked)
  const [first] = ranked
  if (first === undefined || matchedKl === undefined) return []
  if (ranked.length === 1) return [`Only ${first.method} was measured: there is nothing to compare it with.`]
  return [
    forWins(first, ranked),
    forReward(ranked, matchedKl),
    ...forNoise(ranked, flip),
    forLikelihood(ranked),
    ...forLength(ranked)
  ]
}

/** Compared seed by seed, since worlds differ more than methods do. */
const forWins = (first: Ranked, ranked: ReadonlyArray<Ranked>): string => {
  const wins = `To win most often: ${named(first)} (${Format.number(first.best.winRate.mean)} against the start)`
  if (first.best.winRate.low === null) return `${wins}; one seed tells no interval.`
  const close = ranked.filter(({ behind }) => behind !== null && behind.high !== null && behind.high >= 0)
  const names = close.length <= 5 ? `: ${list(close)}` : ""
  return close.length === 0
    ? `${wins}, clearly more than all others.`
    : close.length === ranked.length - 1
      ? `${wins}; these seeds tell none of the others from it${names}.`
      : `${wins}; of the other ${ranked.length - 1} these seeds cannot tell ${close.length} from it${names}.`
}

const forReward = (ranked: ReadonlyArray<Ranked>, kl: number): string => {
  const reaching = ranked.filter(({ gainAtMatchedKl }) => gainAtMatchedKl !== null)
  const [best] = reaching.toSorted((a, b) => b.gainAtMatchedKl! - a.gainAtMatchedKl!)
  const at = `at a KL of ${Format.number(kl)}`
  if (best === undefined) return `No frontier reaches from below to above a KL of ${Format.number(kl)}.`
  return `For most gold reward ${at}: ${best.method} (${Format.signed(best.gainAtMatchedKl!)}); ${reaching.length} of ${ranked.length} frontiers reach that.`
}

const forNoise = (ranked: ReadonlyArray<Ranked>, flip: number): ReadonlyArray<string> => {
  const trained = ranked.filter(({ flipped }) => flipped !== null)
  const [best] = trained.toSorted((a, b) => b.flipped!.winRate.mean - a.flipped!.winRate.mean)
  if (best === undefined) return []
  const { change, winRate } = best.flipped!
  return [
    `With ${percent(flip)} of the labels wrong: ${named(best)} still wins ${Format.number(winRate.mean)} (${Format.signed(change.mean)}).`
  ]
}

const forLikelihood = (ranked: ReadonlyArray<Ranked>): string => {
  const [best] = ranked.toSorted((a, b) => b.best.displacement.mean - a.best.displacement.mean)
  const below = ranked.filter(({ best }) => best.displacement.mean < 0).length
  return `To keep good answers likely: ${best!.method} (${Format.signed(best!.best.displacement.mean)} nats on held-out chosen answers); ${below} of ${ranked.length} make them less likely.`
}

const forLength = (ranked: ReadonlyArray<Ranked>): ReadonlyArray<string> => {
  const change = ({ best }: Ranked) => Math.abs(best.length.mean)
  if (ranked.every((own) => change(own) < 1e-9)) return []
  const sorted = ranked.toSorted((a, b) => change(a) - change(b))
  const [least, most] = [sorted[0]!, sorted.at(-1)!]
  return [
    `To keep answers as long as they are: ${least.method} (${Format.signed(least.best.length.mean)} tokens); ${most.method} changes it most (${Format.signed(most.best.length.mean)}).`
  ]
}

const named = ({ best, method, parameter }: Ranked) =>
  parameter === null ? method : `${method} at ${parameter} ${best.strength}`

const list = (standings: ReadonlyArray<Standing>) => standings.map(({ method }) => method).join(", ")
