/** Where text goes: the two streams of a process, each with what it can show. */
import { Context, Effect, Layer } from "effect"

/** Colours and weights; each returns its text unchanged where they cannot be shown. */
export type Style = Readonly<Record<"bold" | "dim" | "red" | "green" | "yellow", (text: string) => string>>

export interface Sink {
  /** Writes text as it is, and ends when the system has taken it. */
  readonly write: (text: string) => Effect.Effect<void>
  /** Whether lines can be redrawn. */
  readonly isTerminal: boolean
  /** The terminal's width at this moment; 80 where that is not known. */
  readonly columns: () => number
  /** Its height at this moment; 24 where that is not known. */
  readonly rows: () => number
  readonly style: Style
}

export class Output extends Context.Service<Output, { readonly stdout: Sink; readonly stderr: Sink }>()(
  "prefline/runtime/cli/Output"
) {
  /** The process's own streams. A reader that goes away ends the process as SIGPIPE would. */
  static readonly layer: Layer.Layer<Output> = Layer.sync(Output, () =>
    Output.of({ stdout: fromStream(process.stdout), stderr: fromStream(process.stderr) })
  )
}

export const line = (sink: Sink, text = ""): Effect.Effect<void> => sink.write(`${text}\n`)

/** The answer of a command, for people. */
export const print = (text = ""): Effect.Effect<void, never, Output> => Output.use(({ stdout }) => line(stdout, text))

/** The answer of a command, for programs: one line of JSON. */
export const printJson = (value: unknown): Effect.Effect<void, never, Output> => print(JSON.stringify(value))

export const styleOf = (colors: boolean): Style => {
  const code = (on: number, off: number) => (text: string) => (colors ? `\u001b[${on}m${text}\u001b[${off}m` : text)
  return { bold: code(1, 22), dim: code(2, 22), red: code(31, 39), green: code(32, 39), yellow: code(33, 39) }
}

const BROKEN_PIPE = 128 + 13
const isBrokenPipe = (cause: NodeJS.ErrnoException | null | undefined) => cause?.code === "EPIPE"

/** A stream and what it is connected to, as far as its owner tells. */
type Connected = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number }

export const fromStream = (
  stream: Connected,
  env: Readonly<Record<string, string | undefined>> = process.env
): Sink => {
  const isTerminal = stream.isTTY === true && env["TERM"] !== "dumb"
  stream.on("error", (cause) => {
    if (isBrokenPipe(cause)) process.exit(BROKEN_PIPE)
  })
  return {
    write: (text) =>
      Effect.callback((resume) => {
        stream.write(text, (cause) => {
          if (!isBrokenPipe(cause)) resume(cause ? Effect.die(cause) : Effect.void)
        })
      }),
    isTerminal,
    columns: () => stream.columns || 80,
    rows: () => stream.rows || 24,
    style: styleOf(isTerminal && !env["NO_COLOR"])
  }
}
