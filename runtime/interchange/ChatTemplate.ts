/**
 * Conversations as the text that a model was trained on, by the chat template that its tokenizer carries: a Jinja text.
 *
 * **Source** `apply_chat_template` of transformers 5 and of TRL 1.
 */
import { Environment, Interpreter, Template } from "@huggingface/jinja"
import { Effect, Schema } from "effect"
import { brief } from "../../dsl/internal/brief.ts"
import type { JsonObject } from "../../dsl/Json.ts"
import { joined } from "./convert.ts"
import type * as Trl from "./Trl.ts"

/** A template that is missing or malformed, or that refuses a conversation. Never transient. */
export class ChatTemplateFailed extends Schema.TaggedError<ChatTemplateFailed>()("ChatTemplateFailed", {
  problem: Schema.String
}) {
  override get message() {
    return `chat template: ${brief(this.problem)}`
  }
}

export interface Options {
  /** Ends with what an answer begins with. */
  readonly addGenerationPrompt?: boolean
  /** Ends inside the last message, which is then gone on with. */
  readonly continueFinalMessage?: boolean
  /** Schemas of functions, as the template wants them; none unless told. */
  readonly tools?: ReadonlyArray<JsonObject>
  /** Further variables of the template. */
  readonly variables?: JsonObject
}

export interface ChatTemplate {
  readonly render: (conversation: Trl.Conversation, options?: Options) => Effect.Effect<string, ChatTemplateFailed>
}

const Named = Schema.Struct({ name: Schema.String, template: Schema.String })
const TokenizerConfig = Schema.StructWithRest(
  Schema.Struct({
    chat_template: Schema.optionalKey(Schema.NullOr(Schema.Union([Schema.String, Schema.Array(Named)])))
  }),
  [Schema.Record(Schema.String, Schema.Json)]
)

/**
 * The template of a `tokenizer_config.json`. Of several named ones, `tool_use` is taken for a call with tools where there
 * is one, else `default`. The special tokens that the configuration names are variables of the template.
 *
 * **Details** Renders as `transformers` does. Two things are left out, for the same input must give the same text:
 * `strftime_now` is undefined, so templates that date their prompts take their own fallback; nothing else of the
 * surroundings can be seen by a template.
 *
 * **Gotchas** A template is a program, and one made for the purpose runs forever: take templates as you would take code.
 */
export const fromConfig = Effect.fnUntraced(function* (
  config: JsonObject | undefined
): Effect.fn.Return<ChatTemplate, ChatTemplateFailed> {
  const decoded = yield* Schema.decodeUnknownEffect(TokenizerConfig)(config ?? {}).pipe(
    Effect.mapError(({ message }) => new ChatTemplateFailed({ problem: `tokenizer_config.json: ${message}` }))
  )
  const { chat_template: given } = decoded
  const named = typeof given === "string" ? [{ name: "default", template: given }] : (given ?? [])
  if (named.length === 0) {
    const problem = "there is none: the checkpoint's tokenizer_config.json has no chat_template"
    return yield* new ChatTemplateFailed({ problem })
  }
  const templates = new Map<string, Compiled>()
  for (const { name, template } of named) templates.set(name, { source: template, template: yield* compile(template) })
  const specials = specialTokens(decoded)
  const render = (conversation: Trl.Conversation, options: Options = {}) =>
    Effect.suspend(() => {
      const tools = options.tools?.length ? options.tools : null // an empty list is none, as in TRL
      const compiled = (tools === null ? undefined : templates.get("tool_use")) ?? templates.get("default")
      if (compiled === undefined) {
        const problem = `none is called default; there are ${[...templates.keys()].join(", ")}`
        return Effect.fail(new ChatTemplateFailed({ problem }))
      }
      return attempt(() => rendered(compiled, conversation, { ...options, tools }, specials))
    })
  return { render }
})

interface Compiled {
  readonly source: string
  readonly template: Template
}

const compile = (source: string) => attempt(() => new Template(source))

const attempt = <A>(make: () => A): Effect.Effect<A, ChatTemplateFailed> =>
  Effect.try({
    try: make,
    catch: (cause) => new ChatTemplateFailed({ problem: cause instanceof Error ? cause.message : String(cause) })
  })

/** Stands behind the last message while it is rendered; the text is cut where it comes out. */
const MARK = "\u{F8FF}here the final message goes on\u{F8FF} "

const rendered = (
  { source, template }: Compiled,
  conversation: Trl.Conversation,
  { addGenerationPrompt = false, continueFinalMessage = false, tools, variables = {} }: OptionsWithTools,
  specials: JsonObject
): string => {
  if (addGenerationPrompt && continueFinalMessage)
    throw new Error("an answer is either begun or gone on with, not both")
  const messages = continueFinalMessage ? marked(conversation) : conversation
  if (continueFinalMessage && !source.includes("content")) throw new Error("it does not read the content of messages")
  const text = run(template, {
    ...specials,
    ...variables,
    messages,
    tools,
    documents: null,
    add_generation_prompt: addGenerationPrompt
  })
  if (!continueFinalMessage) return text
  const at = text.lastIndexOf(MARK.trimEnd())
  if (at < 0) throw new Error("it leaves out the end of the final message, so this cannot be gone on with")
  // the template trims messages, so what stands before the mark was trimmed with it
  return text.startsWith(MARK, at) ? text.slice(0, at) : text.slice(0, at).trimEnd()
}

