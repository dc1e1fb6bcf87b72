import { Effect, Result, Stream } from "effect"
import * as Artifact from "../../../dsl/Artifact.ts"
import * as Artifacts from "../../../dsl/artifacts.ts"
import { ExactPolicyValue, WorldValue } from "../../../dsl/exactArtifacts.ts"
import type * as Json from "../../../dsl/Json.ts"
import { tinyPolicy } from "../../stages/tinyPolicy.ts"
import type { Draws } from "../Draws.ts"
import { mutateBytes } from "../mutateBytes.ts"
import { mutateJson } from "../mutateJson.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const prompt = { id: "p1", text: "the food" }
const answer = (text: string) => ({ text, tokens: [3, 1, 2], finish: "stop" })
const scored = (text: string, score: number) => ({ ...answer(text), score })
const estimate = { mean: 0.5, low: 0.1, high: 0.9, count: 4 }
const softmax = { family: { kind: "softmax", contexts: 1, responses: 2 }, theta: [0.5, -0.5] }

/** Each kind of value with one value of it. */
const kinds: ReadonlyArray<readonly [Artifact.Any, Json.Json]> = [
  [Artifacts.Texts, { id: "t1", text: "so so", label: 1 }],
  [Artifacts.Prompts, prompt],
  [Artifacts.Completions, { prompt, completions: [answer(" was good"), answer("")] }],
  [Artifacts.Scored, { prompt, completions: [scored(" was good", 1.5), scored(" é", -0.25)] }],
  [
    Artifacts.Pairs,
    {
      id: "p1",
      prompt,
      chosen: answer(" a"),
      rejected: answer(" b"),
      margin: 0.5,
      others: { gold: { prompt, completion: answer(" c") } },
      numbers: { weight: 1 }
    }
  ],
  [Artifacts.Rankings, { prompt, ranked: [scored(" a", 2), scored(" b", 1)] }],
  [Artifacts.PairLogProbsSet, { pair: "p1", chosen: [-0.1, -2], rejected: [-1], others: { gold: [-3] } }],
  [
    Artifacts.EvaluationReport,
    {
      estimates: { "reward/mean": estimate },
      examples: [{ prompt: "a", reference: "b", referenceReward: 0, policy: "c", policyReward: 1 }]
    }
  ],
  [Artifacts.TokenizerJson, tinyPolicy(0).tokenizer as Json.JsonObject],
  [ExactPolicyValue, softmax],
  [
    WorldValue,
    {
      reference: softmax,
      rewards: [[[1, 0]]],
      preferences: [
        [
          [0.5, 0.7],
          [0.3, 0.5]
        ]
      ]
    }
  ]
]

const fileName = (artifact: Artifact.Any) => (artifact.kind === "records" ? "records.jsonl" : "value.json")

const encoded = ([artifact, value]: (typeof kinds)[number], draws: Draws): Uint8Array => {
  const line = () => (draws.chance(0.7) ? mutateJson(value, draws) : JSON.stringify(value))
  const text =
    artifact.kind === "records" ? [line(), line(), ""].join(draws.pick(["\n", "\n", "\n\n", "\r\n"])) : line()
  return draws.chance(0.2) ? mutateBytes(bytesOf(text), draws) : bytesOf(text)
}

const source = (name: string, bytes: Uint8Array): Artifact.FileSource => ({
  names: [name],
  open: (asked) =>
    asked === name
      ? Stream.succeed(bytes)
      : Stream.fail(new Artifact.ArtifactUnreadable({ file: asked, cause: new Error("no such file") }))
})

/** What was decoded, written again. */
const rewritten = Effect.fnUntraced(function* (artifact: Artifact.Any, files: Artifact.FileSource) {
  const value: unknown = yield* artifact.decode(files)
  const produced = artifact.kind === "records" ? (value as Artifact.Records<unknown>).stream : Effect.succeed(value)
  const encoded = artifact.encode(produced as Artifact.Output<Artifact.Any, Artifact.DecodeError, never>)
  const [file] = yield* Stream.runCollect(encoded)
  return Uint8Array.from(Buffer.concat(yield* Stream.runCollect(file!.bytes)))
})

/** What is decoded is encoded to bytes that stay the same from then on, and equals what it was decoded from. */
export const artifacts: Target = {
  name: "artifacts",
  weight: 14,
  refuses: ["ArtifactInvalid"],
  make: (draws) => {
    const which = draws.int(kinds.length)
    return { kind: Uint8Array.of(which), file: encoded(kinds[which]!, draws) }
  },
  read: ({ file, kind }) =>
    Effect.gen(function* () {
      const [artifact] = kinds[kind![0]!]!
      const name = fileName(artifact)
      const files = source(name, file!)
      const compared = yield* Effect.result(artifact.compare(files, files))
      const first = yield* rewritten(artifact, files)
      holds(Result.isSuccess(compared) && compared.success._tag === "None", "a value equals itself")
      const second = yield* rewritten(artifact, source(name, first))
      holds(Buffer.from(first).equals(second), `bytes settle: ${textOf(first)} became ${textOf(second)}`)
      holds(!("polluted" in {}), "leaves prototypes alone")
    })
}
