/** One run as one file: written from a store, and taken into another. */
export { ArchiveInvalid } from "./ArchiveInvalid.ts"
export { type Exported, ExportIncomplete, exportRun, OutputExists } from "./exportRun.ts"
export { type Imported, importRun, RunConflict } from "./importRun.ts"
export { Manifest } from "./Manifest.ts"
