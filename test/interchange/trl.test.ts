import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema, Stream } from "effect"
import { afterAll } from "vitest"
import * as Law from "../../dsl/Law.ts"
import { extractPrompt, implicitPrompt, joined, targets, to, unpair } from "../../runtime/interchange/convert.ts"
import * as Trl from "../../runtime/interchange/Trl.ts"
import { writeRows } from "../../runtime/interchange/writeRows.ts"
import { rows } from "../../stages/load/rows.ts"
import * as Generated from "./generated.ts"

const folder = mkdtempSync(join(tmpdir(), "prefline-interchange-"))
afterAll(() => rmSync(folder, { recursive: true }))

const holds = (law: Law.Law) =>
  Effect.map(law.check(), (verdict) =>
    assert.strictEqual(verdict._tag === "Broken" ? verdict.reason : "", "", law.name)
  )

const throughFile = (name: string, examples: ReadonlyArray<Trl.Example>) =>
  Effect.gen(function* () {
    const path = join(folder, name)
    const columns = examples.length === 0 ? ["text"] : []
    const count = yield* writeRows(path, Stream.fromIterable(examples.map(Trl.encode)), { columns, force: true })
    assert.strictEqual(count, examples.length)
    const read = yield* Stream.runCollect(rows(path).pipe(Stream.mapEffect(([row]) => Trl.decode(row))))
    assert.deepEqual(read, examples)
    return true
  })

const broken = (problem: string) => Effect.fail(new Law.Broken({ reason: problem }))

