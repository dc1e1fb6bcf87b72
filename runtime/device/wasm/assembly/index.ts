// The module's exports: every exported function of these files. Addresses are byte offsets into the backend's memory,
// counts are elements. Nothing here may need a data segment, a table or an allocator: build.ts refuses them.
export { maddOnce } from "./probe"
export { permute } from "./layout"
export { gather, segmentSum, segmentSumInts } from "./indexing"
export { add, multiply, subtract } from "./elementwise"
export { matmul, matmulScratch } from "./matmul"
export {
  addPatches, averagePoolGradient, depthwise, depthwiseFilter, depthwiseInput, maxPoolGradient, patches
} from "./convolution"
export { swiGlu, swiGluGradient } from "./activation"
export {
  cachedAttention, cachedScratch, causalAttention, causalAttentionGradient, causalGradientScratch, causalScratch,
  triangle
} from "./attention"
export { logProbs, logProbsGradient } from "./crossEntropy"
export { expScratch, exps, log } from "./math"
export { rmsNorm, rmsNormGradient, rmsNormScratch } from "./norm"
export { adamW, sumOfSquares } from "./optimizer"
export { gatherRows, scatterRows } from "./rows"
export { draw, drawScratch } from "./sampling"
