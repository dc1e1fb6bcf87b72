/** How a command ends: what a user is told, and the status that the process exits with. */
import { Cause, Exit, Schema } from "effect"
import { CliError } from "effect/cli"
import { describe, NodeFailed, RunFailed } from "../executor/errors.ts"
import * as Format from "./format.ts"

export const SUCCESS = 0
export const FAILURE = 1
export const USAGE = 2
export const INTERRUPTED = 130

/** A command that did its work and has bad news, which it has printed: a claim fails, an artifact differs. */
export class Unsuccessful extends Schema.TaggedError<Unsuccessful>()("Unsuccessful", { summary: Schema.String }) {
  override get message() {
    return this.summary
  }
}

/** Errors about what was typed, by tag. All others are about what happened then. */
const usage: ReadonlySet<string> = new Set([
  "AddressUnusable",
  "ThresholdMissing",
  "OutputExists",
  "NotSavable",
  "FormUnknown",
  "ConversionMissing",
  "ArtifactAmbiguous",
  "ArtifactUnknown",
  "CaseMisused",
  "ChecksMissing",
  "ClaimsMisused",
  "DeviceUnavailable",
  "FileUnwritable",
  "LawUnknown",
  "MethodUnknown",
  "ModuleUnusable",
  "GraphMisused",
  "NodeUnknown",
  "ParametersInvalid",
  "PipelineFileUnusable",
  "PipelineUnknown",
  "PinTaken",
  "PinUnknown",
  "ProjectRefused",
  "RunIdInvalid",
  "RunMissing",
  "RunUnknown",
  "RunsFewer",
  "SettingInvalid",
  "StoreMissing",
  "SubjectUnknown"
])

export const statusOf = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return SUCCESS
  if (Cause.hasInterruptsOnly(exit.cause)) return INTERRUPTED
  const error = Cause.squash(exit.cause)
  if (CliError.isCliError(error)) return error._tag === "ShowHelp" && error.errors.length === 0 ? SUCCESS : USAGE
  return isTagged(error) && usage.has(error._tag) ? USAGE : FAILURE
}

/** What to say of a command that did not succeed; nothing where it was said already. */
export const tell = (cause: Cause.Cause<unknown>, options: { readonly verbose: boolean }): string | undefined => {
  if (Cause.hasInterruptsOnly(cause)) return "interrupted; run the same command again to go on"
  const error = Cause.squash(cause)
  if (CliError.isCliError(error)) return undefined
  const detail = options.verbose ? `\n\n${whereItHappened(error, cause)}` : ""
  return `${Format.visible(Cause.hasDies(cause) ? defectText(error, options) : errorText(error))}${detail}`
}

/** For failed nodes the errors of their stages: where the run noticed them tells nothing. */
const whereItHappened = (error: unknown, cause: Cause.Cause<unknown>): string =>
  error instanceof RunFailed
    ? error.failures.map(({ cause, node }) => `${node}: ${Cause.pretty(Cause.fail(cause))}`).join("\n")
    : Cause.pretty(cause)

const defectText = (defect: unknown, { verbose }: { readonly verbose: boolean }) =>
  `unexpected: ${describe(defect)}${verbose ? "" : "\nThis is a bug in prefline or in a stage; --verbose shows where it happened."}`

const errorText = (error: unknown): string => {
  if (error instanceof RunFailed) return error.failures.map(nodeText).join("\n")
  return error instanceof NodeFailed ? nodeText(error) : describe(error)
}

const nodeText = (failure: NodeFailed): string => {
  const params = Format.settings(failure.params)
  return `${failure.message}${params === "" ? "" : `\n  its parameters: ${params}`}`
}

const isTagged = (error: unknown): error is { readonly _tag: string } =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
