/** The report of a run: one HTML page that needs nothing else, neither network nor script. */
import { Effect } from "effect"
import * as Facts from "./facts.ts"
import * as GraphSection from "./graphSection.ts"
import { type Html, html } from "./html.ts"
import * as Answers from "./results.ts"
import { SORTING } from "./script.ts"
import * as Sections from "./sections.ts"
import { document } from "./style.ts"
import * as SweepSection from "./sweepSection.ts"
import * as Sweeps from "./sweeps.ts"
import * as Trainings from "./trainings.ts"

/** The page of the run with this id, whatever became of it: also of one that failed, was interrupted, or still goes on. */
export const page = Effect.fn("report.page")(function* (run: string) {
  return yield* render(yield* gather(run))
})

/** All that the page tells, read. */
export const gather = Facts.gather

/** What the page tells of results, for programs. */
export const toJson = ({ checks, evaluations, remarks, trainings, view }: Facts.Facts) => ({
  run: view.run,
  pipeline: view.pipeline,
  status: view.status,
  params: view.params,
  evaluations: Object.fromEntries(evaluations.map(({ evaluation, name }) => [name, evaluation.estimates])),
  sweeps: Sweeps.gather(evaluations).map(({ output, rows, seeds }) => ({
    output,
    seeds,
    rows: rows.map(({ results, setting }) => ({
      setting,
      results: Object.fromEntries(
        Object.entries(results).map(([metric, { interval, mean }]) => [metric, { mean, interval: interval ?? null }])
      )
    }))
  })),
  trainings: Object.fromEntries(trainings.map(({ log, node }) => [node, log])),
  checks: checks.map(({ check, problem, verdict }) => ({
    name: check.name,
    expected: check.expected,
    measured: verdict?.measured ?? null,
    holds: verdict?.holds ?? null,
    problem: problem ?? null
  })),
  remarks
})

/** The page. */
export const render = Effect.fn("report.render")(function* (facts: Facts.Facts) {
  const { evaluations, trainings, view } = facts
  const results = yield* Answers.render(evaluations)
  const sweeps = yield* SweepSection.render(Sweeps.gather(evaluations))
  const curves = yield* Trainings.render(trainings, view)
  const place = new Map(view.nodes.map(({ id }, i) => [id, i]))
  const drawing = yield* GraphSection.draw(
    view.nodes.map((node) => ({ ...node, status: GraphSection.drawnStatus(node.status) })),
    view.outputs,
    (node) => `#${Sections.idOf(place.get(node)!)}`
  )
  const sections: ReadonlyArray<readonly [id: string, name: string, section: Html | undefined]> = [
    [
      "results",
      "Results",
      results.length === 0 ? undefined : html`<section id="results"><h2>Results</h2>${results}</section>`
    ],
    [
      "sweep",
      "Sweep",
      sweeps.length === 0 ? undefined : html`<section id="sweep"><h2>Results by setting</h2>${sweeps}</section>`
    ],
    ["answers", "Answers", Answers.answers(evaluations)],
    [
      "training",
      "Training",
      curves.length === 0 ? undefined : html`<section id="training"><h2>Training</h2>${curves}</section>`
    ],
    ["checks", "Checks", Sections.checks(facts)],
    [
      "graph",
      "Graph",
      html`<section id="graph"><h2>Graph</h2>${GraphSection.figure(drawing, view.nodes.length)}</section>`
    ],
    ["parameters", "Parameters", Sections.parameters(facts)],
    ["nodes", "Nodes", Sections.nodes(facts)],
    ["provenance", "Provenance", Sections.provenance(facts)],
    ["remarks", "Remarks", Sections.remarks(facts)]
  ]
  const there = sections.filter(([, , section]) => section !== undefined)
  return document({
    title: `${view.pipeline} · ${view.run}`,
    script: SORTING,
    body: html`<main>
${Sections.header(facts)}
${Sections.trouble(facts)}
<nav aria-label="Contents"><ul>${there.map(([id, name]) => html`<li><a href="#${id}">${name}</a></li>`)}</ul></nav>
${there.map(([, , section]) => section)}
<footer><p>Written by prefline ${view.versions.prefline} from the journal and the store of this run; nothing on this page was loaded from elsewhere.</p></footer>
</main>`
  })
})
