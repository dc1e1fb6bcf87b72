/** Stages that die, fail, wait and print, for tests of what becomes of them in workers. */
import * as Fs from "node:fs"
import { Context, Effect, Layer, Option, Schedule, Schema } from "effect"
import * as Artifact from "../../../dsl/Artifact.ts"
import { Count, Index, withDefault } from "../../../dsl/Params.ts"
import * as Pipeline from "../../../dsl/Pipeline.ts"
import { report } from "../../../dsl/Progress.ts"
import * as Stage from "../../../dsl/Stage.ts"
import { DeviceUnavailable } from "../../../runtime/device/Device.ts"

const module = import.meta.url

export const Text = Artifact.value("text", Schema.String)
const isWorker = process.argv[1]?.endsWith("pool/main.ts") === true
const place = () => (isWorker ? "worker" : "main")

/** Counts calls in a file, which all processes see. */
const counted = (file: string): number => {
  Fs.appendFileSync(file, ".")
  return Fs.statSync(file).size
}

/** Dies the first `deaths` times that it runs. `file` counts them. */
const mortal = Stage.make({
  name: "mortal",
  description: "Takes its process with it",
  module,
  params: {
    how: Schema.Literals(["exit", "throw", "reject"]),
    deaths: Index,
    file: Schema.String,
    id: Index.pipe(withDefault(0))
  },
  output: Text,
  resource: "device",
  run: ({ params: { deaths, file, how } }) =>
    Effect.suspend(() => {
      if (counted(file) > deaths) return Effect.succeed("alive")
      if (how === "exit") process.exit(3)
      if (how === "throw") setTimeout(() => Fs.readFileSync(`${file}.missing`))
      else void Promise.reject(new RangeError("nobody awaits it"))
      return Effect.never
    })
})

export class Busy extends Schema.TaggedError<Busy>()("Busy", {
  line: Schema.Struct({ number: Schema.Int }),
  retryable: Schema.Boolean,
  since: Schema.Date
}) {
  override get message() {
    return `line ${this.line.number} is busy`
  }
}

/** Fails `failures` times; its schedule asks for the error's fields. */
const busy = Stage.make({
  name: "busy",
  description: "Fails, then works",
  module,
  params: { failures: Index, retryable: Schema.Boolean, file: Schema.String },
  output: Text,
  resource: "device",
  retry: Schedule.recurs(5).pipe(
    Schedule.setInputType<Busy>(),
    Schedule.while(({ input }) => input._tag === "Busy" && input.line.number === 7)
  ),
  run: ({ params: { failures, file, retryable } }) =>
    Effect.suspend(() =>
      counted(file) > failures
        ? Effect.succeed(place())
        : Effect.fail(new Busy({ line: { number: 7 }, retryable, since: new Date(0) }))
    )
})

const broken = Stage.make({
  name: "broken",
  description: "Has a bug",
  module,
  params: {},
  output: Text,
  resource: "device",
  run: () =>
    Effect.sync(() => {
      throw new RangeError("one too many", { cause: new Error("miscounted") })
    })
})

const quitter = Stage.make({
  name: "quitter",
  description: "Interrupts itself",
  module,
  params: {},
  output: Text,
  resource: "device",
  run: () => Effect.as(Effect.interrupt, "")
})

const endless = Stage.make({
  name: "endless",
  description: "Outlasts its limit",
  module,
  params: {},
  output: Text,
  resource: "device",
  timeout: "50 millis",
  run: () => Effect.as(Effect.never, "")
})

/** Saves how often it has begun, tells so, and waits if that is the first time. */
const patient = Stage.make({
  name: "patient",
  description: "Waits the first time",
  module,
  params: { stubborn: Schema.Boolean.pipe(withDefault(false)) },
  output: Text,
  resource: "device",
  run: ({ params, partial }) =>
    Effect.gen(function* () {
      const begun = Option.match(yield* partial.load, { onNone: () => 1, onSome: ([times]) => times! + 1 })
      yield* partial.save(Uint8Array.of(begun))
      yield* report({ done: begun, unit: "beginnings" })
      if (begun === 1) yield* params.stubborn ? Effect.uninterruptible(Effect.never) : Effect.never
      return `begun ${begun} times`
    })
})

/** Reports a thousand times at once. */
const talkative = Stage.make({
  name: "talkative",
  description: "Tells a lot",
  module,
  params: {},
  output: Text,
  resource: "device",
  run: () =>
    Effect.as(
      Effect.forEach(
        Array.from({ length: 1000 }, (_, i) => i + 1),
        (done) => report({ done, total: 1000, unit: "words" }),
        { discard: true }
      ),
      "told"
    )
})

/** Fails with what no message between processes can hold. */
class Unspeakable extends Schema.TaggedError<Unspeakable>()("Unspeakable", { detail: Schema.Any }) {
  override get message() {
    return "it holds a function"
  }
}

const unspeakable = Stage.make({
  name: "unspeakable",
  description: "Fails with a function",
  module,
  params: {},
  output: Text,
  resource: "device",
  run: () => Effect.fail(new Unspeakable({ detail: () => "cannot be sent" }))
})

