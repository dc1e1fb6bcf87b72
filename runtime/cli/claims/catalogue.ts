/** The catalogue of methods as a page of Markdown, made from a report and marked with a digest that tells of edits by hand. */
import { createHash } from "node:crypto"
import type { CheckReport, PipelineReport, Report } from "../../executor/ClaimsReport.ts"
import * as Format from "../format.ts"
import { quantity, sharing, TIME, tally } from "./text.ts"

/** The page. The same report gives the same text. */
export const toMarkdown = (report: Report): string => {
  const body = `${[INTRODUCTION, overview(report), ...report.pipelines.map(section)].join("\n\n")}\n`
  return `${body}${seal(body)}`
}

/** Whether a page is as it was written: its last line holds the digest of all lines before it. */
export const isUntouched = (page: string): boolean => {
  const at = page.lastIndexOf(SEAL)
  return at >= 0 && page.slice(at) === seal(page.slice(0, at))
}

/** How the row of a check begins: what the check says itself. */
export const rowOf = ({ expected, kind, name }: Pick<CheckReport, "expected" | "kind" | "name">): string =>
  row([name, kind, expected])

const SEAL = "\n<!-- sha256 of the text above: "
const seal = (body: string) => `${SEAL}${createHash("sha256").update(body).digest("hex")} -->\n`

const INTRODUCTION = `# Catalogue

Written by \`npm run catalogue\` (\`prefline claims --all --catalogue docs/catalogue.md\`) from what the checks of every pipeline measured. Do not edit it: a test holds the text to the digest at its end.

An exact check compares with a closed form or a solver, a statistical one states a 95 % interval over seeds. A known gap is a claim that does not hold at this scale, with the reason. Times are those of the run that computed each node, ${TIME}: what a pipeline takes alone, and which part of it others need too.`

const overview = (report: Report): string => {
  const head = ["method", "paper", "family", "testbed", "checks that hold", "nodes (shared)", TIME]
  const rows = report.pipelines.map((pipeline) => [
    `[${pipeline.pipeline}](#${pipeline.pipeline})`,
    paperOf(pipeline),
    pipeline.family,
    pipeline.testbed.join(", "),
    tally(pipeline),
    `${pipeline.nodes} (${pipeline.sharedNodes})`,
    `${Format.duration(pipeline.ms.own)} + ${Format.duration(pipeline.ms.shared)}`
  ])
  return `${table([head, ...rows])}\n\n${sharing(report).split("\n").join("  \n")}`
}

const paperOf = ({ paper }: PipelineReport) =>
  paper === null ? "" : `[${paper.title}](https://arxiv.org/abs/${paper.arxiv})`

const section = (pipeline: PipelineReport): string => {
  const { checks, description, problem } = pipeline
  const rows = checks.map((check) => [
    check.name,
    check.kind,
    check.expected,
    check.measured === null ? "" : quantity(check.measured),
    String(check.seeds),
    check.outcome
  ])
  return [
    `## ${pipeline.pipeline}`,
    `${description}.`,
    ...(problem === null ? [] : [`It could not be run: ${problem}`]),
    table([["check", "kind", "expected", "measured", "seeds", "outcome"], ...rows]),
    ...checks.flatMap(remarks)
  ].join("\n\n")
}

const remarks = ({ knownGap, name, problem }: CheckReport): ReadonlyArray<string> => [
  ...(knownGap === null ? [] : [`*${name}*: ${knownGap}`]),
  ...(problem === null ? [] : [`*${name}* was not measured: ${Format.oneLine(Format.visible(problem), 400)}`])
]

const table = ([head, ...rows]: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head!, head!.map(() => "---"), ...rows].map(row).join("\n")

const row = (cells: ReadonlyArray<string>) => `| ${cells.map(cell).join(" | ")} |`

/** A cell is one line, and a bar would end it. */
const cell = (text: string) => text.replaceAll(/\s+/g, " ").replaceAll("|", "\\|")
