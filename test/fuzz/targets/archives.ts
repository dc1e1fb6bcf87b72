import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { gunzipSync, gzipSync } from "node:zlib"
import { Effect, Result } from "effect"
import { exportRun } from "../../../runtime/archive/exportRun.ts"
import { importRun } from "../../../runtime/archive/importRun.ts"
import * as Journal from "../../../runtime/store/Journal.ts"
import { Store } from "../../../runtime/store/Store.ts"
import { inProcess } from "../../cli/inProcess.ts"
import { problemsOf } from "../../long/storeCheck.ts"
import type { Draws } from "../Draws.ts"
import { mutateBytes } from "../mutateBytes.ts"
import { mutateJson } from "../mutateJson.ts"
import { bytesOf, holds, type Target } from "../Target.ts"

/** The unpacked archive of a small run. */
const exported = async (): Promise<Uint8Array> => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "prefline-fuzz-"))
  try {
    const root = `${folder}/store`
    await inProcess(["run", "tiny", "--store", root])
    const [run] = Fs.readdirSync(`${root}/runs`)
    const file = `${folder}/archive.tar.gz`
    await Effect.runPromise(Effect.provide(exportRun(run!, file), Store.layer(root)))
    return Uint8Array.from(gunzipSync(Fs.readFileSync(file)))
  } finally {
    Fs.rmSync(folder, { recursive: true })
  }
}

const tar = await exported()
const BLOCK = 512

/** Where the headers of the entries stand, and how many bytes follow each. */
const entries: Array<readonly [at: number, size: number]> = []
for (let at = 0; at + BLOCK <= tar.length && tar[at] !== 0; ) {
  const size = Number.parseInt(Buffer.from(tar.subarray(at + 124, at + 135)).toString("latin1"), 8)
  entries.push([at, size])
  at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
}

/** A header with fields changed and its checksum right again. */
const header = (bytes: Uint8Array, changes: ReadonlyArray<readonly [at: number, text: string]>): Uint8Array => {
  const copy = bytes.slice()
  for (const [at, text] of changes) copy.set(bytesOf(text), at)
  copy.fill(0x20, 148, 156)
  const sum = copy.reduce((total, byte) => total + byte, 0)
  copy.set(bytesOf(`${sum.toString(8).padStart(6, "0")}\0 `), 148)
  return copy
}

const octal = (n: number) => `${n.toString(8).padStart(11, "0")}\0`
const NAMES = ["../../../escaped\0", "/tmp/prefline-escaped\0", "format.json\0", "runs/../../x\0", "objects/..\0", "\0"]

const changedHeader = (draws: Draws): Uint8Array => {
  const [at] = draws.pick(entries)
  const block = tar.subarray(at, at + BLOCK)
  const change = draws.pick<ReadonlyArray<readonly [number, string]>>([
    [[0, draws.pick(NAMES)]],
    [[124, octal(draws.pick([0, 1, 511, 8 ** 11 - 1, draws.int(100_000)]))]],
    [[156, draws.pick(["1", "2", "3", "5", "6", "x", "g", "L", "S"])]],
    [[157, draws.pick(NAMES)]],
    [[345, "../".repeat(20)]]
  ])
  return Uint8Array.from(Buffer.concat([tar.subarray(0, at), header(block, change), tar.subarray(at + BLOCK)]))
}

/** The declaration damaged, with a header that fits it. */
const changedManifest = (draws: Draws): Uint8Array => {
  const [, size] = entries[0]!
  const manifest = JSON.parse(Buffer.from(tar.subarray(BLOCK, BLOCK + size)).toString("utf8"))
  const text = bytesOf(mutateJson(manifest, draws))
  const padding = new Uint8Array((BLOCK - (text.length % BLOCK)) % BLOCK)
  const rest = tar.subarray(entries[1]![0])
  return Uint8Array.from(
    Buffer.concat([header(tar.subarray(0, BLOCK), [[124, octal(text.length)]]), text, padding, rest])
  )
}

const packed = (draws: Draws): Uint8Array => {
  switch (draws.int(5)) {
    case 0:
      return mutateBytes(new Uint8Array(gzipSync(tar)), draws)
    case 1:
      return new Uint8Array(gzipSync(changedHeader(draws)))
    case 2:
      return new Uint8Array(gzipSync(changedManifest(draws)))
    case 3:
      return new Uint8Array(gzipSync(Buffer.concat([tar, new Uint8Array(2 ** 21)])))
    default:
      return new Uint8Array(gzipSync(mutateBytes(tar, draws)))
  }
}

/** An archive is taken in whole, or leaves no trace. */
export const archives: Target = {
  name: "archives",
  weight: 0.7,
  refuses: ["ArchiveInvalid", "StoreWriteFailed"],
  make: (draws) => ({ archive: packed(draws) }),
  read: ({ archive }, folder) =>
    Effect.gen(function* () {
      const root = `${folder}/around/store`
      Fs.writeFileSync(`${folder}/archive`, archive!)
      const imported = yield* Effect.result(Effect.provide(importRun(`${folder}/archive`), Store.layer(root)))
      holds(problemsOf(root, { settled: true }).join() === "", `a sound store: ${problemsOf(root, { settled: true })}`)
      holds(Fs.readdirSync(`${folder}/around`).join() === "store", "writes only in its store")
      const found = Fs.globSync([`${root}/objects/*/*`, `${root}/actions/*/*`, `${root}/runs/*/*`])
      if (Result.isFailure(imported)) holds(found.length === 0, `nothing of what is refused: ${found}`)
      const { run } = yield* Effect.fromResult(imported)
      yield* Effect.orDie(Journal.summarize(root, run))
    })
}
