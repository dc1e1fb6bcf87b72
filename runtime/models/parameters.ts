import { setValues } from "../tensor/AdamW.ts"
import type { Llama } from "./Llama.ts"

/** Replaces every parameter by `valuesOf(name)`, row-major and of the parameter's size. */
export const setParameters = (model: Llama, valuesOf: (name: string) => Float32Array): void => {
  for (const [name, parameter] of model.parameters) setValues(parameter, valuesOf(name))
}
