/** The entry point, behind `start.mjs`: the command line with prefline's own catalog, loaded when a command needs it. */
import { main } from "./Cli.ts"

main(async () => (await import("../../pipelines/catalog.ts")).catalog)
