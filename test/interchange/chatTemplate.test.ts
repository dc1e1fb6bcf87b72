/** Chat templates in the manners that models use, and the texts that they make, written out. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { JsonObject } from "../../dsl/Json.ts"
import * as ChatTemplate from "../../runtime/interchange/ChatTemplate.ts"
import * as Trl from "../../runtime/interchange/Trl.ts"
import { templates } from "./templates.ts"

const system = { role: "system", content: " Be brief. " }
const user = (content: string) => ({ role: "user", content })
const assistant = (content: string) => ({ role: "assistant", content })
const dialogue = [system, user("Hi!\n"), assistant("Hello.")]

const CHATML = templates[0]!.template
const BRACKETS = templates[1]!.template
/** Roles in a header, contents trimmed, everything after a begin token; the date is the template's own where none is told. */
const HEADERS = `{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}`

const headers = (role: string, content: string) => `<|start_header_id|>${role}<|end_header_id|>\n\n${content}<|eot_id|>`
const today = (date: string) => `<|begin|>${headers("system", `Today Date: ${date}\n\nBe brief.`)}`

const specials = { bos_token: "<|begin|>", eos_token: { content: "<|end|>" } }
const of = (chat_template: string) => ChatTemplate.fromConfig({ ...specials, chat_template })

const begun = { addGenerationPrompt: true }
const open = { continueFinalMessage: true }
const whole: ReadonlyArray<readonly [name: string, template: string, options: ChatTemplate.Options, expected: string]> =
  [
    [
      "ChatML",
      CHATML,
      {},
      "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\nHi!\n<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n"
    ],
    [
      "ChatML, an answer begun",
      CHATML,
      begun,
      "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\nHi!\n<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>assistant\n"
    ],
    [
      "ChatML, the last message gone on with",
      CHATML,
      open,
      "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\nHi!\n<|im_end|>\n<|im_start|>assistant\nHello."
    ],
    [
      "brackets, as Llama 2",
      BRACKETS,
      {},
      "<|begin|>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi! [/INST] Hello. <|end|>"
    ],
    [
      "brackets, the last message gone on with",
      BRACKETS,
      open,
      "<|begin|>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi! [/INST] Hello."
    ],
    [
      "headers, as Llama 3",
      HEADERS,
      begun,
      `${today("26 Jul 2024")}${headers("user", "Hi!")}${headers("assistant", "Hello.")}<|start_header_id|>assistant<|end_header_id|>\n\n`
    ],
    [
      "headers, with a variable",
      HEADERS,
      { variables: { date_string: "1 Jan 2000" } },
      `${today("1 Jan 2000")}${headers("user", "Hi!")}${headers("assistant", "Hello.")}`
    ]
  ]

describe("a chat template", () => {
  it.effect.each(whole)("(%s) renders as written", ([, template, options, expected]) =>
    Effect.gen(function* () {
      const { render } = yield* of(template)
      assert.strictEqual(yield* render(dialogue, options), expected)
      assert.strictEqual(yield* render(dialogue, options), expected) // nothing stays from the last time
    })
  )

  it.effect("sees tools, and among named ones there is one for them", () =>
    Effect.gen(function* () {
      const tools = [{ type: "function", function: { name: "light", description: "Größe & <b>" } }]
      const { render } = yield* of(templates[2]!.template)
      assert.strictEqual(
        yield* render([user("On!")], { tools, addGenerationPrompt: true }),
        '<tools>{"type": "function", "function": {"name": "light", "description": "Größe & <b>"}}</tools>\n1:User: On!<|end|>Assistant: <think>'
      )
      const named = yield* ChatTemplate.fromConfig({
        chat_template: [
          { name: "default", template: "plain" },
          { name: "tool_use", template: "{{ tools | length }}" }
        ]
      })
      assert.deepEqual([yield* named.render([user("")]), yield* named.render([user("")], { tools })], ["plain", "1"])
    })
  )

  it.effect("makes plain records of conversational ones", () =>
    Effect.gen(function* () {
      const chat = yield* of(BRACKETS)
      const made = function* (row: JsonObject) {
        return Trl.encode(yield* ChatTemplate.apply(chat, yield* Trl.decode(row)))
      }
      assert.deepEqual(
        yield* made({ prompt: [user("a")], chosen: [assistant("b")], rejected: [assistant("c")], n: 1 }),
        {
          prompt: "<|begin|>[INST] a [/INST]",
          chosen: " b <|end|>",
          rejected: " c <|end|>",
          n: 1
        }
      )
      assert.deepEqual(yield* made({ prompt: [user("a")] }), { prompt: "<|begin|>[INST] a [/INST]" })
      assert.deepEqual(yield* made({ prompt: "plain" }), { prompt: "plain" })
    })
  )

  const refused: ReadonlyArray<readonly [name: string, config: JsonObject, said: string]> = [
    ["that is missing", {}, "has no chat_template"],
    ["that does not parse", { chat_template: "{% if x %}" }, "chat template: "],
    ["that is a number", { chat_template: 3 }, "tokenizer_config.json: "],
    ["none of which is the default", { chat_template: [{ name: "rag", template: "" }] }, "there are rag"],
    [
      "that refuses the conversation",
      { chat_template: "{{ raise_exception('content: only one turn') }}" },
      "only one turn"
    ],
    ["that asks for the time", { chat_template: "{{ strftime_now('%Y') }}" }, "chat template: "],
    ["that sees no content", { chat_template: "x" }, "does not read the content"]
  ]
  it.effect.each(refused)("%s is an error that says so", ([, config, said]) =>
    Effect.gen(function* () {
      const rendered = Effect.flatMap(ChatTemplate.fromConfig(config), ({ render }) => render(dialogue, open))
      const error = yield* Effect.flip(rendered)
      assert.strictEqual(error._tag, "ChatTemplateFailed")
      assert.include(error.message, said)
    })
  )
})
