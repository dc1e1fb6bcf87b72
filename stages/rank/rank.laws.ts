import { call, contractOf, scored } from "../laws/calls.ts"
import { rank } from "./rank.ts"

export const contract = contractOf(rank, call({ input: scored }))
