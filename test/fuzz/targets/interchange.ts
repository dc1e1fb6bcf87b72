import { Effect, Result, Stream } from "effect"
import * as Json from "../../../dsl/Json.ts"
import * as ChatTemplate from "../../../runtime/interchange/ChatTemplate.ts"
import * as Parquet from "../../../runtime/interchange/Parquet.ts"
import * as Trl from "../../../runtime/interchange/Trl.ts"
import type { Draws } from "../Draws.ts"
import { mutateBytes } from "../mutateBytes.ts"
import { mutateJson } from "../mutateJson.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const turns = [
  { role: "system", content: "be kind" },
  { role: "user", content: "hi" }
]
const said = (content: string) => [{ role: "assistant", content }]

/** One row of each of TRL's types, plain and conversational. */
const rows: ReadonlyArray<Json.JsonObject> = [
  { text: "so it goes" },
  { messages: [...turns, ...said("hello")] },
  { prompt: "the food", extra: [1, { a: null }] },
  { prompt: turns },
  { prompt: turns, completion: said(" was good") },
  { prompt: "a", chosen: "b", rejected: "c", margin: 0.5 },
  { chosen: [...turns, ...said("yes")], rejected: [...turns, ...said("no")], tools: [{ name: "f" }] },
  { prompt: "a", completion: "b", label: true },
  { prompt: "a", completions: ["b", "c"], labels: [true, false] }
]

/** A row is of a type, and is written as what is read again as the same, or it is refused. */
export const trl: Target = {
  name: "TRL rows",
  weight: 8,
  refuses: ["NoJson", "RowInvalid"],
  make: (draws) => ({ row: bytesOf(mutateJson(draws.pick(rows), draws)) }),
  read: ({ row }) =>
    Effect.gen(function* () {
      const json = yield* Effect.try({
        try: () => Json.parseUnsafe(textOf(row!)),
        catch: (cause) => ({ _tag: "NoJson", message: String(cause) })
      })
      const example = yield* Trl.decode(json)
      const again = yield* Effect.orDie(Trl.decode(Trl.encode(example)))
      holds(Json.canonicalUnsafe(again) === Json.canonicalUnsafe(example), "a row is written as it was read")
    })
}

const FOOTER_END = 8

/** A Parquet file whose metadata, which stands at the end, or whose pages are damaged. */
const parquetFile = (bytes: Uint8Array, draws: Draws): Uint8Array => {
  if (draws.chance(0.3)) return mutateBytes(bytes, draws)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const footer = view.getUint32(bytes.length - FOOTER_END, true)
  const at = bytes.length - FOOTER_END - footer
  const damaged = mutateBytes(bytes.slice(at, at + footer), draws)
  const stated = new Uint8Array(4)
  new DataView(stated.buffer).setUint32(0, draws.chance(0.9) ? damaged.length : draws.int(2 ** 32), true)
  return Uint8Array.from(Buffer.concat([bytes.subarray(0, at), damaged, stated, bytes.subarray(bytes.length - 4)]))
}

const tables: ReadonlyArray<ReadonlyArray<Json.JsonObject>> = [
  Array.from({ length: 5 }, (_, i) => ({ prompt: `p${i}`, chosen: " good".repeat(9), rejected: null, margin: i / 3 })),
  [{ messages: [...turns, ...said("hello")] }, { messages: said("é🙂") }],
  [{ prompt: "a", completions: ["b", "c"], labels: [true, false], rest: { a: [1, null] }, n: 3 }]
]

const written = tables.map((table) => Effect.runPromise(Parquet.write(table)))
const files = await Promise.all(written)

const sourceOf = (bytes: Uint8Array): Parquet.Source => ({
  byteLength: bytes.length,
  slice: async (start, end = bytes.length) => {
    if (start < 0 || end < start || end > bytes.length) throw new Error(`bytes ${start} to ${end} of ${bytes.length}`)
    return Uint8Array.from(bytes.subarray(start, end)).buffer
  }
})

/** Rows are those that can be written and read again, or the file is refused. */
export const parquet: Target = {
  name: "Parquet",
  weight: 8,
  refuses: ["ParquetInvalid"],
  make: (draws) => ({ file: parquetFile(draws.pick(files), draws) }),
  read: ({ file }) =>
    Effect.gen(function* () {
      const read = yield* Stream.runCollect(Parquet.rows(sourceOf(file!)))
      const found = read.map(([row]) => row)
      const bytes = yield* Effect.result(Parquet.write(found))
      if (Result.isFailure(bytes)) return // rows without columns
      const again = yield* Effect.orDie(Stream.runCollect(Parquet.rows(sourceOf(bytes.success))))
      holds(again.length === found.length, "as many rows are written as were read")
    })
}

