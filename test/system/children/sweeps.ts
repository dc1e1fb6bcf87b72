/** Four sweeps of one experiment, each of which shares points with the others. */
import * as Pipeline from "../../../dsl/Pipeline.ts"
import experiment from "./experiment.ts"

const sweep = (beta: ReadonlyArray<number>, seeds: number) =>
  Pipeline.sweep({ beta, seed: Pipeline.Seeds(seeds) }, experiment)

export const first = sweep([0.05, 0.5], 1)
export const second = sweep([0.5, 2], 1)
export const third = sweep([2, 0.05], 1)
export const fourth = sweep([0.5], 2)
