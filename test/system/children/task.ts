/** A worker: executes one task, `task.ts <store> <task as JSON>`. Prints the digest of its output, or the error's tag. */
import { Effect, Layer } from "effect"
import { Device } from "../../../runtime/device/Device.ts"
import { executeTask } from "../../../runtime/executor/executeTask.ts"
import { CodeHash } from "../../../runtime/store/CodeHash.ts"
import { Store } from "../../../runtime/store/Store.ts"

const [root, task] = process.argv.slice(2) as [string, string]
const layer = Layer.mergeAll(Store.layer(root), CodeHash.layer, Device.layer("wasm"))
const said = executeTask(task).pipe(
  Effect.provide(layer),
  Effect.match({ onSuccess: ({ digest }) => ({ digest }), onFailure: ({ _tag }) => ({ refused: _tag }) })
)
console.log(JSON.stringify(await Effect.runPromise(said as Effect.Effect<object>)))
