import { call, contractOf, one, scored } from "../laws/calls.ts"
import { statisticalRejection } from "./statisticalRejection.ts"

export const contract = contractOf(
  statisticalRejection,
  call({
    params: one({ k: 1 }, { k: 2, beta: 0, dedupe: false }, { k: 1, beta: 10 }),
    input: scored
  })
)
