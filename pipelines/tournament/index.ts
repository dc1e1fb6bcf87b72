/** Where tournaments are held. */
import type { Testbed } from "../../dsl/Pipeline.ts"
import type { Arena } from "./measures.ts"
import * as sequences from "./sequences.ts"
import * as tabular from "./tabular.ts"
import * as text from "./text.ts"

export type { Contestant } from "./contestants.ts"
export { fitting } from "./contestants.ts"
export { type Entrant, entrants } from "./entrants.ts"
export type { Arena, Measures } from "./measures.ts"
export { OPTIMUM_BETAS, optimumName } from "./tabular.ts"

const at = (path: string) => new URL(path, import.meta.url).href

export const arenas: Readonly<Record<Testbed, Arena>> = {
  tabular: {
    module: at("./tabular.ts"),
    pipeline: tabular.pipeline,
    gold: "exact: expected reward, and the probability that the world prefers the policy's answer to the start's",
    parts: ["report", "heldOut"],
    shared: ["heldOut"],
    measure: tabular.measure
  },
  sequences: {
    module: at("./sequences.ts"),
    pipeline: sequences.pipeline,
    gold: "mean reward of an answer's symbols, and how often an answer has more of it than one of the start's",
    parts: ["report", "answers", "heldOut"],
    shared: ["answers", "heldOut"],
    measure: sequences.measure
  },
  text: {
    module: at("./text.ts"),
    pipeline: text.pipeline,
    gold: "the judge's (VADER's) score of answers to held-out prompts, and how often it rates one above the start's",
    parts: ["report", "heldOut"],
    shared: ["heldOut"],
    measure: text.measure
  }
}
