/**
 * An endpoint on this machine that answers by rule, for checks of stages that ask one: texts by a hash of what is asked,
 * judgements by length, grades by letters. It listens on the loopback interface as soon as this module is imported, and keeps
 * no process alive.
 */
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

const WORDS = [" the", " food", " was", " good", " awful", " 🙂", "\n", " so"]

interface Body {
  readonly prompt?: string
  readonly messages?: ReadonlyArray<{ readonly role: string; readonly content: string }>
  readonly n?: number
  readonly seed?: number
  readonly logprobs?: unknown
  readonly max_tokens?: number
}

/** What is between two marks of a prompt. */
const between = (text: string, tag: string) => new RegExp(`<${tag}>\n([\\s\\S]*)\n</${tag}>`).exec(text)?.[1]

/** The longer answer is better; as long is a tie. */
const judged = (first: string, second: string) => {
  const lead = Math.sign(first.length - second.length)
  return `I compared both.\n**Verdict: ${lead > 0 ? "A" : lead < 0 ? "B" : "tie"}**`
}

/** A tenth of the length for each criterion, one more for each after the first, at most 10. */
export const grade = (answer: string, criterion: number): number => Math.min(10, answer.length / 10 + criterion)

const graded = (text: string, answer: string) => {
  const names = [...(text.split("<prompt>")[0] ?? "").matchAll(/^- ([\w.-]+):/gm)].map(([, name]) => name!)
  const grades = Object.fromEntries(names.map((name, i) => [name, grade(answer, i)]))
  return `My grades:\n\`\`\`json\n${JSON.stringify(grades)}\n\`\`\``
}

const drawn = (text: string, body: Body, index: number): ReadonlyArray<string> => {
  const hash = createHash("sha256")
    .update(JSON.stringify([text, body.seed ?? null, index]))
    .digest()
  return Array.from(
    { length: Math.min(hash[0]! % 8, body.max_tokens ?? 16) },
    (_, i) => WORDS[hash[i + 1]! % WORDS.length]!
  )
}

const choice = (body: Body, index: number) => {
  const text = body.prompt ?? body.messages?.find(({ role }) => role === "user")?.content ?? ""
  const [first, second, answer] = ["answer-A", "answer-B", "answer"].map((tag) => between(text, tag))
  const words =
    first !== undefined && second !== undefined
      ? [judged(first, second)]
      : answer !== undefined
        ? [graded(text, answer)]
        : drawn(text, body, index)
  const content = words.join("")
  const logprobs =
    body.logprobs === undefined
      ? {}
      : body.prompt === undefined
        ? { logprobs: { content: words.map((token) => ({ token, logprob: -0.5 })) } }
        : { logprobs: { tokens: words, token_logprobs: words.map(() => -0.5) } }
  const said = body.prompt === undefined ? { message: { role: "assistant", content } } : { text: content }
  return { index, finish_reason: "stop", ...said, ...logprobs }
}

const server = createServer((request, response) => {
  const chunks: Array<Uint8Array> = []
  request.on("data", (chunk: Uint8Array) => chunks.push(chunk))
  request.on("end", () => {
    const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Body
    const choices = Array.from({ length: body.n ?? 1 }, (_, index) => choice(body, index))
    response.writeHead(200, { "content-type": "application/json" })
    response.end(JSON.stringify({ choices, usage: { prompt_tokens: 1, completion_tokens: 1 } }))
  })
})
server.unref()
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))

/** Its address. */
export const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
