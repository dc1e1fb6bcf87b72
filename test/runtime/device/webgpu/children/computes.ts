/** Opens the device, computes, prints the result and closes the device; then nothing is left to do. */
import * as tf from "@tensorflow/tfjs"
import { open } from "../../../../../runtime/device/webgpu/open.ts"

const { close } = await open()
const x = tf.tensor2d([1, 2, 3, 4], [2, 2])
console.log([...(await tf.matMul(x, x).data())].join(" "))
await close!()
