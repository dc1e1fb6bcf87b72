import { Effect } from "effect"
import { type Sink, styleOf } from "../../runtime/cli/Output.ts"

/** A sink that keeps what is written; `writes` are the pieces, as they came. */
export const memorySink = (
  options: { readonly isTerminal?: boolean; readonly columns?: number; readonly rows?: number } = {}
) => {
  const writes: Array<string> = []
  const sink: Sink = {
    write: (text) => Effect.sync(() => void writes.push(text)),
    isTerminal: options.isTerminal ?? false,
    columns: () => options.columns ?? 80,
    rows: () => options.rows ?? 24,
    style: styleOf(options.isTerminal ?? false)
  }
  return { sink, writes, text: () => writes.join("") }
}
