/**
 * Collects garbage: `collector.ts <root> <options as JSON> <n>`. It is killed before the n-th change of the file system
 * that the collection makes; without n it collects once and prints what came of it.
 */
import Fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { Effect } from "effect"
import * as Gc from "../../../../runtime/store/Gc.ts"
import { Store } from "../../../../runtime/store/Store.ts"

const [root, options, killAt] = process.argv.slice(2) as [string, string, string | undefined]

const armed = () => {
  let left = Number(killAt)
  for (const name of ["renameSync", "linkSync", "unlinkSync", "rmSync"] as const) {
    const change = Fs[name] as (...args: ReadonlyArray<unknown>) => unknown
    Fs[name] = ((...args: ReadonlyArray<unknown>) => {
      if (--left < 0) process.kill(process.pid, "SIGKILL")
      return change(...args)
    }) as never
  }
  syncBuiltinESMExports()
}

const main = Effect.gen(function* () {
  yield* Store // opened before anything is counted
  if (killAt !== undefined) armed()
  return yield* Gc.collect(JSON.parse(options))
})
const collected = await Effect.runPromise(Effect.provide(main, Store.layer(root)))
process.stdout.write(JSON.stringify(collected))
