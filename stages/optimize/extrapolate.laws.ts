import { call, contractOf, one, otherPolicy, policy } from "../laws/calls.ts"
import { extrapolate } from "./extrapolate.ts"

export const contract = contractOf(
  extrapolate,
  call({
    params: one({ alpha: 0.3 }),
    input: one(policy),
    inputs: { previous: otherPolicy }
  })
)
