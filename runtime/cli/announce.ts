/** What a run is told with before it begins: who runs it, what, on which device, and where the results go. */
import { Effect, Option } from "effect"
import type * as Pipeline from "../../dsl/Pipeline.ts"
import { Device } from "../device/Device.ts"
import { Store } from "../store/Store.ts"
import * as Versions from "../Versions.ts"
import * as Format from "./format.ts"
import { line, type Sink } from "./Output.ts"

export const announce = Effect.fn("cli.announce")(function* (
  built: Pick<Pipeline.Built, "pipeline" | "params">,
  sink: Sink,
  workers: number
) {
  const { style } = sink
  const { root } = yield* Store
  const device = Option.match(yield* Effect.serviceOption(Device), {
    onNone: () => "none needed",
    onSome: ({ kind, numerics }) => `${kind} (${numerics.kernels}, ${numerics.precision})`
  })
  yield* line(
    sink,
    [
      `prefline ${Versions.current.prefline}  ${style.bold(built.pipeline)}  ${Format.settings(built.params)}`.trimEnd(),
      style.dim(`device ${device}${workers > 1 ? `, ${workers} workers` : ""}`),
      style.dim(`store  ${root}`)
    ].join("\n")
  )
})