/** Renders with Jinja's constants and what `transformers` adds to them, but for the clock. */
const run = (template: Template, variables: Readonly<Record<string, unknown>>): string => {
  const globals = new Environment()
  for (const [name, value] of Object.entries(GLOBALS)) globals.set(name, value)
  const environment = new Environment(globals)
  for (const [name, value] of Object.entries(variables)) environment.set(name, value)
  const { value } = new Interpreter(environment).run(template.parsed)
  return String(value)
}

const GLOBALS = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range: (start: number, stop?: number, step = 1) => {
    const [from, to] = stop === undefined ? [0, start] : [start, stop]
    const length = Math.max(0, Math.ceil((to - from) / step))
    if (!Number.isInteger(step) || step === 0 || length > LONGEST_RANGE) throw new Error("range: not of such a length")
    return Array.from({ length }, (_, i) => from + i * step)
  },
  raise_exception: (problem: string) => {
    throw new Error(problem)
  }
}
const LONGEST_RANGE = 100_000

interface OptionsWithTools extends Omit<Options, "tools"> {
  readonly tools: ReadonlyArray<JsonObject> | null
}

/** The conversation with the mark behind the last text of its last message. */
const marked = (conversation: Trl.Conversation): Trl.Conversation => {
  const last = conversation.at(-1)
  if (last === undefined) throw new Error("the conversation is empty, so there is no final message to go on with")
  return [...conversation.slice(0, -1), { ...last, content: markedContent(last.content) }]
}

const markedContent = (content: Trl.Message["content"]): Trl.Message["content"] => {
  if (typeof content === "string") return content + MARK
  const at = content?.findLastIndex((part) => typeof part["text"] === "string") ?? -1
  if (content === null || at < 0) throw new Error("the final message has no text to go on with")
  return content.map((part, i) => (i === at ? { ...part, text: `${part["text"]}${MARK}` } : part))
}

/** `bos_token`, `eos_token` and their like; each a text, or an added token with its `content`. */
const specialTokens = (config: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(config).flatMap(([name, value]) => {
      const content = typeof value === "object" && value !== null && "content" in value ? value["content"] : value
      return name.endsWith("_token") && typeof content === "string" ? [[name, content]] : []
    })
  )

/**
 * The record in the plain format: a prompt that ends with the user (or a tool) is followed by what an answer begins with,
 * one that ends with the assistant is left open, and answers are what the whole conversation adds to their prompt. Plain
 * records stay as they are. Schemas of tools are read from the column `tools`, further variables from
 * `chat_template_kwargs`.
 */
export const apply = Effect.fnUntraced(function* <T extends Trl.Type>(
  { render }: ChatTemplate,
  example: Trl.Example<T>
): Effect.fn.Return<Trl.Example<T>, ChatTemplateFailed> {
  const { rest, ...own } = example as Trl.Example
  const options = yield* optionsOf(rest)
  const { chat_template_kwargs: _, tools: __, ...kept } = rest
  const columns = own as Readonly<Record<string, unknown>> & { readonly prompt?: Trl.Said }
  const texts: Record<string, string> = {}
  const answers = ["completion", "chosen", "rejected"].flatMap((name) =>
    isTurns(columns[name]) ? [[name, columns[name]] as const] : []
  )
  if (isTurns(columns["text"])) texts["text"] = yield* render(columns["text"], options)
  if (columns.prompt === undefined) {
    for (const [name, turns] of answers) texts[name] = yield* render(turns, options)
  } else if (isTurns(columns.prompt)) {
    const role = columns.prompt.at(-1)?.role ?? "nobody"
    if (!["user", "tool", "assistant"].includes(role)) {
      const problem = `a prompt ends with the user, a tool or the assistant, not with ${role}`
      return yield* new ChatTemplateFailed({ problem })
    }
    const goesOn = role === "assistant"
    const asked = yield* render(columns.prompt, {
      ...options,
      addGenerationPrompt: !goesOn,
      continueFinalMessage: goesOn
    })
    const wholes: Array<readonly [string, string]> = []
    for (const [name, turns] of answers)
      wholes.push([name, yield* render(joined(columns.prompt, turns) as Trl.Conversation, options)])
    // what a template says only to begin an answer (a tag of reasoning, say) is no part of the prompt where answers lack it
    const prompt = wholes.reduce((shared, [, text]) => commonPrefix(shared, text), asked)
    texts["prompt"] = prompt
    for (const [name, text] of wholes) texts[name] = text.slice(prompt.length)
  }
  return (Object.keys(texts).length === 0 ? example : { ...own, ...texts, rest: kept }) as Trl.Example<T>
})

const isTurns = (value: unknown): value is Trl.Conversation => Array.isArray(value) && value.every(isMessage)
const isMessage = (value: unknown) => typeof value === "object" && value !== null && "role" in value

const Rest = Schema.Struct({
  tools: Schema.optionalKey(Schema.Array(Schema.JsonObject)),
  chat_template_kwargs: Schema.optionalKey(Schema.JsonObject)
})

const optionsOf = (rest: JsonObject): Effect.Effect<Options, ChatTemplateFailed> =>
  Schema.decodeUnknownEffect(Rest)(rest).pipe(
    Effect.mapBoth({
      onFailure: ({ message }) => new ChatTemplateFailed({ problem: `tools, chat_template_kwargs: ${message}` }),
      onSuccess: ({ chat_template_kwargs: variables, tools }) => ({
        ...(variables && { variables }),
        ...(tools && { tools })
      })
    })
  )

/** By code points, so that no character is cut in two. */
const commonPrefix = (a: string, b: string): string => {
  let at = 0
  while (at < a.length && a.codePointAt(at) === b.codePointAt(at)) at += a.codePointAt(at)! > 0xffff ? 2 : 1
  return a.slice(0, at)
}
