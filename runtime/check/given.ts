/** How a stage is called when its laws are checked: as its author says, else with inputs derived from its schemas. */
import { Arbitrary } from "effect"
import type * as Artifact from "../../dsl/Artifact.ts"
import * as Contract from "../../dsl/Contract.ts"
import * as Stage from "../../dsl/Stage.ts"
import { type Contracts, fields, NotGenerated, oneOf, values } from "./generate.ts"

/** Records of a generated input. */
const RECORDS = 4

/** Throws `NotGenerated` where nothing is known of a parameter or an input. */
export const of = (stage: Stage.Any, contracts: Contracts): Arbitrary.Arbitrary<Stage.Given> => {
  const contract = contracts.get(Contract.idOf({ stage }))
  const whole = contract?.given ?? stage.given
  if (whole !== undefined) return whole
  if (stage.source !== undefined && contract === undefined)
    throw new NotGenerated({ what: stage.name, problem: "what it reads lies outside, and no generator says what" })
  const params = fields(stage.params, contract?.params ?? {}, contracts, stage.name)
  const inputs = Object.entries(Stage.inputArtifacts(stage)).map(([name, artifact]) => {
    const own = contract?.inputs[name] ?? ofArtifact(artifact, contracts, `${stage.name}, ${name}`)
    const optional = name !== "input" && "optional" in stage.inputs[name]!
    const present = Arbitrary.map(own, (value): object => ({ [name]: value }))
    return optional ? oneOf([Arbitrary.Constant({}), present]) : present
  })
  return Arbitrary.map(Arbitrary.all([params, Arbitrary.all(inputs)]), ([params, parts]) => {
    const { input, ...further } = Object.assign({}, ...parts) as { input?: unknown } & Record<string, unknown>
    return { params, ...(input === undefined ? {} : { input }), inputs: further }
  })
}

const ofArtifact = (artifact: Artifact.Any, contracts: Contracts, what: string): Arbitrary.Arbitrary<unknown> => {
  const known = contracts.get(`artifact ${artifact.name}`)?.values
  if (known !== undefined) return known
  if (artifact.schema === undefined)
    throw new NotGenerated({ what, problem: `${artifact.name} is a folder, which no schema describes` })
  const one = values(artifact.schema, contracts, what)
  return artifact.kind === "records"
    ? Arbitrary.map(Arbitrary.array(one, { maxLength: RECORDS }), (records) => records.map(numbered))
    : one
}

/** Records and prompts with ids of their own, as every loader makes them. */
const numbered = (record: unknown, i: number): unknown => {
  if (typeof record !== "object" || record === null) return record
  const { id, prompt } = record as { readonly id?: unknown; readonly prompt?: { readonly id?: unknown } }
  return {
    ...record,
    ...(typeof id === "string" ? { id: `r${i}` } : {}),
    ...(typeof prompt?.id === "string" ? { prompt: { ...prompt, id: `p${i}` } } : {})
  }
}
