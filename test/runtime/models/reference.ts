/**
 * A Llama in scalar float64 JavaScript, one token at a time, written from the equations and sharing no code with the
 * runtime: the oracle of its tests.
 */
import type { LlamaConfig, Weights } from "../../../runtime/models/Llama.ts"

export type Parameters = ReadonlyMap<string, Float64Array>

export const widened = (weights: Weights): Map<string, Float64Array> =>
  new Map([...weights].map(([name, { data }]) => [name, Float64Array.from(data)]))

/** Logits after every token of one sequence. */
export const logits = (config: LlamaConfig, parameters: Parameters, tokens: ReadonlyArray<number>) => {
  const { hidden_size: H, num_attention_heads: heads, num_key_value_heads: groups } = config
  const width = config.head_dim ?? H / heads
  const at = (name: string) => parameters.get(name)!
  const times = (name: string, x: ReadonlyArray<number>) => {
    const w = at(name)
    const rows = w.length / x.length
    return Array.from({ length: rows }, (_, r) => x.reduce((sum, value, c) => sum + w[r * x.length + c]! * value, 0))
  }
  const norm = (name: string, x: ReadonlyArray<number>) => {
    const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length
    return x.map((value, d) => (value / Math.sqrt(meanSquare + config.rms_norm_eps)) * at(name)[d]!)
  }
  const turn = (x: ReadonlyArray<number>, position: number) =>
    x.map((value, d) => {
      const within = d % width
      const half = width / 2
      const angle = position * config.rope_theta ** (-(2 * (within % half)) / width)
      const other = within < half ? -x[d + half]! : x[d - half]!
      return value * Math.cos(angle) + other * Math.sin(angle)
    })
  const cache = Array.from({ length: config.num_hidden_layers }, () => ({
    keys: [] as number[][],
    values: [] as number[][]
  }))

  return tokens.map((token, position) => {
    let x = Array.from(at("model.embed_tokens.weight").subarray(token * H, (token + 1) * H))
    for (const [layer, { keys, values }] of cache.entries()) {
      const name = `model.layers.${layer}.`
      const a = norm(`${name}input_layernorm.weight`, x)
      const q = turn(times(`${name}self_attn.q_proj.weight`, a), position)
      keys.push(turn(times(`${name}self_attn.k_proj.weight`, a), position))
      values.push(times(`${name}self_attn.v_proj.weight`, a))
      const mixed = Array.from({ length: heads }, (_, head) => {
        const offset = Math.floor(head / (heads / groups)) * width
        const scores = keys.map((key) => {
          let dot = 0
          for (let d = 0; d < width; d++) dot += q[head * width + d]! * key[offset + d]!
          return dot / Math.sqrt(width)
        })
        const highest = Math.max(...scores)
        const weights = scores.map((score) => Math.exp(score - highest))
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        return Array.from({ length: width }, (_, d) =>
          weights.reduce((sum, weight, j) => sum + (weight / total) * values[j]![offset + d]!, 0)
        )
      }).flat()
      x = times(`${name}self_attn.o_proj.weight`, mixed).map((value, d) => value + x[d]!)
      const m = norm(`${name}post_attention_layernorm.weight`, x)
      const gate = times(`${name}mlp.gate_proj.weight`, m)
      const up = times(`${name}mlp.up_proj.weight`, m)
      const inner = gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]!)
      x = times(`${name}mlp.down_proj.weight`, inner).map((value, d) => value + x[d]!)
    }
    const head = config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"
    return times(head, norm("model.norm.weight", x))
  })
}

export const logSoftmax = (row: ReadonlyArray<number>): ReadonlyArray<number> => {
  const highest = Math.max(...row)
  const normalizer = highest + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - highest), 0))
  return row.map((logit) => logit - normalizer)
}

/** Log-probability of every token but the first, given those before it. */
export const tokenLogProbs = (config: LlamaConfig, parameters: Parameters, tokens: ReadonlyArray<number>) =>
  logits(config, parameters, tokens.slice(0, -1)).map((row, t) => logSoftmax(row)[tokens[t + 1]!]!)
