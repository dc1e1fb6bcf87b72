/** Arguments and flags that several commands share. */
import { Config, Option, Schema } from "effect"
import { Argument, Flag } from "effect/cli"
import type { Options } from "../executor/Executor.ts"

export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print one line of JSON on stdout and nothing else there"),
  Flag.withDefault(false)
)

export const store = Flag.String("store").pipe(
  Flag.withMetavar("<folder>"),
  Flag.withDescription("Where results are kept (.prefline unless told; PREFLINE_STORE sets it too)"),
  Flag.withFallbackConfig(Config.String("PREFLINE_STORE")),
  Flag.withDefault(".prefline"),
  Flag.withSchema(Schema.NonEmptyString)
)

export const force = Flag.Boolean("force").pipe(
  Flag.withDescription("Write over what is there already"),
  Flag.withDefault(false)
)

export const device = Flag.String("device").pipe(
  Flag.withMetavar("<auto|kind>"),
  Flag.withDescription(
    "Where tensors are computed: wasm (which auto takes), cpu, webgpu, node or node-gpu; see `prefline doctor`"
  ),
  Flag.withDefault("auto")
)

export const pipeline = Argument.String("pipeline").pipe(
  Argument.withDescription("A name from `prefline list`, or a .ts, .js or .mjs file (file.ts#name for a named export)")
)

export const set = Flag.String("set").pipe(
  Flag.withMetavar("<parameter=value>"),
  Flag.withDescription("Sets a parameter; JSON where it parses as JSON, else text (repeatable)"),
  Flag.atLeast(0)
)

export const seed = Flag.Int("seed").pipe(
  Flag.withDescription("Sets the seed that all random streams derive from"),
  Flag.optional
)

type Concurrency = NonNullable<Options["concurrency"]>

/** `4`, or `cpu=4,network=8`. The device is left alone: it does one thing at a time, and `--workers` says how many there are. */
export const parseConcurrency = (text: string): Option.Option<Concurrency> => {
  if (/^[1-9]\d*$/.test(text)) return Option.some({ cpu: Number(text), network: Number(text) })
  const limits: { -readonly [K in keyof Concurrency]: Concurrency[K] } = {}
  for (const part of text.split(",")) {
    const [, resource, limit] = /^(cpu|network)=([1-9]\d*)$/.exec(part) ?? []
    if (resource === undefined || resource in limits) return Option.none()
    limits[resource as keyof Concurrency] = Number(limit)
  }
  return Option.some(limits)
}

export const concurrency = Flag.String("concurrency").pipe(
  Flag.withMetavar("<n | cpu=n,network=n>"),
  Flag.withDescription("How many nodes run at a time: one number for cpu and network work, or one for each"),
  Flag.filterMap(
    parseConcurrency,
    (text) => `a number of at least 1, or one of cpu=4,network=8; got ${JSON.stringify(text)}`
  ),
  Flag.withDefault({} as Concurrency)
)

/** `auto`, or a number of at least 1. */
export const parseWorkers = (text: string): Option.Option<number | "auto"> =>
  text === "auto" ? Option.some("auto") : /^[1-9]\d{0,3}$/.test(text) ? Option.some(Number(text)) : Option.none()

export const workers = Flag.String("workers").pipe(
  Flag.withMetavar("<auto|n>"),
  Flag.withDescription(
    "Threads that nodes train and sample in side by side (auto: as many as cores, memory and independent nodes allow; 1: none)"
  ),
  Flag.filterMap(parseWorkers, (text) => `auto or a number from 1 to 9999; got ${JSON.stringify(text)}`),
  Flag.withDefault("auto" as const)
)
