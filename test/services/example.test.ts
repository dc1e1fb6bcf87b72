/** The example of docs/services.md as a user runs it, on a server of this machine: paid for once, and its key seen by nobody. Its types are checked in test/docs. */
import { execFile } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Behaviour, chatReply, json, peer } from "./peer.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const SECRET = "sk-proj-Nobody0May1See2This3"
const example = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, "docs/services.md"), "utf8"))![1]!
const file = join(root, `distilled-${process.pid}.ts`)
const scratch = mkdtempSync(join(tmpdir(), "prefline-distilled-"))
beforeAll(() => {
  writeFileSync(file, example.replace("steps: 300", "steps: 2").replace("limit: 100", "limit: 6"))
})
afterAll(() => {
  for (const path of [file, scratch]) rmSync(path, { recursive: true, force: true })
})

const node = (env: object, ...args: ReadonlyArray<string>) =>
  Effect.promise(
    () =>
      new Promise<{ readonly code: number; readonly said: string }>((resolve) => {
        const options = { cwd: root, maxBuffer: 2 ** 26, env: { ...process.env, OPENAI_API_KEY: undefined, ...env } }
        execFile(process.execPath, [...args], options as object, (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code), said: `${stdout}${stderr}` })
        )
      })
  )
const store = join(scratch, "store")
const run = (url: string, env: object = { OPENAI_API_KEY: SECRET }, steps = 2) => {
  const settings = [`url=${url}`, `steps=${steps}`].flatMap((setting) => ["--set", setting])
  return node(env, "runtime/cli/start.mjs", "run", file, "--verbose", "--store", store, ...settings)
}

/** Every file in the store, and what the program said: the key must be in none. */
const unseen = (said: string) => {
  assert.notInclude(said, SECRET)
  const files = readdirSync(store, { recursive: true, encoding: "utf8" }).map((name) => join(store, name))
  const held = files.filter((path) => statSync(path).isFile() && readFileSync(path).includes(SECRET))
  assert.deepStrictEqual(held, [])
  return files.length
}

/** Answers; prefers what has more letters, and needs to be reminded now and then. */
const helpful: Behaviour = ({ body }, response) => {
  const text = body["messages"].map(({ content }: { content: string }) => content).join("\n")
  const [first, second] = ["answer-A", "answer-B"].map((tag) => text.split(`<${tag}>\n`)[1]?.split(`\n</${tag}>`)[0])
  if (first === undefined) return json(response, chatReply(`was ${"very ".repeat(body["seed"] % 5)}good`))
  const verdict = first.length === second!.length ? "tie" : first.length > second!.length ? "A" : "B"
  const forgetful = body["messages"].length === 1 && text.length % 3 === 0
  return json(response, chatReply(forgetful ? "Hard to say." : `Verdict: ${verdict}`))
}

/** Requests of a run in which nothing goes wrong. */
let undisturbed = 0

it.live(
  "the example runs, and with one more step it asks for nothing, not even the key",
  () =>
    Effect.gen(function* () {
      const { asked, url } = yield* peer(helpful)
      const first = yield* run(url)
      assert.strictEqual(first.code, 0, first.said)
      assert.isTrue(asked.every(({ headers }) => headers["authorization"] === `Bearer ${SECRET}`))
      assert.isAbove(unseen(first.said), asked.length / 2)
      undisturbed = asked.length
      assert.isAbove(undisturbed, 6 * 4)
      const again = yield* run(url, {}, 3)
      assert.deepStrictEqual([again.code, asked.length], [0, undisturbed], again.said)
    }).pipe(Effect.scoped),
  { timeout: 120_000 }
)

it.live(
  "a run that fails keeps what it has, says why, and goes on from there",
  () =>
    Effect.gen(function* () {
      let broken = true
      const { asked, url } = yield* peer((request, response, n) =>
        broken && n >= 10
          ? json(response, { error: { message: `your key ${request.headers["authorization"]} is worn out` } }, 403)
          : helpful(request, response, n)
      )
      const first = yield* run(url)
      assert.strictEqual(first.code, 1)
      assert.match(first.said, /status 403: your key Bearer <redacted> is worn out/)
      unseen(first.said)
      broken = false
      const before = asked.length
      const second = yield* run(url)
      assert.strictEqual(second.code, 0, second.said)
      assert.strictEqual(10 + asked.length - before, undisturbed)
      const unpaid = yield* peer(helpful)
      const none = yield* run(unpaid.url, {})
      assert.match(none.said, /set the environment variable OPENAI_API_KEY/)
      assert.strictEqual(none.code, 1)
    }).pipe(Effect.scoped),
  { timeout: 120_000 }
)
