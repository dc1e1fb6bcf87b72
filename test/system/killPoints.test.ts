/** A run killed at chosen operations on the store's files, and at chosen times: the short form of `npm run kills`. */
import * as Fs from "node:fs"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Rng from "../../dsl/Rng.ts"
import * as KillPoint from "../long/KillPoint.ts"
import * as System from "./support.ts"

/** With PREFLINE_LONG=1 twice as many. */
const POINTS = process.env["PREFLINE_LONG"] === "1" ? 8 : 4
const BY_TIME = POINTS / 4

const program: KillPoint.Program = {
  args: (root) => ["test/system/children/run.ts", `${System.EXPERIMENT}#default`, root],
  cwd: System.PROJECT
}

it.live(
  `a run killed at ${POINTS} points, each in a store of its own, goes on to the digests of an undisturbed one`,
  () =>
    Effect.scoped(
      Effect.gen(function* () {
        const alone = yield* System.folder
        const log = `${yield* System.folder}/operations`
        const ended = yield* Effect.promise(() => KillPoint.run(program, alone, undefined, log))
        assert.strictEqual(ended.code, 0, ended.stderr)
        const operations = Fs.readFileSync(log, "utf8").trim().split("\n")
        assert.includeMembers(operations, ["open", "write", "fsync", "rename", "link", "unlink"])
        const undisturbed = KillPoint.finishedIn(alone)
        const drawn = KillPoint.moments(POINTS, { operations, ms: ended.ms }, Rng.make(0, "points"), BY_TIME)
        const outcomes = yield* Effect.forEach(
          drawn,
          (moment) =>
            Effect.flatMap(System.folder, (root) =>
              Effect.promise(() => KillPoint.endure(program, root, moment, undisturbed))
            ),
          { concurrency: 2 }
        )
        for (const { moment, problems } of outcomes) assert.deepStrictEqual(problems, [], KillPoint.describe(moment))
        const killed = outcomes.filter((outcome) => outcome.killed)
        assert.isAtLeast(killed.length, POINTS - BY_TIME, "all but those by time are sure to hit")
        assert.isNotEmpty(killed.filter(({ temporary }) => temporary > 0))
        assert.isNotEmpty(killed.filter(({ cached, computed }) => cached > 0 && computed > 0))
      })
    ),
  300_000
)
