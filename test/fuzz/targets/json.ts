import { Effect, Result } from "effect"
import * as Json from "../../../dsl/internal/json.ts"
import { mutateBytes } from "../mutateBytes.ts"
import { mutateJson } from "../mutateJson.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const SEED = { a: [1, -0.5e-3, true, null, "é\n"], b: { c: {}, "d e": [[]], "": "x" }, n: 1.5e300 }

/** The strict reader takes less than `JSON.parse` does, never more, and gives the same value. */
export const json: Target = {
  name: "JSON",
  weight: 16,
  refuses: ["Malformed"],
  make: (draws) => {
    const text = bytesOf(mutateJson(SEED, draws))
    return { text: draws.chance(0.3) ? mutateBytes(text, draws) : text }
  },
  read: ({ text: bytes }) =>
    Effect.suspend(() => {
      const text = textOf(bytes!)
      const read = Json.parse(text)
      if (Result.isFailure(read)) {
        const { column, line, problem } = read.failure
        holds(line >= 1 && column >= 1 && problem !== "", "says where and why")
        return Effect.fail({ _tag: "Malformed", message: problem })
      }
      const lenient: unknown = JSON.parse(text)
      holds(JSON.stringify(lenient) === JSON.stringify(read.success), "gives the value that JSON.parse gives")
      const again = Json.parse(Json.print(read.success))
      holds(Result.isSuccess(again) && Json.print(again.success) === Json.print(read.success), "prints what it reads")
      holds(Object.getPrototypeOf({}) === Object.prototype && !("polluted" in {}), "leaves prototypes alone")
      return Effect.void
    })
}
