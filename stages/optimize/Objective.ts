/**
 * The kind of component that a policy is trained on: the loss of an item (a pair, with what else its method reads) and the
 * implicit reward of an answer, both as expressions. What must be given to it is read off them.
 */
import * as Component from "../../dsl/Component.ts"
import type { Expression, Role } from "./algebra/Expression.ts"
import { type Reads, reads } from "./algebra/reads.ts"
import { laws } from "./objectiveLaws.ts"

/**
 * `loss`: one value for each item, not reduced: the caller takes the mean. `reward`: the implicit reward of an answer, for
 * metrics and for scoring with a trained policy. `reads`: what the loss reads.
 */
export interface Objective<out Reference extends boolean = boolean> {
  readonly loss: Expression
  readonly reward: (role: Role) => Expression
  readonly reads: Reads & { readonly reference: Reference }
}

/** What an author writes. */
export interface Written {
  readonly loss: Expression
  readonly reward: (role: Role) => Expression
}

/** `true` for an objective (a component or what it implements) that reads the reference, `false` for one that does not. */
export type ReadsReference<O> =
  O extends Objective<infer Reference>
    ? Reference
    : O extends { readonly implementation: Objective<infer Reference> }
      ? Reference
      : never

export const Objective = Component.kind<Objective>()("objective", { laws })

/** An objective as it is used, with what it reads. */
export const objective = ({ loss, reward }: Written): Objective => {
  if (loss.extent !== "item") throw new TypeError("a loss has one value for each item; sum over the tokens")
  return { loss, reward, reads: reads([loss]) }
}

type Define<Reference extends boolean> = <const P extends Parameters<typeof Objective.define>[1]["params"]>(
  name: string,
  definition: Omit<Parameters<typeof Objective.define<P>>[1], "make"> & {
    readonly make: (params: Parameters<Parameters<typeof Objective.define<P>>[1]["make"]>[0]) => Written
  }
) => Component.Definition<"objective", P, Objective<Reference>, never, never>

const defining =
  <Reference extends boolean>(expected: Reference): Define<Reference> =>
  (name, definition) =>
    Objective.define(name, {
      ...definition,
      make: (params) => {
        const made = objective(definition.make(params))
        if (made.reads.reference !== expected)
          throw new TypeError(`it ${made.reads.reference ? "reads" : "does not read"} the reference, unlike its type`)
        return made
      }
    }) as never

/** Defines an objective whose type says that it reads the reference. */
export const defineReferenced = defining(true)

/** Defines an objective whose type says that it does without a reference. */
export const defineReferenceFree = defining(false)
