/**
 * Traces and metrics for an OpenTelemetry collector, where the environment names one. Nothing of it is loaded elsewhere,
 * and a collector that cannot be reached, or does not answer, costs a run a bounded moment at its end and nothing else.
 */
import { Effect, Exit, Layer } from "effect"

export type Environment = Readonly<Record<string, string | undefined>>

/** Tells a person, once in a process, that telemetry gets lost, and why. It must not fail. */
export type Say = (problem: string) => Effect.Effect<void>

const ENDPOINTS = [
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
]

/** Whether the environment names a collector and does not switch telemetry off. */
export const isAsked = (env: Environment): boolean =>
  ENDPOINTS.some((name) => Boolean(env[name])) && env["OTEL_SDK_DISABLED"]?.toLowerCase() !== "true"

/** Runs an effect with its spans and the process's metrics exported, if that is asked for; else as it is. */
export const observed =
  (say: Say, env: Environment = process.env) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    isAsked(env) ? Effect.scoped(exporting(say, env, effect)) : effect

const exporting = <A, E, R>(say: Say, env: Environment, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const { layer } = yield* Effect.promise(() => import("./otlp.ts"))
    const built = yield* Effect.exit(Layer.buildWithScope(layer(say, env), scope))
    if (Exit.isSuccess(built)) return yield* Effect.provide(effect, built.value)
    // A setting that cannot be read: its text may hold a secret, so it is not repeated.
    yield* say("a variable OTEL_… cannot be read")
    return yield* effect
  })
