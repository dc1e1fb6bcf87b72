/** How each stage is called when its laws are checked, by stage name: as `prefline check` calls it. */

import type { Arbitrary } from "effect"
import { Effect } from "effect"
import type * as Stage from "../../dsl/Stage.ts"
import * as Called from "../../runtime/check/given.ts"
import * as Inventory from "../../runtime/check/inventory.ts"

export type Given = Arbitrary.Arbitrary<Stage.Given>

const { contracts, stages } = await Effect.runPromise(Inventory.shipped)

export const givens: Readonly<Record<string, Given>> = Object.fromEntries(
  stages.map(({ stage }) => [stage.name, Called.of(stage, contracts)])
)
