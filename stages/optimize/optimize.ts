import type { Schema } from "effect"
import type { Pairs, Prompts } from "../../dsl/artifacts.ts"
import type * as Component from "../../dsl/Component.ts"
import type { CheckpointFolder } from "../../dsl/checkpointArtifact.ts"
import type * as Node from "../../dsl/Node.ts"
import type * as Stage from "../../dsl/Stage.ts"
import { logProbs } from "../score/logProbs.ts"
import type { trainingFields } from "./loop.ts"
import type { Objective, ReadsReference } from "./Objective.ts"
import { preference } from "./preference.ts"
import { supervised } from "./supervised.ts"
import { tokenizer } from "./tokenizer.ts"
import type { watchFields } from "./watch.ts"

type Checkpoints<E, R> = Node.Node<typeof CheckpointFolder, E, R>
type AnyObjective = Component.Component<"objective", Objective, any, any>

/** Where an objective's reference comes in: required if it reads one, refused if it does not, as the types know it. */
type ReferenceOf<O, E, R> =
  boolean extends ReadsReference<O>
    ? { readonly reference?: Checkpoints<E, R> }
    : ReadsReference<O> extends true
      ? { readonly reference: Checkpoints<E, R> }
      : { readonly reference?: never }

type OptimizeConfig<O, EF, RF, ER, RR> = Schema.Struct.MakeIn<typeof trainingFields & typeof watchFields> & {
  readonly objective: O
  /** The policy that training starts from. */
  readonly from: Checkpoints<EF, RF>
  /** A second frozen policy, of objectives that read one. */
  readonly guide?: Checkpoints<ER, RR>
  /** Prompts that the policy answers as it is trained, for the log. */
  readonly watch?: Node.Node<typeof Prompts, ER, RR>
  readonly headDeviation?: number
  readonly as?: string
  readonly stream?: string
} & ReferenceOf<O, ER, RR>

type OwnError = Stage.Error<typeof preference> | Stage.Error<typeof logProbs>
type OwnServices = Stage.Services<typeof preference> | Stage.Services<typeof logProbs>

/**
 * Pairs to a policy, by any pairwise objective. Where the objective reads the reference, its log-probabilities of the
 * pairs are annotated first, by a node of their own: methods and sweeps over the same pairs share it.
 */
const preferenceWithReference =
  <const O extends AnyObjective, EF, RF, ER = never, RR = never>(config: OptimizeConfig<O, EF, RF, ER, RR>) =>
  <E, R>(
    pairs: Node.Node<typeof Pairs, E, R>
  ): Node.Node<typeof CheckpointFolder, E | EF | ER | OwnError, R | RF | RR | OwnServices> => {
    const { guide, reference, ...rest } = config as typeof config & { readonly reference?: Checkpoints<ER, RR> }
    const annotate = (name: string, policy: Checkpoints<ER, RR> | undefined) =>
      policy === undefined ? {} : { [name]: pairs.pipe(logProbs({ policy })) }
    const annotations = { ...annotate("referenceLogProbs", reference), ...annotate("guideLogProbs", guide) }
    return pairs.pipe(preference({ ...rest, ...annotations } as never)) as never
  }

/**
 * `optimize({ objective, … })` for preferences; `optimize.supervised` and `optimize.tokenizer` for texts.
 *
 * @example
 * ```ts
 * import { Pipeline } from "prefline/dsl"
 * import * as Text from "prefline/pipelines/testbeds/text"
 * import { ipo, optimize } from "prefline/stages"
 *
 * export default Pipeline.make("optimized", { description: "An example", params: {} }, () => {
 *   const reference = Text.policy({ steps: 300 })
 *   const pairs = Text.preferences(reference, { split: "train", limit: 100, perPrompt: 4 })
 *   return { policy: pairs.pipe(optimize({ from: reference, reference, objective: ipo({ tau: 0.1 }), steps: 60 })) }
 * })
 * ```
 */
export const optimize = Object.assign(preferenceWithReference, { supervised, tokenizer, preference })
