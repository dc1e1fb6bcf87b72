import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { Catalog } from "../../../runtime/cli/Catalog.ts"
import * as Guard from "../../../runtime/serve/guard.ts"
import * as Server from "../../../runtime/serve/Server.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { begin, end, fixture, prefline, WITH_TINY, written } from "../../cli/prefline.ts"
import { folder } from "../store/scratch.ts"
import { ask, news } from "./asking.ts"

/** A server on a free port, of a store in a folder that is gone afterwards. */
const served = <A>(body: (port: number, store: string) => Promise<A>) =>
  Effect.gen(function* () {
    const root = yield* folder
    return yield* Effect.gen(function* () {
      const { port } = yield* Server.start({ host: "127.0.0.1", port: 0 })
      return yield* Effect.promise(() => body(port, root))
    }).pipe(
      Effect.provide(Store.layer(root)),
      Effect.provideService(Catalog, async () => [])
    )
  })

const live = (name: string, effect: Effect.Effect<unknown, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(effect))

const run = (args: ReadonlyArray<string>, store: string) => prefline(["run", ...args], { entry: WITH_TINY, store })
const newest = (store: string) => readdirSync(`${store}/runs`).sort().at(-1)!
const SLOW = `${fixture("tiny.ts")}#slow`

describe.concurrent("what a server shows", () => {
  live(
    "the runs with status and key metrics; one of them with its graph and nodes; its report; all as JSON too",
    served(async (port, store) => {
      assert.include((await ask(port, "/")).body, "Nothing was run yet")
      await run(["tiny"], store)
      const id = newest(store)
      const list = await ask(port, "/")
      assert.strictEqual(list.status, 200)
      for (const text of [id, "succeeded", "tiny", "reward/gain 1.00"]) assert.include(list.body, text)
      const page = await ask(port, `/runs/${id}`)
      assert.match(page.body, /<svg[^>]*aria-label="The graph of the run, part 1 of 2: 3 nodes"/)
      for (const node of ["words", "decorate", "judge", "model"]) assert.include(page.body, `data-node="${node}"`)
      assert.include(page.body, "the run succeeded after")
      assert.strictEqual((await ask(port, `/runs/${id}/report`)).status, 200)
      const [listed] = JSON.parse((await ask(port, "/api/runs")).body)
      assert.strictEqual(listed.run, id)
      const one = JSON.parse((await ask(port, `/api/runs/${id}`)).body)
      assert.deepStrictEqual(
        one.nodes.map(({ status }: { status: string }) => status),
        ["computed", "computed", "computed", "computed"]
      )
    })
  )

  live(
    "in the list, the metrics of an evaluation that measures a gain before those of others",
    served(async (port, store) => {
      await run([fixture("points.ts")], store)
      const [{ metrics }] = JSON.parse((await ask(port, "/api/runs")).body)
      assert.deepStrictEqual(
        metrics.map(({ mean, name }: { mean: number; name: string }) => [name, mean]),
        [
          ["reward/gain", 1],
          ["kl", 1.5],
          ["reward/policy", 1.5]
        ]
      )
    })
  )

  live(
    "two runs against each other: what differs, and by how much",
    served(async (port, store) => {
      await run(["tiny"], store)
      await run(["tiny", "--set", "bonus=3"], store)
      const [a, b] = JSON.parse((await ask(port, "/api/runs")).body)
        .map((listed: { run: string }) => listed.run)
        .reverse()
      const { body, status } = await ask(port, `/compare?runs=${a},${b}`)
      assert.strictEqual(status, 200, body)
      assert.match(body, /<th scope="row">bonus<\/th><td class="number">1<\/td>\s*<td class="number">3<\/td>/)
      assert.match(body, /reward\/gain<\/th>.*\+2\.00 <span class="interval">/)
      await run(["tiny"], store)
      const same = await ask(port, `/compare?runs=${a},${newest(store)}`)
      assert.include(same.body, "4 metrics of evaluations with the same content: no change.")
      assert.notInclude(same.body, "reward/gain")
      assert.strictEqual(JSON.parse((await ask(port, `/api/compare?runs=${a}&runs=${b}`)).body)[0].a.run, a)
    })
  )

  live(
    "a damaged journal is told as such, and what it holds is escaped",
    served(async (port, store) => {
      await run(["tiny", "--set", "suffix=<script>alert(1)</script>"], store)
      const id = newest(store)
      for (const path of ["/", `/runs/${id}`, `/runs/${id}/report`]) {
        const { body } = await ask(port, path)
        assert.notInclude(body, "<script>alert(1)")
        assert.include(body, "&lt;script&gt;")
      }
      writeFileSync(
        `${store}/runs/${id}/journal.jsonl`,
        `${readFileSync(`${store}/runs/${id}/journal.jsonl`)}{"no":1}\n`
      )
      const damaged = await ask(port, `/runs/${id}`)
      assert.strictEqual(damaged.status, 500)
      assert.include(damaged.body, `the journal of run ${id} is damaged`)
    })
  )
})

