/** What prefline would like to find: packages of the right version, variables, and, when asked, the Hub. */
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { Effect } from "effect"
import manifest from "#package.json" with { type: "json" }

export interface Mismatch {
  readonly package: string
  readonly wanted: string
  /** Null where it is not installed. */
  readonly installed: string | null
  readonly optional: boolean
}

/** The packages whose installed version is not the one that prefline names. */
export const mismatches = (): ReadonlyArray<Mismatch> => {
  const named = (packages: Readonly<Record<string, string>>, optional: boolean) =>
    Object.entries(packages).flatMap(([name, wanted]): ReadonlyArray<Mismatch> => {
      const installed = versionOf(name)
      return installed === wanted ? [] : [{ package: name, wanted, installed, optional }]
    })
  return [...named(manifest.dependencies, false), ...named(manifest.optionalDependencies, true)]
}

/** The installed version; null where the package is not found from here. */
export const versionOf = (name: string): string | null => {
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    const path = join(folder, name, "package.json")
    if (existsSync(path)) return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version
  }
  return null
}

/** Variables that change what prefline does. Only whether they are set is told: values may be secrets. */
const VARIABLES = [
  "PREFLINE_DATA",
  "PREFLINE_STORE",
  "PREFLINE_CACHE",
  "PREFLINE_TFJS_NODE",
  "HF_ENDPOINT",
  "HF_TOKEN",
  "HF_HUB_OFFLINE",
  "OPENAI_API_KEY",
  "OPENAI_BASE_URL",
  "OTEL_EXPORTER_OTLP_ENDPOINT"
]

export const variables = (): Readonly<Record<string, boolean>> =>
  Object.fromEntries(VARIABLES.map((name) => [name, (process.env[name] ?? "") !== ""]))

export interface Reach {
  readonly host: string
  readonly reached: boolean
  /** The status of the answer, or why there was none. */
  readonly answer: string
}

const HUB = "https://huggingface.co"

/** Asks the Hub for an answer of any kind; `HF_ENDPOINT` names another one. */
export const hub = (seconds: number): Effect.Effect<Reach> =>
  Effect.suspend(() => {
    const text = process.env["HF_ENDPOINT"] || HUB
    if (!URL.canParse(text)) return Effect.succeed({ host: "HF_ENDPOINT", reached: false, answer: "it is no URL" })
    const url = new URL(text)
    const asked = Effect.tryPromise((signal) => fetch(url, { method: "HEAD", redirect: "manual", signal }))
    return asked.pipe(
      Effect.map(({ status }): Reach => ({ host: url.host, reached: true, answer: `status ${status}` })),
      Effect.catch(({ cause }) =>
        Effect.succeed<Reach>({ host: url.host, reached: false, answer: networkProblem(cause) })
      ),
      Effect.timeoutOrElse({
        duration: `${seconds} seconds`,
        orElse: () => Effect.succeed<Reach>({ host: url.host, reached: false, answer: `no answer within ${seconds} s` })
      })
    )
  })

/** What `fetch` fails with says little; its cause says what happened. */
const networkProblem = (cause: unknown): string => {
  const inner = cause instanceof Error ? cause.cause : undefined
  return inner instanceof Error ? inner.message || inner.name : cause instanceof Error ? cause.message : String(cause)
}
