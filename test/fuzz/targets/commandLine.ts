import * as Fs from "node:fs"
import { Effect } from "effect"
import { inProcess } from "../../cli/inProcess.ts"
import type { Draws } from "../Draws.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const STORE = "@store"
const RUN = "20260131-174500-0a1b2c"

/** Command lines that look at things or name things; none of them computes. */
const seeds: ReadonlyArray<ReadonlyArray<string>> = [
  ["plan", "tiny", "--store", STORE],
  ["plan", "tiny", "--store", STORE, "--set", "to=3", "--seed", "1"],
  ["run", "tiny", "--store", STORE, "--set", "nothing=1"],
  ["show", RUN, "--store", STORE],
  ["show", `${RUN}/node`, "--store", STORE, "--json"],
  ["show", "0123abcdef", "--store", STORE],
  ["replay", RUN, "--store", STORE],
  ["verify", RUN, "--store", STORE],
  ["claims", "tiny", "--store", STORE],
  ["runs", "--store", STORE, "--json"],
  ["list", "--json"]
]

const HOSTILE = [
  ...["..", "../..", "../../../../tmp/escaped", "/etc/passwd", "a/../../b", "%2e%2e%2f", "~", ".", "-", "--", "$(id)"],
  ...[
    "",
    " ",
    "\n",
    "a\nb",
    "\u001b[31mred",
    "\ud800",
    "é🙂",
    "x".repeat(300),
    "NaN",
    "Infinity",
    "1e999",
    "-1",
    "0x1"
  ],
  ...["__proto__", "constructor", "toString", "__proto__=1", "seed=2", "a=b=c", "=", "=1", 'x={"__proto__":1}', "null"],
  ...["20260131-174500-0a1b2c/..", "20260131-174500-0a1b2c/../../x", "20260131-174500-0a1b2d", "file:///etc/passwd"],
  ...["tiny.ts", "../tiny.ts", "/etc/passwd.ts", "tiny#x", `to=${"[".repeat(20_000)}`, "9007199254740993", "--store="]
]

const mutated = (args: ReadonlyArray<string>, draws: Draws): ReadonlyArray<string> => {
  let made = args
  for (let left = 1 + draws.int(2); left > 0; left--) {
    // The store's place stays: elsewhere is not for a test to write to. No command: no help to print.
    const at = 1 + draws.int(made.length)
    if (made[at] === STORE || made[at - 1] === "--store" || made[at] === "--store") continue
    const word = draws.chance(0.2) ? `--set=${draws.pick(HOSTILE)}` : draws.pick(HOSTILE)
    made = draws.pick([made.toSpliced(at, 1, word), made.toSpliced(at, 0, word), made.toSpliced(at, 1)])
  }
  return made.some((word) => word === "tiny.ts" || word.startsWith("--store=")) ? args : made
}

const EXPECTED = new Set([0, 1, 2])

/** It answers, or says what was wrong in words, and writes to no place but its store. */
export const commandLine: Target = {
  name: "command line",
  weight: 1,
  refuses: ["Refused"],
  make: (draws) => ({ args: bytesOf(JSON.stringify(mutated(draws.pick(seeds), draws))) }),
  read: ({ args }, folder) =>
    Effect.gen(function* () {
      Fs.mkdirSync(`${folder}/around`)
      const given = (JSON.parse(textOf(args!)) as ReadonlyArray<string>).map((word) =>
        word === STORE ? `${folder}/around/store` : word
      )
      const { code, stderr, stdout } = yield* Effect.promise(() => inProcess(given))
      holds(EXPECTED.has(code), `ends with ${code}`)
      holds(!/\n\s+at .*[:(]/.test(stderr), `shows no stack: ${stderr.slice(0, 400)}`)
      holds(!stderr.includes("unexpected:"), `says no bug of its own: ${stderr.slice(0, 400)}`)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      holds(!/\u001b\[31mred/.test(stderr), "passes no control characters to the terminal")
      const beside = Fs.readdirSync(`${folder}/around`).filter((name) => name !== "store")
      holds(beside.length === 0 && Fs.readdirSync(folder).join() === "around", "writes only in its store")
      if (code === 0) return
      holds(stdout === "" || code === 1, "answers nothing when it is used wrongly")
      // A user's own words may be quoted at any length.
      return yield* Effect.fail({ _tag: "Refused", message: stderr.slice(0, 1000) })
    })
}
