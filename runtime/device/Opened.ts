import type { Numerics } from "./Device.ts"

/** What a device's `open` hands over: how it computes, and what can be seen of it. */
export interface Opened {
  readonly numerics: Numerics
  /** Live tensors and their bytes, over the whole process. */
  readonly tensors: () => { readonly count: number; readonly bytes: number }
  /** For people: adapter, library, instruction set. Never part of a key. */
  readonly details: Readonly<Record<string, string>>
  /** Settles with the reason when the device is lost. */
  readonly lost?: Promise<string>
  /** After it nothing of the device keeps the process alive. */
  readonly close?: () => Promise<void>
}
