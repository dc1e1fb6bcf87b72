import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one, tokenizer } from "../laws/calls.ts"
import { few, sameWeights } from "../laws/laws.ts"
import * as Tiny from "../laws/tiny.ts"
import { untrained } from "./untrained.ts"

const small = { hiddenSize: 8, intermediateSize: 12, heads: 2, keyValueHeads: 1, layers: 1 }

export const contract = Contract.of(untrained, {
  given: call({
    params: one<object>(small, { ...small, layers: 2, tiedHead: false, context: 9 }, { hiddenSize: 7 }),
    input: one(Tiny.tinyPolicy(1).tokenizer)
  }),
  laws: few(3, [
    StageLaw.output("has norms of one and small weights around zero", ({ weights }) => {
      for (const [name, { data, shape }] of weights) {
        const values: ReadonlyArray<number> = [...data]
        const fits = shape.length === 1 ? values.every((x) => x === 1) : values.every((x) => Math.abs(x) < 0.2)
        const mean = values.reduce((sum, x) => sum + x, 0) / values.length
        if (!fits || (shape.length > 1 && Math.abs(mean) > 0.02)) return `${name} has the mean ${mean}`
      }
      return true
    }),
    StageLaw.output(
      "has the sizes asked for and the tokenizer's vocabulary",
      ({ config, tokenizer: own, weights }, { input, params }) => {
        const embedding = weights.get("model.embed_tokens.weight").shape
        const layers = new Set([...weights.keys()].flatMap((name: string) => /layers\.(\d+)\./.exec(name)?.[1] ?? []))
        const sizes = [embedding, layers.size, config.max_position_embeddings, weights.has("lm_head.weight"), own]
        const wanted = [params.hiddenSize, params.layers, params.context ?? 64, params.tiedHead === false, input]
        return StageLaw.near(sizes, [[tokenizer.vocabSize, wanted[0]], ...wanted.slice(1)], 0)
      }
    ),
    StageLaw.related(
      "more layers leave the first ones as they are",
      (call) => StageLaw.withParams(call, { layers: call.params.layers + 1 }),
      (made, deeper, { params }) => {
        const first = [...deeper.weights].filter(([name]: any) => !name.includes(`layers.${params.layers}.`))
        return sameWeights(made, { ...deeper, weights: new Map(first) })
      }
    ),
    StageLaw.related(
      "a head of its own leaves the other weights as they are",
      (call) => StageLaw.withParams(call, { tiedHead: false }),
      (made, untied) => {
        const without = (checkpoint: any) => ({
          ...checkpoint,
          weights: new Map([...checkpoint.weights].filter(([name]: any) => name !== "lm_head.weight"))
        })
        return untied.weights.has("lm_head.weight") && sameWeights(without(made), without(untied))
      }
    )
  ])
})
