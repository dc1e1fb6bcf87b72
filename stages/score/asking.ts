/** Asking a model for something that can be read: again, with a reminder, where it cannot. */
import { Effect, Result, Schema } from "effect"
import { Count, Index, NonNegative, withDefault } from "../../dsl/Params.ts"
import type * as Endpoint from "../../runtime/services/Endpoint.ts"
import { EndpointConfig, identityOf } from "../../runtime/services/EndpointConfig.ts"
import type { AskError } from "../../runtime/services/errors.ts"
import type { CacheUnwritable } from "../../runtime/services/ResponseCache.ts"

/** A model's reply is not what it was asked for, however often it was asked. */
export class ReplyUnreadable extends Schema.TaggedError<ReplyUnreadable>()("ReplyUnreadable", {
  prompt: Schema.String,
  problem: Schema.String,
  /** What it said last, shortened. */
  reply: Schema.String,
  attempts: Schema.Int
}) {
  override get message() {
    const tried = this.attempts > 1 ? `, asked ${this.attempts} times` : ""
    return `prompt ${JSON.stringify(this.prompt)}: the judging model's reply ${this.problem}${tried}: ${JSON.stringify(this.reply)}`
  }
}

/** What stages that ask a model to judge have in common. */
export const askingFields = {
  endpoint: EndpointConfig,
  /** What a chat is told before anything else. */
  system: Schema.optionalKey(Schema.NonEmptyString),
  maxTokens: Count.pipe(withDefault(512)),
  temperature: NonNegative.pipe(withDefault(0)),
  /** How often an unreadable reply is asked for again. */
  rereads: Index.pipe(withDefault(2))
}
/** Limits do not enter keys. */
export const askingSource = {
  params: ["endpoint"] as const,
  fingerprint: ({ endpoint }: { readonly endpoint: EndpointConfig }) => Effect.succeed(identityOf(endpoint))
}

export interface Question<A> {
  /** The id of the prompt that it is about, for errors. */
  readonly about: string
  readonly text: string
  /** The reply's meaning, or what is wrong with it. */
  readonly read: (reply: string) => Result.Result<A, string>
  readonly format?: NonNullable<Endpoint.Request["format"]>
}

interface Settings {
  readonly system?: string
  readonly maxTokens: number
  readonly temperature: number
  readonly rereads: number
}

export interface Read<A> {
  /** In the order of the questions; a failure for what stayed unreadable. */
  readonly answers: ReadonlyArray<Result.Result<A, ReplyUnreadable>>
  /** Replies that could not be read, those that were asked for again included. */
  readonly unreadable: number
}

/** Asks all questions, then those whose replies could not be read again, with that reply and a reminder before them. */
export const askAll = <A>(
  endpoint: Endpoint.Endpoint,
  questions: ReadonlyArray<Question<A>>,
  settings: Settings,
  reminder: string
): Effect.Effect<Read<A>, AskError | CacheUnwritable> =>
  Effect.gen(function* () {
    const answers = new Array<Result.Result<A, ReplyUnreadable>>(questions.length)
    let waiting = questions.map((question, index) => ({ question, index, replies: [] as ReadonlyArray<string> }))
    let unreadable = 0
    for (let attempt = 1; waiting.length > 0; attempt++) {
      const asked = waiting.map(({ question, replies }) => request(endpoint, question, replies, settings, reminder))
      const responses = yield* endpoint.askAll(asked)
      const again: typeof waiting = []
      for (const [i, { index, question, replies }] of waiting.entries()) {
        const reply = responses[i]!.answers[0]!.text
        const read = question.read(reply)
        if (Result.isSuccess(read)) answers[index] = Result.succeed(read.success)
        else {
          unreadable++
          const problem = read.failure
          answers[index] = Result.fail(
            new ReplyUnreadable({ prompt: question.about, problem, reply: reply.slice(0, 200), attempts: attempt })
          )
          if (attempt <= settings.rereads) again.push({ question, index, replies: [...replies, reply] })
        }
      }
      waiting = again
    }
    return { answers, unreadable }
  })

const request = <A>(
  { config }: Endpoint.Endpoint,
  { format, text }: Question<A>,
  replies: ReadonlyArray<string>,
  { maxTokens, system, temperature }: Settings,
  reminder: string
): Endpoint.Request => {
  const chat: ReadonlyArray<Endpoint.Message> = [
    ...(system === undefined ? [] : [{ role: "system", content: system } as const]),
    { role: "user", content: text },
    ...replies.flatMap((reply) => [
      { role: "assistant", content: reply } as const,
      { role: "user", content: reminder } as const
    ])
  ]
  const plain = [
    ...(system === undefined ? [] : [system]),
    text,
    ...replies.flatMap((reply) => [reply, reminder])
  ].join("\n\n")
  return {
    prompt: config.api === "chat" ? chat : plain,
    maxTokens,
    temperature,
    ...(format === undefined ? {} : { format })
  }
}
