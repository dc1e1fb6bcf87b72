#!/usr/bin/env node
// Plain JavaScript that Node 12.20 can run: an older Node cannot load what is behind it, and is taken no further than here.
import { spawn } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

const NEEDED = 24
const majorOf = (version) => Number(version.replace("v", "").split(".")[0])

if (majorOf(process.version) >= NEEDED) start()
else {
  const own = ownNode()
  if (own === undefined) tellWhatToDo()
  else goOnUnder(own)
}

function start() {
  import("node:module")
    .then((module) => {
      module.enableCompileCache()
      return import("./main.ts")
    })
    .catch((cause) => {
      const missing = cause.code === "ERR_MODULE_NOT_FOUND"
      console.error(
        `prefline cannot start: ${cause.message}${missing ? "\nIs everything installed? Run `npm ci` or `npm install`." : ""}`
      )
      if (process.env.PREFLINE_DEBUG === "1") console.error(cause)
      process.exitCode = 1
    })
}

/** The Node that prefline's install brings, as the package `node`. */
function ownNode() {
  const require = createRequire(import.meta.url)
  try {
    const manifest = require.resolve("node/package.json")
    if (majorOf(require(manifest).version) < NEEDED) return undefined
    return require.resolve(join(dirname(manifest), "bin", process.platform === "win32" ? "node.exe" : "node"))
  } catch (cause) {
    if (cause.code === "MODULE_NOT_FOUND") return undefined
    throw cause
  }
}

/** The same command under another Node, which gets this process's streams and signals, and whose end becomes its own. */
function goOnUnder(node) {
  const child = spawn(node, process.argv.slice(1), { stdio: "inherit" })
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"]
  const pass = (signal) => child.kill(signal)
  for (const signal of signals) process.on(signal, pass)
  child.on("error", (cause) => {
    console.error(
      `prefline needs Node ${NEEDED}, and the one of its install, ${node}, cannot be started: ${cause.message}`
    )
    process.exitCode = 2
  })
  child.on("exit", (code, signal) => {
    for (const signal of signals) process.removeListener(signal, pass)
    if (signal === null) process.exitCode = code
    else process.kill(process.pid, signal)
  })
}

function tellWhatToDo() {
  console.error(`prefline needs Node ${NEEDED} or newer, and this is ${process.version}.

Its install brings a Node of its own, which is missing here: npm was told --ignore-scripts, or runs no install
scripts unless they are approved. Either of these fetches it, in the folder where you installed:

  npm rebuild node
  npm approve-scripts node && npm rebuild node     where npm asks for approval

Then the same command works, and in a clone so do \`npm start\` and \`npm run prefline -- list\`.`)
  process.exitCode = 2
}
