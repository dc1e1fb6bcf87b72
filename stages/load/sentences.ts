import { createHash } from "node:crypto"
import { Effect, Schema, Stream } from "effect"
import { type Text, Texts } from "../../dsl/artifacts.ts"
import { Probability, withDefault } from "../../dsl/Params.ts"
import * as Stage from "../../dsl/Stage.ts"
import * as Package from "./Package.ts"
import { select, selectionFields } from "./selection.ts"

const PACKAGE = "sentiment"
const SOURCES = ["amazon", "imdb", "yelp"] as const

/** The last element of each file is a stopper without a class. */
const Labelled = Schema.fromJsonString(
  Schema.Array(Schema.Struct({ text: Schema.String, class: Schema.NullOr(Schema.Literals([0, 1])) }))
)

/**
 * Loads sentences of product, film and restaurant reviews, labelled 0 (negative) or 1 (positive).
 * **Details** 3,000 sentences, half of them positive; repeated ones (case and spacing aside) are dropped, the first kept.
 * Which side of the split a sentence falls on is decided by a hash of its text, never by its place, so it holds for
 * every parameter and every version; about `testShare` of them are `test`. Ids are `<source>/<hash>`. All texts are
 * held, to find the repeated ones.
 * **Source** Kotzias et al. 2015, "From group to individual labels using deep features", CC BY 4.0; as the test fixtures
 * of npm `sentiment`, whose version enters the key.
 *
 * @example
 * ```ts
 * import { Pipeline } from "prefline/dsl"
 * import { load } from "prefline/stages"
 *
 * export default Pipeline.make("loaded", { description: "An example", params: {} }, () => {
 *   const texts = load.sentences({ split: "train", lowercase: true })
 *   return { prompts: texts.pipe(load.prefixes({ words: 3, limit: 100 })) }
 * })
 * ```
 */
export const sentences = Stage.make({
  name: "load.sentences",
  description: "Sentences of reviews, labelled by sentiment",
  module: import.meta.url,
  params: {
    split: Schema.Literals(["train", "test", "all"]).pipe(withDefault("all")),
    testShare: Probability.pipe(withDefault(0.2)),
    sources: Schema.NonEmptyArray(Schema.Literals(SOURCES)).pipe(withDefault([...SOURCES])),
    ...selectionFields
  },
  output: Texts,
  source: { params: [], fingerprint: () => Package.fingerprint(PACKAGE) },
  run: ({ params }) =>
    Stream.suspend(() => {
      const seen = new Set<string>()
      return Stream.fromIterable(params.sources).pipe(
        Stream.mapEffect((source) => read(source)),
        Stream.flattenIterable,
        Stream.filter(({ hash }) => !seen.has(hash) && seen.add(hash) !== undefined),
        Stream.filter(({ hash }) => params.split === "all" || splitOf(hash, params.testShare) === params.split),
        Stream.map(({ text }) => text),
        select(params)
      )
    })
})

interface Hashed {
  readonly text: Text
  readonly hash: string
}

const read = Effect.fnUntraced(function* (source: (typeof SOURCES)[number]) {
  const path = `test/fixtures/${source}.json`
  const content = yield* Package.text(yield* Package.find(PACKAGE), path)
  const labelled = yield* Schema.decodeUnknownEffect(Labelled)(content).pipe(
    Effect.mapError(
      (issue) => new Package.PackageMissing({ package: PACKAGE, problem: `has another ${path}: ${issue.message}` })
    )
  )
  return labelled.flatMap(({ class: label, text: raw }): ReadonlyArray<Hashed> => {
    const text = printable(raw)
    if (label === null || text === "") return []
    const hash = createHash("sha256").update(text.toLowerCase()).digest("hex")
    return [{ hash, text: { id: `${source}/${hash.slice(0, 16)}`, text, label } }]
  })
})

/** Dashes and dots out of Windows-1252, where the files kept them as control characters; single spaces. */
const printable = (text: string) =>
  text
    .replaceAll("\u0085", "...")
    .replace(/[\u0096\u0097]/g, "-")
    .replace(/\s+/g, " ")
    .trim()

/** The first 48 bits of the hash as a fraction of 1. */
const splitOf = (hash: string, testShare: number) =>
  Number.parseInt(hash.slice(0, 12), 16) / 2 ** 48 < testShare ? "test" : "train"
