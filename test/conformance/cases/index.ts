import type { Case } from "../Case.ts"
import { cases as elementwise } from "./elementwise.ts"
import { cases as fused } from "./fused.ts"
import { cases as images } from "./images.ts"
import { cases as moving } from "./moving.ts"
import { cases as products } from "./products.ts"
import { cases as reductions } from "./reductions.ts"

export const families: Readonly<Record<string, ReadonlyArray<Case>>> = {
  elementwise,
  reductions,
  moving,
  products,
  images,
  fused
}
