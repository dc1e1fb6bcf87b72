import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Schema, Stream } from "effect"
import { expectTypeOf } from "vitest"
import * as Artifact from "../../dsl/Artifact.ts"
import * as Component from "../../dsl/Component.ts"
import type * as Node from "../../dsl/Node.ts"
import { withDefault } from "../../dsl/Params.ts"
import * as Pipeline from "../../dsl/Pipeline.ts"
import * as Stage from "../../dsl/Stage.ts"

const module = import.meta.url
const Lines = Artifact.records("lines", Schema.String)
const Words = Artifact.records("words", Schema.String)
const Total = Artifact.value("total", Schema.Int)

class ReadFailed extends Schema.TaggedError<ReadFailed>()("ReadFailed", {}) {}
class CountFailed extends Schema.TaggedError<CountFailed>()("CountFailed", {}) {}
class Disk extends Context.Service<Disk, { readonly lines: ReadonlyArray<string> }>()("test/Disk") {}
class Abacus extends Context.Service<Abacus, { readonly add: (a: number, b: number) => number }>()("test/Abacus") {}

const Weighting = Component.kind<(word: string) => number>()("weighting")
const byLength = Weighting.define("by-length", {
  module,
  description: "The number of characters",
  params: { factor: Schema.Finite.pipe(withDefault(1)) },
  make:
    ({ factor }) =>
    (word) =>
      factor * word.length
})

const read = Stage.make({
  name: "read",
  description: "Lines from a disk",
  module,
  params: { path: Schema.String },
  output: Lines,
  run: ({ params }) =>
    Stream.unwrap(
      Disk.use((disk) =>
        params.path === "" ? Effect.fail(new ReadFailed()) : Effect.succeed(Stream.fromIterable(disk.lines))
      )
    )
})
const split = Stage.make({
  name: "split",
  description: "Words of lines",
  module,
  params: { separator: Schema.String.pipe(withDefault(" ")) },
  input: Lines,
  output: Words,
  run: ({ input, params }) => Stream.flatMap(input.stream, (line) => Stream.fromIterable(line.split(params.separator)))
})
const total = Stage.make({
  name: "total",
  description: "The weight of all words",
  module,
  params: { weighting: Weighting.schema },
  input: Words,
  inputs: { stopWords: Stage.optional(Words), dictionary: Words },
  output: Total,
  run: ({ input, params }) =>
    Effect.gen(function* () {
      const abacus = yield* Abacus
      const sum = yield* Stream.runFold(
        input.stream,
        () => 0,
        (sum, word) => abacus.add(sum, params.weighting.implementation(word))
      )
      return sum > 1e6 ? yield* new CountFailed() : Math.round(sum)
    })
})

describe("the types of the DSL", () => {
  const lines = read({ path: "a" })
  const words = lines.pipe(split())

  it("collect errors and services along the pipe and across further inputs", () => {
    expectTypeOf<Node.Error<typeof lines>>().toEqualTypeOf<ReadFailed>()
    expectTypeOf<Node.Services<typeof lines>>().toEqualTypeOf<Disk>()
    const sum = words.pipe(total({ weighting: byLength(), dictionary: words }))
    expectTypeOf<Node.Error<typeof sum>>().toEqualTypeOf<
      ReadFailed | CountFailed | Artifact.ArtifactInvalid | Artifact.ArtifactUnreadable
    >()
    expectTypeOf<Node.Services<typeof sum>>().toEqualTypeOf<Disk | Abacus>()
    const pipeline = Pipeline.make("count", { description: "", params: {} }, () => ({ sum }))
    expectTypeOf<Pipeline.Services<typeof pipeline>>().toEqualTypeOf<Disk | Abacus>()
  })

  it("refuse wrong compositions", () => {
    const wrong = () => {
      // @ts-expect-error lines are not words
      lines.pipe(total({ weighting: byLength(), dictionary: words }))
      // @ts-expect-error the dictionary is missing
      words.pipe(total({ weighting: byLength() }))
      // @ts-expect-error the dictionary must be words
      words.pipe(total({ weighting: byLength(), dictionary: lines }))
      // @ts-expect-error the path is missing
      read()
      // @ts-expect-error a path is a string
      read({ path: 1 })
      // @ts-expect-error no such parameter
      read({ path: "a", pathh: "b" })
      // @ts-expect-error not a component
      words.pipe(total({ weighting: "by-length", dictionary: words }))
    }
    assert.isFunction(wrong)
  })
})
