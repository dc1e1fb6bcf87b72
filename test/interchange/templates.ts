/** Chat templates in the manners that models use, and conversations to render. */
const user = (content: string) => ({ role: "user", content })
const assistant = (content: string) => ({ role: "assistant", content })

export const templates = [
  {
    name: "marked turns",
    template:
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
  },
  {
    name: "special tokens, trimmed contents, alternating roles",
    template: `{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = '<<SYS>>\\n' + messages[0]['content'].strip() + '\\n<</SYS>>\\n\\n' %}{% else %}{% set loop_messages = messages %}{% set system_message = '' %}{% endif %}
{%- for message in loop_messages -%}
  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
    {{ raise_exception('roles must alternate') }}
  {%- endif -%}
  {%- if loop.index0 == 0 -%}{%- set content = system_message + message['content'] -%}{%- else -%}{%- set content = message['content'] -%}{%- endif -%}
  {%- if message['role'] == 'user' -%}
    {{ '[INST] ' + content.strip() + ' [/INST]' }}
  {%- elif message['role'] == 'assistant' -%}
    {{ ' ' + content.strip() + ' ' + eos_token }}
  {%- endif -%}
{%- endfor -%}`
  },
  {
    name: "tools as JSON, calls of tools, a reasoning tag",
    template: `{%- if tools is not none and tools %}
    {{- '<tools>' }}
    {%- for tool in tools %}
        {{- tool | tojson }}
    {%- endfor %}
    {{- '</tools>\\n' }}
{%- endif %}
{%- set ns = namespace(count=0) %}
{%- for message in messages %}
    {%- set ns.count = ns.count + 1 %}
    {%- if message.tool_calls is defined and message.tool_calls %}
        {{- ns.count ~ ':' ~ (message.tool_calls[0].function | tojson(indent=2)) ~ eos_token }}
    {%- elif message.content is string %}
        {{- ns.count ~ ':' ~ message.role|title ~ ': ' ~ message.content ~ eos_token }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- 'Assistant: <think>' }}
{%- endif %}`
  }
]

const tools = [
  {
    type: "function",
    function: {
      name: "light",
      description: "Größe & <b>",
      parameters: { type: "object", properties: { on: { type: "boolean" } } }
    }
  }
]

export const conversations: ReadonlyArray<{
  readonly example: Record<string, any>
  readonly tools?: ReadonlyArray<object>
}> = [
  { example: { messages: [user("What color is the sky?"), assistant("It is blue.")] } },
  { example: { messages: [{ role: "system", content: "Be brief. " }, user(" hi\n"), assistant("né 🙂")] } },
  { example: { prompt: [user("What color is the sky?")] } },
  { example: { prompt: [user("Count."), assistant("One, two")] } },
  { example: { prompt: [user("Count."), assistant("One, two ")] } },
  { example: { prompt: [{ role: "system", content: "no user" }] } },
  { example: { prompt: [user("a")], completion: [assistant("b")] } },
  { example: { prompt: [user("a")], chosen: [assistant(" blue")], rejected: [assistant("")] } },
  { example: { prompt: [user("a")], completion: [assistant("b")], label: true } },
  { example: { chosen: [user("a"), assistant("b")], rejected: [user("a"), assistant("c")] } },
  {
    example: {
      messages: [
        user("On!"),
        {
          role: "assistant",
          content: "",
          tool_calls: [{ type: "function", function: { name: "light", arguments: { on: true } } }]
        },
        { role: "tool", name: "light", content: "done" },
        assistant("Done.")
      ]
    },
    tools
  },
  { example: { prompt: [user("On!")], completion: [assistant("ok")] }, tools }
]

/** Pairs whose answers begin alike; none that make `trl.extract_prompt` fail (an empty answer) or count from the end. */
export const IMPLICIT: ReadonlyArray<{ readonly chosen: any; readonly rejected: any }> = [
  { chosen: "The sky is blue.", rejected: "The sky is green." },
  { chosen: "so 🙂 x", rejected: "so 🙂 y" },
  { chosen: "so 🙂", rejected: "so 🙃" },
  { chosen: "ab", rejected: "abc" },
  { chosen: "same", rejected: "same" },
  { chosen: "a", rejected: "b" },
  { chosen: [user("q"), assistant("a")], rejected: [user("q"), assistant("b")] },
  { chosen: [user("q"), assistant("a")], rejected: [user("r"), assistant("a")] },
  {
    chosen: [user("q"), assistant("a"), user("more"), assistant("x")],
    rejected: [user("q"), assistant("a"), user("more"), assistant("y")]
  }
]
