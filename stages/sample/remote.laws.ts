import { Arbitrary, Schema } from "effect"
import * as Contract from "../../dsl/Contract.ts"
import * as Law from "../../dsl/Law.ts"
import * as Rng from "../../dsl/Rng.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { EndpointConfig } from "../../runtime/services/EndpointConfig.ts"
import { url } from "../../runtime/services/localRule.ts"
import { type Params, requests, sampleRemote } from "./remote.ts"

const endpoint = Arbitrary.schema(Schema.Literals(["completions", "chat"])).pipe(
  Arbitrary.map((api) => ({ url, model: "rule", api, retries: 0 }))
)
const Settings = Arbitrary.all([
  Arbitrary.schema(Schema.Literals(["each", "unseeded", "together"])),
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 }))),
  Arbitrary.schema(Law.Real(0, 2))
])
const asked = (kind: Params["requests"], perPrompt: number, temperature: number, id = "p") =>
  requests(
    {
      endpoint: EndpointConfig.make({ url, model: "rule" }),
      maxTokens: 9,
      logProbs: false,
      lead: "",
      requests: kind,
      perPrompt,
      temperature
    },
    { id, text: "the food" },
    Rng.make(0, "sample.remote")
  )

export const contract = Contract.of(sampleRemote, {
  params: { endpoint },
  laws: [
    StageLaw.output("keeps the prompts, in order", (made, { input }) =>
      StageLaw.near(
        made.map(({ prompt }: any) => prompt),
        input,
        0
      )
    ),
    StageLaw.output("gives every prompt as many answers as asked", (made, { params }) =>
      made.every(({ completions }: any) => completions.length === (params.perPrompt ?? 1))
    ),
    StageLaw.recordByRecord,
    StageLaw.related(
      "more answers leave the first ones as they are",
      (call) =>
        call.params.requests === "together"
          ? undefined
          : StageLaw.withParams(call, { perPrompt: (call.params.perPrompt ?? 1) + 1 }),
      (made, more) =>
        StageLaw.near(
          made.map(({ completions }: any) => completions),
          more.map(({ completions }: any) => completions.slice(0, -1)),
          0
        )
    ),
    StageLaw.related(
      "the endpoint's limits change no answer",
      (call) =>
        StageLaw.withParams(call, {
          endpoint: { ...call.params.endpoint, concurrency: 1, timeout: 9, retries: 2, budget: { tokens: 1e9 } }
        }),
      (made, other) => StageLaw.near(made, other, 0)
    ),
    Law.make(
      "no two answers of a prompt, nor of two prompts, share a draw",
      Settings,
      ([kind, perPrompt, temperature]) => {
        const all = ["p", "q"].flatMap((id) => asked(kind, perPrompt, temperature, id))
        return new Set(all.map(({ draw, seed }) => seed ?? draw)).size === all.length
      }
    ),
    Law.make("asks for every answer once, with the settings given", Settings, ([kind, perPrompt, temperature]) => {
      const all = asked(kind, perPrompt, temperature)
      const answers = all.reduce((sum, { n = 1 }) => sum + n, 0)
      return (
        answers === perPrompt &&
        all.every((one) => one.maxTokens === 9 && one.temperature === temperature && one.prompt === "the food")
      )
    })
  ]
})
