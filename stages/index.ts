/**
 * The vocabulary of experiments. For pipelines only: a stage or component that imported this would have all of it in its
 * code hash.
 */

export { degree } from "./evaluate/degree.ts"
export { duels } from "./evaluate/duels.ts"
export { evaluate } from "./evaluate/evaluate.ts"
export { likelihood } from "./evaluate/likelihood.ts"
export { likelihoodChange } from "./evaluate/likelihoodChange.ts"
export { preferenceAccuracy, preferenceReads } from "./evaluate/preferenceAccuracy.ts"
export * as exact from "./exact/index.ts"
export {
  distinct,
  filter,
  lengthBounds,
  minCompletions,
  nonEmpty,
  scoreBounds,
  spread,
  statisticalRejection
} from "./filter/index.ts"
export * as load from "./load/index.ts"
export { extrapolate } from "./optimize/extrapolate.ts"
export { Objective } from "./optimize/Objective.ts"
export { aot, aotUnpaired } from "./optimize/objectives/aot.ts"
export { apoDown, apoZero } from "./optimize/objectives/apo.ts"
export { bco, bcoPair } from "./optimize/objectives/bco.ts"
export { betaDpo } from "./optimize/objectives/betaDpo.ts"
export { bradleyTerry } from "./optimize/objectives/bradleyTerry.ts"
export { brain } from "./optimize/objectives/brain.ts"
export { cpo } from "./optimize/objectives/cpo.ts"
export { discopop } from "./optimize/objectives/discopop.ts"
export { dno } from "./optimize/objectives/dno.ts"
export { dpo } from "./optimize/objectives/dpo.ts"
export { dpop } from "./optimize/objectives/dpop.ts"
export { exoPair } from "./optimize/objectives/exo.ts"
export { fDpo } from "./optimize/objectives/fDpo.ts"
export { flexDpo } from "./optimize/objectives/flexDpo.ts"
export { gpm } from "./optimize/objectives/gpm.ts"
export { gpo } from "./optimize/objectives/gpo.ts"
export { hinge } from "./optimize/objectives/hinge.ts"
export { imitation } from "./optimize/objectives/imitation.ts"
export { ipo } from "./optimize/objectives/ipo.ts"
export { kto } from "./optimize/objectives/kto.ts"
export { labelSmoothingField } from "./optimize/objectives/labelSmoothing.ts"
export { ldDpo } from "./optimize/objectives/ldDpo.ts"
export { modpo } from "./optimize/objectives/modpo.ts"
export { ncaPair } from "./optimize/objectives/nca.ts"
export { odpo } from "./optimize/objectives/odpo.ts"
export { orpo } from "./optimize/objectives/orpo.ts"
export { plackettLuce } from "./optimize/objectives/plackettLuce.ts"
export { rdpo } from "./optimize/objectives/rdpo.ts"
export { robust } from "./optimize/objectives/robust.ts"
export { rpo } from "./optimize/objectives/rpo.ts"
export { rrhf } from "./optimize/objectives/rrhf.ts"
export { sft } from "./optimize/objectives/sft.ts"
export { sigmoidNorm } from "./optimize/objectives/sigmoidNorm.ts"
export { simpo } from "./optimize/objectives/simpo.ts"
export { slicHf } from "./optimize/objectives/slicHf.ts"
export { sppo } from "./optimize/objectives/sppo.ts"
export { sppoHard } from "./optimize/objectives/sppoHard.ts"
export { srpo } from "./optimize/objectives/srpo.ts"
export { tgdpo } from "./optimize/objectives/tgdpo.ts"
export { tpo, tpoL } from "./optimize/objectives/tpo.ts"
export { vpo } from "./optimize/objectives/vpo.ts"
export { withDegree } from "./optimize/objectives/withDegree.ts"
export { withSft } from "./optimize/objectives/withSft.ts"
export { wpo } from "./optimize/objectives/wpo.ts"
export { optimize } from "./optimize/optimize.ts"
export {
  adjacent,
  allAbove,
  bestWorst,
  degrade,
  draftViews,
  flip,
  group,
  mismatch,
  mixed,
  pair,
  rated,
  shuffleNumbers,
  sources,
  tournament,
  triple,
  withCalibration
} from "./pair/index.ts"
export { rank } from "./rank/rank.ts"
export { sampleRemote } from "./sample/remote.ts"
export { revise } from "./sample/revise.ts"
export { sample } from "./sample/sample.ts"
export {
  afinn,
  byReward,
  judge,
  length,
  logProbs,
  majority,
  margins,
  modelScores,
  noise,
  repetition,
  rubric,
  score,
  vader,
  weighted,
  winRates,
  wordCount
} from "./score/index.ts"
export * as Judge from "./score/Judge.ts"
export * as Reward from "./score/Reward.ts"