/** Gives the same text whatever it is told. */
const indifferent = Stage.make({
  name: "indifferent",
  description: "Gives the same text whatever it is told",
  module,
  params: { id: Index },
  output: Text,
  run: () => Effect.succeed("the same")
})

/** Takes its time, counted in a file. */
const slow = Stage.make({
  name: "slow",
  description: "Reports, takes a moment and passes its input on",
  module,
  params: { file: Schema.String, id: Index.pipe(withDefault(0)) },
  input: Text,
  output: Text,
  resource: "device",
  run: ({ input, params: { file, id } }) =>
    Effect.gen(function* () {
      counted(file)
      yield* report({ done: id, unit: "names" })
      yield* Effect.sleep("300 millis")
      return `${input} ${id}`
    })
})

const scaled = Stage.make({
  name: "scaled",
  description: "Tells the number that it is given",
  module,
  params: { by: Schema.Finite },
  output: Text,
  resource: "device",
  run: ({ params: { by } }) => Effect.succeed(Object.is(by, -0) ? "-0" : String(by))
})

/** Tells its process, once it has a device: without one it fails, and tells so all the same. */
const unplugged = Stage.make({
  name: "unplugged",
  description: "Tells its process",
  module,
  params: { works: Schema.Boolean },
  input: Text,
  output: Text,
  resource: "device",
  run: ({ params: { works } }) => {
    const text = `process ${process.pid}`
    return works ? Effect.succeed(text) : Effect.fail(new DeviceUnavailable({ requested: "any", reason: text }))
  }
})

class Greeting extends Context.Service<Greeting, string>()("prefline/test/system/Greeting") {}

/** What the stages of this module need, and no runtime knows of. */
export const layer = Layer.succeed(Greeting, "hello")

const printed = (resource: "cpu" | "device") =>
  Stage.make({
    name: `greet.${resource}`,
    description: "Prints, and tells where it ran",
    module,
    params: { times: Count.pipe(withDefault(1)) },
    output: Text,
    resource,
    run: ({ params }) =>
      Effect.map(Greeting, (greeting) => {
        console.log(greeting)
        return `${`${greeting} `.repeat(params.times)}from ${place()}`
      })
  })
const greetFast = printed("cpu")
const greet = printed("device")

const counter = { file: Schema.String, times: Index }

export const mortals = Pipeline.make(
  "mortals",
  { description: "", params: { ...counter, how: Schema.Literals(["exit", "throw", "reject"]) } },
  ({ file, how, times }) => ({ mortal: mortal({ how, deaths: times, file }), other: greet() })
)

export const busyLine = Pipeline.make(
  "busyLine",
  { description: "", params: { ...counter, retryable: Schema.Boolean } },
  ({ file, retryable, times }) => ({ busy: busy({ failures: times, retryable, file }) })
)

export const failing = Pipeline.make("failing", { description: "", params: {} }, () => ({
  broken: broken(),
  quitter: quitter(),
  endless: endless(),
  greeting: greet()
}))

export const waiting = Pipeline.make(
  "waiting",
  { description: "", params: { stubborn: Schema.Boolean.pipe(withDefault(false)) } },
  ({ stubborn }) => ({ patient: patient({ stubborn }) })
)

export const unspeakables = Pipeline.make("unspeakables", { description: "", params: {} }, () => ({
  unspeakable: unspeakable()
}))

/** Two nodes that come to have the same key, once their inputs are there. */
export const twins = Pipeline.make("twins", { description: "", params: { file: Schema.String } }, ({ file }) => ({
  one: indifferent({ id: 1 }).pipe(slow({ file })),
  other: indifferent({ id: 2 }).pipe(slow({ file }))
}))

/** Two nodes, one after the other in a pool of one. */
export const inTurn = Pipeline.make("inTurn", { description: "", params: { file: Schema.String } }, ({ file }) => {
  const input = indifferent({ id: 1 })
  return { one: input.pipe(slow({ file, id: 1 })), two: input.pipe(slow({ file, id: 2 })) }
})

export const plugs = Pipeline.make("plugs", { description: "", params: {} }, () => {
  const input = indifferent({ id: 1 })
  return { without: input.pipe(unplugged({ works: false })), with: input.pipe(unplugged({ works: true })) }
})

export const scales = Pipeline.make("scales", { description: "", params: { by: Schema.Finite } }, ({ by }) => ({
  scaled: scaled({ by }),
  plain: scaled({ by: 0 })
}))

export const talking = Pipeline.make("talking", { description: "", params: {} }, () => ({ talkative: talkative() }))

/** A sweep over one seed and a component would do; what matters is that the grid is not in the module. */
export const greetings = Pipeline.make(
  "greetings",
  {
    description: "Greets once for every time",
    params: { times: Count.pipe(withDefault(1)) },
    checks: [
      {
        name: "lengths",
        kind: "exact",
        expected: "three greetings are longer than two",
        over: { times: [2, 3] },
        measure: ([two, three]) => Effect.succeed({ value: three!.outputs.there.length - two!.outputs.there.length }),
        holds: ({ value }) => value === 6
      }
    ]
  },
  ({ times }) => ({ here: greetFast(), there: greet({ times }) })
)
