/** What holding pipelines to their claims comes to, as data: for programs, for tables and for the catalogue. */
import { Schema } from "effect"
import { Index } from "../../dsl/Params.ts"

/**
 * `known gap`: it does not hold, as it says itself. `gap closed`: it holds, although it says that it does not.
 * `not measured`: what it is measured on was not made, or the measurement failed.
 */
export const Outcome = Schema.Literals(["pass", "fail", "known gap", "gap closed", "not measured"])
export type Outcome = typeof Outcome.Type

export const CheckReport = Schema.Struct({
  name: Schema.String,
  kind: Schema.Literals(["exact", "statistical"]),
  expected: Schema.String,
  outcome: Outcome,
  holds: Schema.NullOr(Schema.Boolean),
  measured: Schema.NullOr(
    Schema.Struct({
      value: Schema.Finite,
      interval: Schema.NullOr(Schema.Tuple([Schema.Finite, Schema.Finite])),
      note: Schema.NullOr(Schema.String)
    })
  ),
  /** How many seeds it is over. */
  seeds: Index,
  /** Why it does not hold at this scale, where it is known not to. */
  knownGap: Schema.NullOr(Schema.String),
  /** Why it was not measured. */
  problem: Schema.NullOr(Schema.String),
  run: Schema.NullOr(Schema.String)
})
export type CheckReport = typeof CheckReport.Type

/** Milliseconds that nodes took when they were computed, whichever run that was; `shared` with other pipelines of the report. */
const Milliseconds = Schema.Struct({ own: Schema.Finite, shared: Schema.Finite })

export const PipelineReport = Schema.Struct({
  pipeline: Schema.String,
  description: Schema.String,
  paper: Schema.NullOr(Schema.Struct({ title: Schema.String, arxiv: Schema.String })),
  family: Schema.String,
  testbed: Schema.Array(Schema.String),
  /** `passed`: every check passes or has a known gap. */
  status: Schema.Literals(["passed", "failed"]),
  /** Why it was not run at all. */
  problem: Schema.NullOr(Schema.String),
  checks: Schema.Array(CheckReport),
  /** Different nodes of all its checks, by key, and how many of them other pipelines of the report have too. */
  nodes: Index,
  sharedNodes: Index,
  /** Nodes that were not reached, since what they depend on failed; `nodes` does not count them. */
  unreached: Index,
  ms: Milliseconds
})
export type PipelineReport = typeof PipelineReport.Type

/** Nodes and the milliseconds that they took. */
const Amount = Schema.Struct({ nodes: Index, ms: Schema.Finite })

export const Report = Schema.Struct({
  status: Schema.Literals(["passed", "failed"]),
  pipelines: Schema.Array(PipelineReport),
  /** Nodes that were computed now; the others came from the store. */
  computed: Index,
  /** Each node once, whichever pipelines use it. */
  together: Amount,
  /** The sum over pipelines of what each would execute alone, with a store of its own. */
  apart: Amount,
  /** Nodes together, divided by nodes apart; null without nodes. */
  ratio: Schema.NullOr(Schema.Finite)
})
export type Report = typeof Report.Type
