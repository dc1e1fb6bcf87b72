import { Schema } from "effect"
import * as Law from "../../../dsl/Law.ts"
import { Count, Probability, withDefault } from "../../../dsl/Params.ts"
import * as Rng from "../../../dsl/Rng.ts"
import { norm } from "../../../runtime/exact/numbers.ts"
import { normalVector } from "../../../runtime/exact/random.ts"
import { SeedNumber } from "../generated.ts"
import { type MakeWorld, Worlds } from "../Worlds.ts"

interface Params {
  readonly set: "training" | "attack" | "benign"
  readonly prompts: number
  readonly own: number
  readonly strong: number
  readonly candidates: number
  readonly styleOffset: readonly [number, number]
  readonly qualityOffset: number
  readonly unsafeOwn: number
  readonly unsafeStrong: number
}

const made =
  (params: Params): MakeWorld =>
  (rng) => {
    const { candidates, own, prompts, set, strong, unsafeOwn, unsafeStrong } = params
    const directions = { u: unit(6, rng.fork("safety")), v: unit(3, rng.fork("quality")) }
    const responses = Array.from({ length: prompts }, (_, p) =>
      Array.from({ length: set === "training" ? own + strong : candidates }, (_, i) => {
        const draws = rng.fork(set).fork(p).fork(i)
        const isStrong = set === "training" ? i >= own : draws.uniform(STRONG) < 0.25
        const unsafe = set === "benign" ? 0 : set === "attack" ? 0.6 : isStrong ? unsafeStrong : unsafeOwn
        return response(draws, isStrong, draws.uniform(UNSAFE) < unsafe, directions, params)
      })
    )
    const each = <A>(value: (of: Response, p: number, i: number) => A) =>
      responses.map((row, p) => row.map((of, i) => value(of, p, i)))
    return {
      reference: {
        family: {
          kind: "linear",
          base: each((_, p, i) => (set === "training" ? 0 : 0.5 * rng.fork(set).fork(p).fork(i).normal(LOGIT))),
          features: each(({ features }) => features)
        },
        theta: Array.from({ length: 11 }, () => 0)
      },
      rewards: [each(({ score }) => score), each(({ unsafe }) => (unsafe ? 1 : 0)), each(({ q }) => q)]
    }
  }

const SMALL: Params = {
  set: "training",
  prompts: 3,
  own: 3,
  strong: 2,
  candidates: 4,
  styleOffset: [2, 1.5],
  qualityOffset: 1,
  unsafeOwn: 0.55,
  unsafeStrong: 0.05
}

/**
 * Responses of two sources, the policy itself and a stronger model, as eleven features: style (2), safety (6), quality (3).
 * Policies are tilts of the reference by a linear function of them.
 * **Details** `u` and `v` are unit vectors drawn once. Of a response of source `strong` in {0, 1}: style `strong styleOffset +
 * 0.1 N`; safety `0.8 u + 0.7 N`, the sign of the first term minus where it is unsafe; `q = qualityOffset strong + 0.6 N`, quality
 * `0.5 q v + 0.15 N`. Unsafe with probability 0.55, or 0.05 if strong. Rewards: 0 that of a reward model, `safe + 0.25 q +
 * 0.35 N`; 1 whether unsafe; 2 `q`.
 * In the `training` set the responses to each prompt are `own` ones of the policy, then `strong` ones, all equally likely. In
 * `attack` and `benign` they are `candidates`, each strong with probability 0.25 and, under attack, unsafe with probability
 * 0.6 whatever its source, else safe; their reference logits are normal with deviation 0.5. Sets of one seed share `u` and `v`,
 * and draws do not depend on the offsets.
 */
export const sources = Worlds.define("sources", {
  module: import.meta.url,
  description: "Responses of a policy and of a stronger model as features",
  params: {
    set: Schema.Literals(["training", "attack", "benign"]).pipe(withDefault("training")),
    prompts: Count.pipe(withDefault(400)),
    own: Count.pipe(withDefault(6)),
    strong: Count.pipe(withDefault(2)),
    candidates: Count.pipe(withDefault(24)),
    styleOffset: Schema.Tuple([Schema.Finite, Schema.Finite]).pipe(withDefault([2, 1.5] as readonly [number, number])),
    qualityOffset: Schema.Finite.pipe(withDefault(1)),
    unsafeOwn: Probability.pipe(withDefault(0.55)),
    unsafeStrong: Probability.pipe(withDefault(0.05))
  },
  make: (params) => made(params),
  laws: [
    Law.make("the offsets of the stronger model change no label", SeedNumber, (seed) => {
      const plain = made({ ...SMALL, styleOffset: [0, 0], qualityOffset: 0 })(Rng.make(seed, "sources"))
      const cued = made(SMALL)(Rng.make(seed, "sources"))
      return JSON.stringify(plain.rewards![1]) === JSON.stringify(cued.rewards![1])
    }),
    Law.make("nothing benign is unsafe", SeedNumber, (seed) =>
      made({ ...SMALL, set: "benign" })(Rng.make(seed, "sources"))
        .rewards![1]!.flat()
        .every((unsafe) => unsafe === 0)
    )
  ]
})

/** Places of a response's draws: the first twelve are those of its features. */
const [QUALITY, SCORE, LOGIT, STRONG, UNSAFE] = [20, 21, 22, 23, 24] as const

interface Response {
  readonly features: ReadonlyArray<number>
  readonly unsafe: boolean
  readonly q: number
  readonly score: number
}

const response = (
  draws: Rng.Rng,
  strong: boolean,
  unsafe: boolean,
  { u, v }: { readonly u: Float64Array; readonly v: Float64Array },
  { qualityOffset, styleOffset }: { readonly qualityOffset: number; readonly styleOffset: readonly [number, number] }
): Response => {
  const q = (strong ? qualityOffset : 0) + 0.6 * draws.normal(QUALITY)
  const features = [
    ...styleOffset.map((offset, i) => (strong ? offset : 0) + 0.1 * draws.normal(i)),
    ...Array.from(u, (along, i) => (unsafe ? -0.8 : 0.8) * along + 0.7 * draws.normal(2 + i)),
    ...Array.from(v, (along, i) => 0.5 * q * along + 0.15 * draws.normal(8 + i))
  ]
  return { features, unsafe, q, score: (unsafe ? 0 : 1) + 0.25 * q + 0.35 * draws.normal(SCORE) }
}

const unit = (length: number, rng: Rng.Rng): Float64Array => {
  const vector = normalVector(length, rng)
  const size = norm(vector)
  return vector.map((value) => value / size)
}