const TEMPLATE =
  "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}<|user|>{{ message['content'] | trim }}" +
  "{% elif message.role == 'assistant' %}<|assistant|>{{ message.content }}{{ eos_token }}{% else %}{{ message }}{% endif %}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"

const TAGS = [
  ...[
    "{% set x = messages %}",
    "{{ messages[0] }}",
    "{{ undefined_name.y }}",
    "{% generation %}",
    "{{ message.role * 2 }}"
  ],
  ...[
    "{{ ''.constructor.constructor('return process')() }}",
    "{{ messages | map(attribute='role') | list }}",
    "{# x #}"
  ],
  ...[
    "{{ raise_exception('no') }}",
    "{{ messages.__proto__ }}",
    "{{ {}.constructor }}",
    "{{ tools | tojson }}",
    "text é"
  ],
  ...[
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1) }}",
    "{{ strftime_now('%Y') }}",
    "{{ 1 / 0 }}",
    "{{ namespace(a=1).a }}"
  ],
  ...[
    "{% for x in range(20) %}{{ loop.index }}{% endfor %}",
    "{{ message | length }}",
    "{{ messages[-1:] }}",
    "{% if x %}"
  ]
]

const WORDS = [
  ...["{{", "}}", "{%", "%}", "{#", "#}", "-%}", "{%-", "|", "(", ")", "[", "]", "'", '"', ".", ",", "=", "==", "~"],
  ...["for", "in", "if", "else", "endif", "endfor", "set", "macro", "endmacro", "not", "is", "defined", "none", "loop"],
  ...[
    "messages",
    "message",
    "content",
    "__proto__",
    "constructor",
    "raise_exception('no')",
    "tojson",
    "length",
    "upper"
  ],
  ...[
    "{% set x = messages %}",
    "{{ messages[0] }}",
    "{{ undefined_name.y }}",
    "{% generation %}",
    "1 / 0",
    "-1",
    "\ud800"
  ],
  ...["{{ ''.constructor.constructor('return process')() }}", "{{ messages | map(attribute='role') | list }}", "\u0000"]
]

const template = (draws: Draws): string => {
  // Between whole tags a template often stays one; between words it hardly does.
  const [parts, words] = draws.chance(0.5)
    ? [TEMPLATE.split(/(?=\{[{%])|(?<=[%}]\})/), TAGS]
    : [TEMPLATE.split(/(?<=[%}{ ])/), WORDS]
  for (let left = 1 + draws.int(4); left > 0; left--) {
    const at = draws.int(parts.length)
    const word = draws.pick(words)
    if (draws.chance(0.4)) parts.splice(at, 0, word)
    else if (draws.chance(0.5)) parts.splice(at, 1, word)
    else parts.splice(at, 1 + draws.int(3))
  }
  if (draws.chance(0.02)) return draws.pick(["{{ (", "{% if x %}", "{{ ["]).repeat(draws.pick([100, 5000]))
  return parts.join("")
}

/** A template renders a conversation, or says why not. */
export const chatTemplate: Target = {
  name: "chat templates",
  weight: 6,
  refuses: ["ChatTemplateFailed", "NoJson", "RowInvalid"],
  make: (draws) => {
    const config = { chat_template: template(draws), bos_token: "<s>", eos_token: { content: "</s>" } }
    const row = draws.pick(rows.filter((row) => row["prompt"] === turns || row["messages"] !== undefined))
    return {
      config: bytesOf(draws.chance(0.2) ? mutateJson(config, draws) : JSON.stringify(config)),
      row: bytesOf(draws.chance(0.3) ? mutateJson(row, draws) : JSON.stringify(row))
    }
  },
  read: ({ config, row }) =>
    Effect.gen(function* () {
      const parsed = (bytes: Uint8Array) =>
        Effect.try({
          try: () => Json.parseUnsafe(textOf(bytes)),
          catch: (cause) => ({ _tag: "NoJson", message: String(cause) })
        })
      const template = yield* ChatTemplate.fromConfig((yield* parsed(config!)) as Json.JsonObject)
      const example = yield* Trl.decode(yield* parsed(row!))
      const plain = yield* ChatTemplate.apply(template, example)
      holds(
        !textOf(bytesOf(JSON.stringify(plain))).includes("[object process]"),
        "templates see nothing of the process"
      )
      holds(!("polluted" in {}), "leaves prototypes alone")
    })
}
