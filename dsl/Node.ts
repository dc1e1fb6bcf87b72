/** A stage applied to parameters and to other nodes. A node is a value; making one runs nothing. */
import { Pipeable } from "effect"
import type * as Artifact from "./Artifact.ts"
import type * as Component from "./Component.ts"
import type * as Json from "./Json.ts"
import type * as Stage from "./Stage.ts"

/** Marks nodes. */
export const TypeId = "~prefline/dsl/Node"

/** `E` and `R`: all that this node and the nodes before it can fail with and need. */
export interface Node<out A extends Artifact.Any, out E = never, out R = never> extends Pipeable.Pipeable {
  readonly [TypeId]: { readonly error: () => E; readonly services: () => R }
  readonly stage: Stage.Any
  readonly artifact: A
  /** Decoded parameters, for the stage's own code. */
  readonly params: unknown
  /** The same as JSON, defaults filled in: what enters keys. */
  readonly encodedParams: Json.JsonObject
  readonly components: ReadonlyArray<Component.Any>
  /** The piped input under the name `input`, the others under the stage's names. */
  readonly inputs: Readonly<Record<string, Any>>
  /** The name of the node's random stream; `undefined` where the stage draws nothing. */
  readonly random: { readonly seed: number; readonly stream: string } | undefined
  /** A name given by the author, for people. */
  readonly label: string | undefined
}

/** A node with any artifact. */
export interface Any extends Node<Artifact.Any, any, any> {}

/** All that a node and the nodes before it can fail with. */
export type Error<N> = N extends { readonly [TypeId]: { readonly error: () => infer E } } ? E : never
/** All that a node and the nodes before it need. */
export type Services<N> = N extends { readonly [TypeId]: { readonly services: () => infer R } } ? R : never

/** Whether a value is a node. */
export const isNode = (u: unknown): u is Any => typeof u === "object" && u !== null && TypeId in u

const phantom = { error: () => undefined as never, services: () => undefined as never }

/** A node from its fields. Stages call it; authors apply stages. */
export const make = <A extends Artifact.Any>(fields: Omit<Node<A>, typeof TypeId | "pipe">): Node<A, never, never> => ({
  ...fields,
  [TypeId]: phantom,
  pipe() {
    // biome-ignore lint/complexity/noArguments: Effect's own way to implement Pipeable
    return Pipeable.pipeArguments(this, arguments)
  }
})

/** Where nodes are being made: the seed of the pipeline, and the round of the loop around them. */
export interface Building {
  readonly seed: number
  readonly rounds: ReadonlyArray<number>
}

let building: Building = { seed: 0, rounds: [] }

/** Where nodes are being made right now. */
export const currentBuilding = (): Building => building

/** Runs `make` synchronously with a changed surrounding. */
export const within = <A>(change: Partial<Building>, make: () => A): A => {
  const before = building
  building = { ...before, ...change }
  try {
    return make()
  } finally {
    building = before
  }
}
