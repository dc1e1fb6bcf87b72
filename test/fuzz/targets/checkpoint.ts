import { Effect, type Schema } from "effect"
import * as Checkpoint from "../../../dsl/Checkpoint.ts"
import type * as Json from "../../../dsl/Json.ts"
import * as Llama from "../../../runtime/models/Llama.ts"
import * as Tokenizer from "../../../runtime/models/Tokenizer.ts"
import { tinyPolicy } from "../../stages/tinyPolicy.ts"
import type { Draws } from "../Draws.ts"
import { mutateBytes } from "../mutateBytes.ts"
import { mutateJson } from "../mutateJson.ts"
import { bytesOf, type Case, holds, type Target, textOf } from "../Target.ts"

const policy: Checkpoint.Checkpoint = {
  ...tinyPolicy(0),
  tokenizerConfig: { bos_token: "<|bos|>", eos_token: { content: "<|eos|>" }, chat_template: "{{ messages }}" },
  trainerState: { global_step: 3, log_history: [{ loss: 0.7, step: 1 }] }
}

const files: Case = Object.fromEntries(
  Checkpoint.toFiles(policy).map(({ bytes, name }) => [name, Uint8Array.from(Buffer.concat([...bytes]))])
)

const damaged = (name: string, bytes: Uint8Array, draws: Draws) =>
  name.endsWith(".json") && draws.chance(0.8)
    ? bytesOf(mutateJson(JSON.parse(textOf(bytes)) as Json.Json, draws))
    : mutateBytes(bytes, draws)

/** One or two files of a model's folder damaged, left out, or put where another belongs; and weights in pieces. */
const folder = (draws: Draws): Case => {
  const made: Record<string, Uint8Array> = { ...files }
  const names = Object.keys(files)
  for (let left = 1 + draws.int(2); left > 0; left--) {
    const name = draws.chance(0.35) ? "config.json" : draws.pick(names)
    if (draws.chance(0.1)) delete made[name]
    else if (draws.chance(0.05)) made[name] = files[draws.pick(names)]!
    else made[name] = damaged(name, files[name]!, draws)
  }
  if (draws.chance(0.05)) made["model.safetensors.index.json"] = bytesOf('{"weight_map":{"a":"../../x"}}')
  return made
}

const SAMPLES = ["the food was good", "<|eos|>", "\ud800 é🙂\n", ""]

export const checkpoint: Target = {
  name: "checkpoint folder",
  weight: 6,
  refuses: ["CheckpointInvalid", "ConfigInvalid", "ModelInvalid", "TokenizerInvalid"],
  make: folder,
  read: (input) =>
    Effect.gen(function* () {
      const read = yield* Checkpoint.fromFiles(new Map(Object.entries(input)))
      const again = yield* Checkpoint.fromFiles(new Map(Checkpoint.toFiles(read).map(asBytes)))
      for (const part of ["config", "tokenizer", "tokenizerConfig", "trainerState"] as const)
        holds(JSON.stringify(read[part]) === undefined || same(read[part], again[part]), `${part} is kept`)
      const config = yield* Llama.decode(read.config)
      yield* Llama.validate(config, read.weights)
      const tokenizer = yield* Tokenizer.fromJson(read.tokenizer, read.tokenizerConfig)
      for (const text of SAMPLES) tokenizer.decode(tokenizer.encode(text))
    })
}

const asBytes = ({ bytes, name }: Checkpoint.File) => [name, Uint8Array.from(Buffer.concat([...bytes]))] as const
const canonical = (value: Schema.Json | undefined): string =>
  JSON.stringify(value, (_, member) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : Object.is(member, -0)
        ? "-0"
        : member
  ) ?? "absent"
const same = (a: Schema.Json | undefined, b: Schema.Json | undefined) => canonical(a) === canonical(b)

/** The tokenizer alone, whose parts are many: what it accepts it can use. */
export const tokenizer: Target = {
  name: "tokenizer.json",
  weight: 6,
  refuses: ["CheckpointInvalid", "TokenizerInvalid"],
  make: (draws) => ({
    ...files,
    "tokenizer.json": bytesOf(mutateJson(policy.tokenizer as Json.JsonObject, draws)),
    "tokenizer_config.json": draws.chance(0.3)
      ? bytesOf(mutateJson(policy.tokenizerConfig as Json.JsonObject, draws))
      : files["tokenizer_config.json"]!
  }),
  read: (input) =>
    Effect.gen(function* () {
      const read = yield* Checkpoint.fromFiles(new Map(Object.entries(input)))
      const made = yield* Tokenizer.fromJson(read.tokenizer, read.tokenizerConfig)
      for (const text of SAMPLES) {
        const ids = made.encode(text)
        holds(
          ids.every((id) => id < made.vocabSize && made.tokenOf(id) !== undefined),
          "texts become tokens that there are"
        )
        made.decode(ids)
      }
    })
}
