/** What is fuzzed: how a case is made, and what its reader has to do with it. */
import type { Effect } from "effect"
import type { Draws } from "./Draws.ts"

/** The input of one case: the bytes of each file, or of each text, by name. */
export type Case = Readonly<Record<string, Uint8Array>>

export interface Target {
  readonly name: string
  /** How often it is drawn, relative to the others: slow readers less often. */
  readonly weight: number
  /** Tags of the errors by which it may refuse a case. Every other failure, and every defect, is a finding. */
  readonly refuses: ReadonlyArray<string>
  readonly make: (draws: Draws) => Case
  /**
   * Reads a case. Success is acceptance, after what was read turned out to be consistent; an inconsistency is a defect.
   * `folder` is empty, and is emptied again after the case.
   */
  readonly read: (input: Case, folder: string) => Effect.Effect<void, unknown>
}

const encoder = new TextEncoder()
export const bytesOf = (text: string): Uint8Array => encoder.encode(text)
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8")

/** A case that was accepted and does not keep what acceptance promises. */
export class Inconsistent extends Error {
  override readonly name = "Inconsistent"
}

export const holds = (condition: boolean, promise: string): void => {
  if (!condition) throw new Inconsistent(promise)
}
