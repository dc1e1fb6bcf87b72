/** What holding pipelines to their claims comes to, for people. */
import type { CheckReport, Outcome, PipelineReport, Report } from "../../executor/ClaimsReport.ts"
import * as Format from "../format.ts"
import type { Style } from "../Output.ts"

/** Every check of a pipeline in some lines: what is expected, and what came out. */
export const checks = ({ checks }: Pick<PipelineReport, "checks">, style: Style): string =>
  checks.map((check) => render(check, style)).join("\n")

const render = (check: CheckReport, style: Style): string => {
  const { expected, kind, knownGap, measured, name, outcome, problem, seeds } = check
  const about = style.dim(`${kind}, ${Format.count(seeds, "seed")}`)
  return [
    `${mark(outcome, style)}  ${style.bold(name)}  ${about}`,
    `      expected  ${expected}`,
    ...(measured === null ? [] : [`      measured  ${quantity(measured)}`]),
    ...(problem === null ? [] : [`      not measured: ${Format.visible(problem)}`]),
    ...(knownGap === null
      ? []
      : outcome === "gap closed"
        ? [`      holds, although it is stated not to: ${knownGap}`]
        : [`      known not to hold: ${knownGap}`])
  ].join("\n")
}

const mark = (outcome: Outcome, style: Style): string => {
  switch (outcome) {
    case "pass":
      return style.green("pass")
    case "gap closed":
      return style.yellow("PASS")
    case "known gap":
      return style.yellow("FAIL")
    default:
      return style.red("FAIL")
  }
}

/** `0.540 [0.500, 0.580]`, with what there is to say besides. */
export const quantity = ({ interval, note, value }: NonNullable<CheckReport["measured"]>): string =>
  [
    Format.number(value),
    ...(interval === null ? [] : [`[${Format.number(interval[0])}, ${Format.number(interval[1])}]`]),
    ...(note === null ? [] : [`(${note})`])
  ].join(" ")

/** How many checks hold: `4 of 4`, `2 of 4, 1 known gap, 1 not measured`. */
export const tally = ({ checks }: Pick<PipelineReport, "checks">): string => {
  const of = (wanted: Outcome) => checks.filter(({ outcome }) => outcome === wanted).length
  const holding = checks.filter(({ holds }) => holds === true).length
  const others = [
    of("known gap") > 0 ? Format.count(of("known gap"), "known gap") : "",
    of("gap closed") > 0 ? `${of("gap closed")} against its statement` : "",
    of("not measured") > 0 ? `${of("not measured")} not measured` : ""
  ]
  return [`${holding} of ${checks.length}`, ...others.filter((text) => text !== "")].join(", ")
}

export const TIME = "own + shared nodes' time"

/** One line a pipeline, and what they have in common. */
export const table = (report: Report, style: Style): string => {
  const rows = report.pipelines.map((pipeline) => {
    const { family, ms, nodes, paper, sharedNodes, status, testbed } = pipeline
    const isWell = status === "passed"
    return [
      isWell ? style.green("✓") : style.red("✗"),
      pipeline.pipeline,
      paper === null ? "" : `arXiv ${paper.arxiv}`,
      family,
      testbed.join(", "),
      isWell ? tally(pipeline) : style.red(tally(pipeline)),
      `${nodes} (${sharedNodes})`,
      `${Format.duration(ms.own)} + ${Format.duration(ms.shared)}`
    ]
  })
  const head = ["", "method", "paper", "family", "testbed", "checks that hold", "nodes (shared)", TIME]
  return Format.table([head.map((text) => (text === "" ? text : style.dim(text))), ...rows])
}

/** How much is shared: `120 nodes together, 300 apart: 0.400`, and the same for their time. */
export const sharing = ({ apart, pipelines, ratio, together }: Report): string => {
  const unreached = pipelines.reduce((total, { unreached }) => total + unreached, 0)
  return [
    `stages executed: ${together.nodes} together, ${apart.nodes} apart${ratio === null ? "" : `, ratio ${Format.number(ratio)}`}`,
    `their time: ${Format.duration(together.ms)} together, ${Format.duration(apart.ms)} apart`,
    ...(unreached === 0 ? [] : [`${Format.count(unreached, "node")} not reached, since others failed: not counted`])
  ].join("\n")
}

/** What is not as the checks state it; `undefined` where all of it is. */
export const complaint = ({ checks, pipeline }: PipelineReport): string | undefined => {
  const names = (wanted: Outcome) => checks.filter(({ outcome }) => outcome === wanted).map(({ name }) => name)
  const said = (about: string, names: ReadonlyArray<string>) =>
    names.length === 0 ? [] : [`${about}: ${names.join(", ")}`]
  const all = [
    ...said("does not hold", names("fail")),
    ...said("holds, though stated as a known gap", names("gap closed")),
    ...said("could not be measured", names("not measured"))
  ]
  return all.length === 0 ? undefined : `${pipeline} ${all.join("; ")}`
}
