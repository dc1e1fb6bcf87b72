/** Values of the artifacts whose schemas say too little to make good ones from. */
import { Arbitrary, Schema } from "effect"
import { type Pair, PairLogProbsSet, Pairs, Prompts, Texts, TokenizerJson } from "../../dsl/artifacts.ts"
import * as Contract from "../../dsl/Contract.ts"
import { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import { ExactPolicyValue, WorldValue } from "../../dsl/exactArtifacts.ts"
import { Bandits } from "../exact/generated.ts"
import * as Tiny from "./tiny.ts"

/** A few of the records, from the first on. */
const some = <A>(records: ReadonlyArray<A>) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: records.length }))).pipe(
    Arbitrary.map((count) => records.slice(0, count))
  )

const phrase = Arbitrary.schema(
  Schema.Literals(["a", "the food was", "not so good", "the the the", " ", "ünïcödé 🙂", "line\nbreak", "</p> {0}"])
)

/** Up to four records of phrases. */
const phrased = <A>(record: (phrase: string, i: number) => A) =>
  Arbitrary.array(phrase, { maxLength: 4 }).pipe(Arbitrary.map((phrases) => phrases.map(record)))

const either = <A>(one: Arbitrary.Arbitrary<A>, other: Arbitrary.Arbitrary<A>) =>
  Arbitrary.flatMap(Arbitrary.schema(Schema.Boolean), (first) => (first ? one : other))

/** Fresh weights, flat and far from flat. */
const policies = Arbitrary.schema(Schema.Literals([1, 2, 3])).pipe(
  Arbitrary.map((seed) => Tiny.tinyPolicy(seed, seed === 1 ? 1 : 10))
)

export const texts = Contract.values(
  Texts,
  either(
    some(Tiny.texts),
    phrased((text, i) => ({ id: `t${i}`, text }))
  )
)
export const prompts = Contract.values(
  Prompts,
  either(
    some(Tiny.prompts),
    phrased((text, i) => ({ id: `p${i}`, text }))
  )
)
export const pairs = Contract.values(
  Pairs,
  either(
    some(Tiny.pairs),
    phrased(
      (text, i): Pair => ({
        id: `pair${i}`,
        prompt: { id: `p${i % 2}`, text: "the food" },
        chosen: { text, finish: "stop" },
        rejected: { text: ` bad${text}`, finish: i === 1 ? "length" : "stop" },
        margin: i / 2
      })
    )
  )
)
export const pairLogProbs = Contract.values(
  PairLogProbsSet,
  some(Tiny.pairs.map(({ id }, i) => ({ pair: id, chosen: [-1, -2 - i], rejected: [-3] })))
)
export const checkpoint = Contract.values(CheckpointFolder, policies)
export const tokenizer = Contract.values(TokenizerJson, Arbitrary.Constant(Tiny.tinyPolicy(1).tokenizer))
export const world = Contract.values(
  WorldValue,
  Arbitrary.map(Bandits, ({ world }) => world)
)
export const exactPolicy = Contract.values(
  ExactPolicyValue,
  Arbitrary.map(Bandits, ({ policy }) => policy)
)
