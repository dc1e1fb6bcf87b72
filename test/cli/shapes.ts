/** What programs may rely on in the output of `--json`. */
import { Schema } from "effect"
import { Digest } from "../../runtime/store/ArtifactRef.ts"
import { RunId } from "../../runtime/store/RunEvent.ts"

const NodeStatus = Schema.Literals(["computed", "cached", "failed", "skipped"])

export const Result = Schema.Struct({
  run: RunId,
  pipeline: Schema.String,
  status: Schema.Literals(["succeeded", "failed"]),
  nodes: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      stage: Schema.String,
      key: Schema.NullOr(Digest),
      status: NodeStatus,
      ms: Schema.Finite,
      digest: Schema.NullOr(Digest)
    })
  ),
  outputs: Schema.Record(Schema.String, Schema.NullOr(Digest))
})

const PlannedNode = Schema.Struct({
  id: Schema.String,
  stage: Schema.String,
  status: Schema.Literals(["cached", "run", "waits"]),
  key: Schema.NullOr(Digest),
  why: Schema.Array(Schema.String)
})
export const Plan = Schema.Struct({
  pipeline: Schema.String,
  params: Schema.JsonObject,
  nodes: Schema.Array(PlannedNode)
})

export const Runs = Schema.Array(
  Schema.Struct({
    run: RunId,
    pipeline: Schema.String,
    params: Schema.JsonObject,
    at: Schema.String,
    nodes: Schema.Int,
    status: Schema.Literals(["succeeded", "failed", "interrupted", "unfinished"]),
    ms: Schema.NullOr(Schema.Finite)
  })
)

export const Listed = Schema.Array(
  Schema.Struct({
    name: Schema.String,
    family: Schema.String,
    testbed: Schema.Array(Schema.String),
    description: Schema.String,
    paper: Schema.NullOr(Schema.Struct({ title: Schema.String, arxiv: Schema.String })),
    claim: Schema.NullOr(Schema.String),
    checks: Schema.Array(Schema.Struct({ name: Schema.String, kind: Schema.String, expected: Schema.String })),
    parameters: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        type: Schema.String,
        required: Schema.Boolean,
        default: Schema.optionalKey(Schema.Json)
      })
    ),
    module: Schema.String
  })
)

export const Verified = Schema.Struct({
  run: RunId,
  pipeline: Schema.String,
  status: Schema.Literals(["verified", "differs"]),
  nodes: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      stage: Schema.String,
      status: Schema.Literals(["identical", "equal", "differs"]),
      difference: Schema.NullOr(Schema.String),
      keyChanged: Schema.Boolean
    })
  )
})

const Check = Schema.Struct({
  name: Schema.String,
  kind: Schema.Literals(["exact", "statistical"]),
  expected: Schema.String,
  outcome: Schema.Literals(["pass", "fail", "known gap", "gap closed", "not measured"]),
  holds: Schema.NullOr(Schema.Boolean),
  measured: Schema.NullOr(
    Schema.Struct({
      value: Schema.Finite,
      interval: Schema.NullOr(Schema.Tuple([Schema.Finite, Schema.Finite])),
      note: Schema.NullOr(Schema.String)
    })
  ),
  seeds: Schema.Int,
  knownGap: Schema.NullOr(Schema.String),
  problem: Schema.NullOr(Schema.String),
  run: Schema.NullOr(RunId)
})

export const Claims = Schema.Struct({
  pipeline: Schema.String,
  description: Schema.String,
  paper: Schema.NullOr(Schema.Struct({ title: Schema.String, arxiv: Schema.String })),
  family: Schema.String,
  testbed: Schema.Array(Schema.String),
  status: Schema.Literals(["passed", "failed"]),
  problem: Schema.NullOr(Schema.String),
  checks: Schema.Array(Check),
  nodes: Schema.Int,
  sharedNodes: Schema.Int,
  unreached: Schema.Int,
  ms: Schema.Struct({ own: Schema.Finite, shared: Schema.Finite })
})

const Amount = Schema.Struct({ nodes: Schema.Int, ms: Schema.Finite })
export const AllClaims = Schema.Struct({
  status: Schema.Literals(["passed", "failed"]),
  pipelines: Schema.Array(Claims),
  computed: Schema.Int,
  together: Amount,
  apart: Amount,
  ratio: Schema.NullOr(Schema.Finite)
})

/** Decodes the only line of an output; anything before or after it is an error. */
export const only = <A>(schema: Schema.Codec<A, any>, stdout: string): A => {
  const [line, ...rest] = stdout.split("\n")
  if (rest.length !== 1 || rest[0] !== "") throw new Error(`not one line of JSON: ${stdout}`)
  return Schema.decodeUnknownSync(schema)(JSON.parse(line!), { onExcessProperty: "error" })
}