describe.each(Generated.forms)("%s, conversational: %s", (type, conversational) => {
  const Records = Arbitrary.array(Generated.Example(type, conversational), { maxLength: 30 })
  const name = `${type}-${conversational}`

  it.effect("is told by its columns and reads back as it was written, from JSON lines and from Parquet", () =>
    holds(
      Law.make(
        name,
        Records,
        (examples) =>
          Effect.gen(function* () {
            yield* throughFile(`${name}.jsonl`, examples)
            return yield* throughFile(`${name}.parquet`, examples)
          }),
        { runs: 3 }
      )
    ).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("becomes the types that the table says, and no other", () =>
    holds(
      Law.make(name, Generated.Example(type, conversational), (example) =>
        Effect.gen(function* () {
          for (const wanted of Trl.Type.literals) {
            if (wanted !== type && !targets(type).includes(wanted)) {
              const error = yield* Effect.flip(to(wanted)(example))
              if (!error.message.includes(wanted)) return yield* broken(error.message)
              continue
            }
            for (const made of yield* to(wanted)(example)) {
              if (made.type !== wanted) return yield* broken(`${made.type} for ${wanted}`)
              assert.deepEqual(made.rest, example.rest)
            }
          }
          return true
        })
      )
    )
  )
})

describe("prompts that are implicit", () => {
  for (const conversational of [false, true]) {
    const Implicit = Generated.Example("preference-implicit", conversational) as Arbitrary.Arbitrary<
      Trl.Example<"preference-implicit">
    >
    const Explicit = Generated.Example("preference", conversational) as Arbitrary.Arbitrary<Trl.Example<"preference">>
    it.effect(`are put back as they were taken, conversational: ${conversational}`, () =>
      holds(
        Law.make("implicit, explicit, implicit", Implicit, (example) => {
          assert.deepEqual(implicitPrompt(extractPrompt(example)), example)
          return true
        })
      )
    )
    it.effect(`are all that answers begin with alike, conversational: ${conversational}`, () =>
      holds(
        Law.make("explicit, implicit, explicit", Explicit, (example) => {
          // answers that differ from their first turn or character on, behind a prompt that does not end with a space
          const [yes, no] = conversational
            ? [[{ role: "assistant", content: "yes" }], [{ role: "assistant", content: "no" }]]
            : ["yes", "no"]
          const told = {
            ...example,
            prompt: typeof example.prompt === "string" ? `${example.prompt}:` : example.prompt,
            chosen: joined(yes as Trl.Said, example.chosen),
            rejected: joined(no as Trl.Said, example.rejected)
          } as Trl.Example<"preference">
          assert.deepEqual(extractPrompt(implicitPrompt(told)), told)
          return true
        })
      )
    )
  }

  const extracted = (chosen: string, rejected: string) => {
    const made = extractPrompt({ type: "preference-implicit", chosen, rejected, rest: {} })
    return [made.prompt, made.chosen, made.rejected]
  }
  it("end before a space, and never within a character", () => {
    assert.deepEqual(extracted("The sky is blue.", "The sky is green."), ["The sky is", " blue.", " green."])
    assert.deepEqual(extracted("so 🙂", "so 🙃"), ["so", " 🙂", " 🙃"])
    assert.deepEqual(extracted("a", "b"), ["", "a", "b"])
    assert.deepEqual(extracted("a ", "b "), ["", "a ", "b "])
    assert.deepEqual(extracted("ab", "abc"), ["a", "b", "bc"])
    assert.deepEqual(extracted("", "abc"), ["", "", "abc"])
  })
})

it.effect("unpaired preferences are both answers of a pair, the chosen one first", () =>
  holds(
    Law.make("unpaired", Generated.Example("preference", false), (example) => {
      const pair = example as Trl.Example<"preference">
      const [good, bad, ...more] = unpair(pair)
      return (
        more.length === 0 &&
        good!.label &&
        !bad!.label &&
        good!.completion === pair.chosen &&
        bad!.completion === pair.rejected &&
        good!.prompt === pair.prompt &&
        bad!.prompt === pair.prompt
      )
    })
  )
)

it.effect("bad answers become no text to imitate", () =>
  Effect.gen(function* () {
    const steps: Trl.Example = {
      type: "stepwise-supervision",
      prompt: "Blue light",
      completions: [" scatters,", " so the sky is green."],
      labels: [true, false],
      rest: {}
    }
    assert.deepEqual(yield* to("language-modeling")(steps), [])
    assert.deepEqual(yield* to("unpaired-preference")(steps), [
      {
        type: "unpaired-preference",
        prompt: "Blue light",
        completion: " scatters, so the sky is green.",
        label: false,
        rest: {}
      }
    ])
    assert.deepEqual(yield* to("language-modeling")({ ...steps, labels: [true, true] }), [
      { type: "language-modeling", text: "Blue light scatters, so the sky is green.", rest: {} }
    ])
  })
)

describe("a row of no type", () => {
  const message = { role: "user", content: "hi" }
  const cases: ReadonlyArray<readonly [name: string, row: unknown, said: ReadonlyArray<string>]> = [
    ["that is no object", ["a"], ["is no object but a list"]],
    ["with unknown columns", { question: "a" }, ["(question)", "prompt-completion (prompt, completion)"]],
    ["without columns", {}, ["(none)"]],
    [
      "that lacks the rejected answer",
      { prompt: "a", chosen: "b" },
      ["rejected is missing", "preference has prompt, chosen, rejected"]
    ],
    ["whose columns are null", { prompt: "a", chosen: "b", rejected: null }, ["rejected is missing"]],
    ["that mixes formats", { prompt: "a", chosen: [message], rejected: [message] }, ["mixes texts and lists"]],
    ["with a number for a text", { prompt: 3 }, ["prompt-only", '["prompt"]']],
    ["with a role that is none", { messages: [{ role: 3, content: "a" }] }, ['["role"]']],
    ["with an empty conversation", { messages: [] }, ["language-modeling"]],
    ["with a message that is a text", { messages: ["hi"] }, ["language-modeling"]],
    ["with a text for messages", { messages: "hi" }, ["messages is a text"]],
    ["with labels for other steps", { prompt: "a", completions: ["b"], labels: [] }, ["1 completions and 0 labels"]],
    ["with a label that is no boolean", { prompt: "a", completion: "b", label: 1 }, ['["label"]']],
    ["with half a character", { prompt: "a\ud800" }, ["prompt holds half of a surrogate pair"]],
    [
      "with half a character inside",
      { prompt: [{ role: "user", content: "\udc00" }] },
      ["prompt[0].content holds half"]
    ]
  ]
  it.effect.each(cases)("%s is refused, and says why", ([, row, said]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Trl.decode(row))
      assert.isTrue(Schema.is(Trl.RowInvalid)(error))
      for (const text of said) assert.include(error.message, text)
    })
  )
})

describe("a Parquet file", () => {
  const refused = (content: Uint8Array | string) =>
    Effect.gen(function* () {
      const path = join(folder, "bad.parquet")
      writeFileSync(path, content)
      return yield* Effect.flip(Stream.runDrain(rows(path)))
    })
  it.effect("that is none, or is cut, is refused with its name", () =>
    Effect.gen(function* () {
      const path = join(folder, "good.parquet")
      const rowsOf = [
        { prompt: "a", label: true, n: 1.5 },
        { prompt: "b", label: false, n: 2 }
      ]
      yield* writeRows(path, Stream.fromIterable(rowsOf), { force: true })
      const { readFileSync } = yield* Effect.promise(() => import("node:fs"))
      const good = new Uint8Array(readFileSync(path))
      for (const content of ["", "PAR1", "no parquet at all", good.subarray(0, good.length - 1), good.subarray(4)]) {
        const error = yield* refused(content)
        assert.strictEqual(error._tag, "FileUnreadable")
        assert.include(error.message, "bad.parquet: is no intact Parquet file")
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )
  it.effect("that is missing, or a directory, fails as files do", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(rows("no/such.parquet"))))._tag, "FileMissing")
    })
  )
})
