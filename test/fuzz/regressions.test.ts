/** What fuzzing found, each as its smallest input. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema, Stream } from "effect"
import * as Artifact from "../../dsl/Artifact.ts"
import { TokenizerJson } from "../../dsl/artifacts.ts"
import * as Json from "../../dsl/Json.ts"
import * as Safetensors from "../../dsl/Safetensors.ts"
import * as Llama from "../../runtime/models/Llama.ts"
import * as Action from "../../runtime/store/Action.ts"
import { sha256 } from "../../runtime/store/ArtifactRef.ts"
import { RecordInvalid } from "../../stages/load/File.ts"
import { keyOf } from "../runtime/store/scratch.ts"
import { bytesOf } from "./Target.ts"

const nested = (depth: number) => `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`

const source = (text: string): Artifact.FileSource => ({
  names: ["value.json"],
  open: () => Stream.succeed(bytesOf(text))
})

describe("JSON from outside", () => {
  it("nests no deeper than a walk over it bears", () => {
    assert.deepStrictEqual(Json.parseUnsafe(nested(128)), JSON.parse(nested(128)))
    assert.throws(() => Json.parseUnsafe(nested(129)), SyntaxError, "nested deeper than 128")
    assert.throws(() => Json.parseUnsafe(nested(20_000)), SyntaxError)
    const brackets = JSON.stringify({ text: '[{"\\'.repeat(500) })
    assert.deepStrictEqual(Json.parseUnsafe(brackets), JSON.parse(brackets))
    assert.lengthOf(Json.parseUnsafe(`[${"[],".repeat(500)}[]]`) as ReadonlyArray<Json.Json>, 501)
  })

  it("has no number that a double has not", () => {
    for (const [text, at] of [
      ["1e999", "the value"],
      ["[0,-1E+400]", "[1]"],
      [`{"a":{"b":${"9".repeat(310)}}}`, "a.b"]
    ] as const)
      assert.throws(() => Json.parseUnsafe(text), SyntaxError, `${at} is a number out of range`)
    assert.strictEqual(Json.parseUnsafe("1e308"), 1e308)
    assert.strictEqual(Json.parseUnsafe("1e-999"), 0)
    assert.deepStrictEqual(Json.parseUnsafe('["1e999"]'), ["1e999"])
  })
})

it.effect("an artifact that nests without end is invalid, and is compared with nothing", () =>
  Effect.gen(function* () {
    const deep = source(nested(20_000))
    assert.instanceOf(yield* Effect.flip(TokenizerJson.decode(deep)), Artifact.ArtifactInvalid)
    assert.instanceOf(yield* Effect.flip(TokenizerJson.compare(deep, deep)), Artifact.ArtifactInvalid)
  })
)

it("an entry of the action table that is no JSON counts as none, though its digest is right", () => {
  for (const body of ["", "{", '{"key":1,}', nested(20_000)])
    assert.isTrue(Option.isNone(Action.fromText(keyOf("x"), `{"sha256":"${sha256(body)}","action":${body}}\n`)))
})

it.effect("a configuration of more layers than any model has is refused before its tensors are listed", () =>
  Effect.gen(function* () {
    const config = {
      vocab_size: 8,
      hidden_size: 4,
      intermediate_size: 4,
      num_hidden_layers: 2 ** 52,
      num_attention_heads: 1,
      num_key_value_heads: 1,
      max_position_embeddings: 4
    }
    assert.match((yield* Effect.flip(Llama.decode(config))).message, /10000/)
    assert.strictEqual((yield* Llama.decode({ ...config, num_hidden_layers: 2 })).num_hidden_layers, 2)
  })
)

it("errors quote little of what they refuse, and keep all of it", () => {
  const detail = "x".repeat(20_000)
  for (const error of [
    new Safetensors.SafetensorsInvalid({ where: "header", problem: "header", detail }),
    new Artifact.ArtifactInvalid({ artifact: "texts", where: "line 1", problem: detail }),
    new RecordInvalid({ file: "a.jsonl", line: 1, problem: detail }),
    new Llama.ConfigInvalid({ problem: detail })
  ]) {
    assert.isBelow(error.message.length, 1200)
    assert.include(error.message, "(20000 characters in all)")
    assert.include(JSON.stringify(Schema.encodeUnknownSync(Schema.Any)({ ...error })), detail)
  }
})
