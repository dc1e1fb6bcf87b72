/** The kernels of the published wasm backend that are slow, missing or wrong, put right. */
import "@tensorflow/tfjs-backend-wasm"
import { convolutionKernels } from "./convolution.ts"
import { einsumKernels } from "./einsum.ts"
import { elementwiseKernels } from "./elementwise.ts"
import { epilogueKernels } from "./epilogue.ts"
import { indexingKernels } from "./indexing.ts"
import { layoutKernels } from "./layout.ts"
import { matmulKernels } from "./matmul.ts"
import { install } from "./override.ts"
import { poolKernels } from "./pool.ts"

/** Replaces them in tfjs's registry, for every backend that `loadKernels` is done with. A second time changes nothing. */
export const registerKernels = (): void => {
  for (const kernel of kernels) install(kernel)
}

const kernels = [
  ...matmulKernels,
  ...epilogueKernels,
  ...elementwiseKernels,
  ...einsumKernels,
  ...layoutKernels,
  ...indexingKernels,
  ...convolutionKernels,
  ...poolKernels
]