describe.concurrent("news of a run that another process makes", () => {
  live(
    "come while it happens, and go on exactly after the last that a reader had",
    served(async (port, store) => {
      const child = begin(["run", SLOW, "--set", "milliseconds=3000"], { store })
      const ended = end(child)
      await written(child, "> wait\n")
      const path = `/runs/${newest(store)}/events`
      const before = await news(port, path, (all) => all.some(({ points }) => points.length > 0))
      assert.strictEqual(before.at(-1)!.status, "running")
      const page = JSON.parse((await ask(port, path.replace("/runs", "/api/runs").replace("/events", ""))).body)
      assert.strictEqual(page.status, "running")
      assert.strictEqual(page.nodes.at(-1).status, "running")
      const after = await news(port, path, undefined, { "last-event-id": before.at(-1)!.id })
      assert.strictEqual((await ended).code, 0)
      assert.strictEqual(after.at(-1)!.status, "succeeded")
      const all = [...before, ...after]
      const events = all.flatMap(({ events }) =>
        events.map(({ _tag, node }) => (node === undefined ? _tag : `${_tag} ${node}`))
      )
      assert.deepStrictEqual([events[0], events.at(-1)], ["RunStarted", "RunFinished"])
      assert.strictEqual(new Set(events).size, events.length, "no event comes twice")
      const points = all.flatMap(({ points }) => points)
      assert.deepStrictEqual(
        points.map(({ done, metrics }) => [done, metrics.loss]),
        points.map((_, i) => [i + 1, 1 / (i + 1)])
      )
      assert.strictEqual(points.length, 10)
    })
  )

  live(
    "a run whose process was killed is stopped, whatever line the kill has torn",
    served(async (port, store) => {
      const child = begin(["run", SLOW], { store })
      const ended = end(child)
      await written(child, "> wait\n")
      const id = newest(store)
      child.kill("SIGKILL")
      await ended
      appendFileSync(`${store}/runs/${id}/progress.jsonl`, '{"_tag":"Point","no')
      appendFileSync(`${store}/runs/${id}/journal.jsonl`, '{"_tag":"NodeFin')
      const [first] = await news(port, `/runs/${id}/events`, (all) => all.length > 0)
      assert.strictEqual(first!.status, "stopped")
      assert.include((await ask(port, "/")).body, `<span class="status stopped">stopped</span>`)
      const again = await run([SLOW, "--set", "milliseconds=1"], store)
      assert.strictEqual(again.code, 0, again.stderr)
    })
  )

  live(
    "a place that is none is the beginning",
    served(async (port, store) => {
      await run(["tiny"], store)
      const path = `/runs/${newest(store)}/events`
      const whole = await news(port, path)
      for (const place of ["999999999.999999999", "-1.x", "1e9.1", `${"9".repeat(400)}.1`]) {
        assert.deepStrictEqual(
          (await news(port, path, undefined, { "last-event-id": place }))[0]!.events,
          whole[0]!.events
        )
      }
    })
  )
})

describe.concurrent("what a server refuses", () => {
  live(
    "paths that are none of its own, none of which becomes a file's",
    served(async (port, store) => {
      mkdirSync(`${store}/runs/secret`)
      writeFileSync(`${store}/runs/secret/journal.jsonl`, "{}\n")
      const hostile = [
        "/../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e",
        "/runs/..",
        "/runs/%2e%2e",
        "/runs/secret",
        "/runs/..%5c..",
        "/runs/20260101-000000-abcdef%00",
        "/runs/20260101-000000-abcde%0a",
        "/runs//",
        "/%ff",
        "/%",
        "/assets/../run.js",
        "/assets/..%2f..%2fguard.ts",
        "/assets/__proto__",
        "/assets/constructor",
        "/runs/x/events",
        "/api/../runs",
        "/api/runs/%2e%2e",
        "/compare?runs=..,/etc/passwd",
        "/compare?runs=a",
        "/runs/20260101-000000-abcdef",
        `/${"a".repeat(5000)}`,
        "//evil.example/",
        "http://evil.example/",
        "*"
      ]
      for (const path of hostile) {
        const { body, headers, status } = await ask(port, path)
        assert.include([400, 404, 414], status, path)
        assert.notInclude(body, "root:")
        if (path.startsWith("/api/")) assert.isString(JSON.parse(body).error, path)
        else assert.include(headers["content-security-policy"], "default-src 'none'", path)
      }
    })
  )

  live(
    "other names of the host, other methods, and frames",
    served(async (port) => {
      for (const host of [
        "evil.example",
        `evil.example:${port}`,
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "a b"
      ]) {
        assert.strictEqual((await ask(port, "/", { headers: { host } })).status, 421, host)
      }
      for (const host of ["localhost", `localhost:${port}`, "[::1]:1", `127.0.0.1:${port}`]) {
        assert.strictEqual((await ask(port, "/", { headers: { host } })).status, 200, host)
      }
      for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]) {
        const { headers, status } = await ask(port, "/", { method })
        assert.deepStrictEqual([status, headers.allow], [405, "GET, HEAD"], method)
      }
      const head = await ask(port, "/", { method: "HEAD" })
      assert.deepStrictEqual([head.status, head.body], [200, ""])
      const policy = head.headers["content-security-policy"] as string
      for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"])
        assert.include(policy, part)
      assert.notInclude(policy, "unsafe")
      assert.strictEqual(head.headers["x-content-type-options"], "nosniff")
    })
  )
})

it("names that are allowed are, and addresses, which no name can be pointed away from", () => {
  const allowed = new Set(["lab"])
  for (const host of ["lab", "LAB:80", "lab.", "10.0.0.1", "[fe80::1]:7777"])
    assert.isTrue(Guard.isOurs(host, allowed), host)
  for (const host of [undefined, "", "lab.evil", "evil", "[evil]", "10.0.0.1.evil", "lab:80:80"]) {
    assert.isFalse(Guard.isOurs(host, allowed), host)
  }
})

it.live("a port that is taken is told", () =>
  Effect.gen(function* () {
    const root = yield* folder
    const taken = yield* Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    const { port } = taken.address() as Net.AddressInfo
    const error = yield* Effect.flip(Server.start({ host: "127.0.0.1", port })).pipe(Effect.provide(Store.layer(root)))
    assert.match(error.message, /cannot listen on 127\.0\.0\.1, port \d+: the port is taken/)
  }).pipe(
    Effect.scoped,
    Effect.provideService(Catalog, async () => [])
  )
)
