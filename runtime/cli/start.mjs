#!/usr/bin/env node
// Plain JavaScript that Node 12 can run: an older Node cannot load the TypeScript behind it, and has to be told so here.
const NEEDED = 24
const major = Number(process.version.slice(1).split(".")[0])

if (major >= NEEDED) start()
else {
  console.error(`prefline needs Node ${NEEDED} or newer, and this is ${process.version}.

\`npm ci\` installs a Node of its own, which npm's scripts use. From the repository's folder:

  npm start                   a first experiment
  npm run prefline -- list    any command, after the two dashes

If these end up here too, \`npm ci\` ran with --ignore-scripts, and that Node is missing. Either of these fetches it:

  npm rebuild node
  npm ci                      without --ignore-scripts`)
  process.exitCode = 2
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
        `prefline cannot start: ${cause.message}${missing ? "\nIs everything installed? Run `npm ci`." : ""}`
      )
      if (process.env.PREFLINE_DEBUG === "1") console.error(cause)
      process.exitCode = 1
    })
}
