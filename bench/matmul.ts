/**
 * Matrix products of the wasm device: the published kernel and both builds of ours, in one process on the same data.
 *
 * `node bench/matmul.ts [rounds]` prints GFLOP/s from the lower quartile of so many interleaved rounds (9 by default), in CPU time
 * of the process: other work on the machine's cores disturbs that less than the clock.
 */
import { createRequire } from "node:module"
import { dirname, sep } from "node:path"
import * as tf from "@tensorflow/tfjs"
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm"
import { heapOf, loadKernels } from "../runtime/device/wasm/host.ts"
import { multiply } from "../runtime/device/wasm/matmul.ts"

/** Batch, rows, columns and inner size. */
type Size = readonly [number, number, number, number]

const sizes: ReadonlyArray<readonly [string, ReadonlyArray<Size>]> = [
  ["1024 rows", [64, 128, 256, 512].map((d) => [1, 1024, d, d] as const)],
  [
    "up and down",
    [64, 128, 256].flatMap(
      (d): ReadonlyArray<Size> => [
        [1, 1024, 4 * d, d],
        [1, 1024, d, 4 * d]
      ]
    )
  ],
  [
    "batched",
    [
      [64, 64, 64, 16],
      [64, 64, 16, 64],
      [64, 128, 128, 32]
    ]
  ],
  ["decoding", [64, 16, 4, 1].flatMap((rows) => [64, 256].map((d): Size => [1, rows, 4 * d, d]))]
]

const layouts = { NN: [false, false], NT: [false, true], TN: [true, false], TT: [true, true] } as const

setWasmPaths(dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm")) + sep)
await tf.setBackend("wasm")
if (tf.getBackend() !== "wasm") throw new Error(`the tensor library stands on "${tf.getBackend()}"`)
const backend = tf.engine().backend

/** The same memory under a name of its own, so that both builds are loaded into it. */
const load = async (build: "simd" | "fma") => {
  const own = new Proxy(backend, {})
  process.env.PREFLINE_WASM = build
  await loadKernels(own)
  return heapOf(own)
}
const [simd, fma] = [await load("simd"), await load("fma")]
const published = tf.getKernel(tf.BatchMatMul, "wasm")!

type Run = (a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean) => tf.TensorInfo
const contenders: Readonly<Record<string, Run>> = {
  published: (a, b, transposeA, transposeB) =>
    published.kernelFunc({ inputs: { a, b }, backend, attrs: { transposeA, transposeB } }) as tf.TensorInfo,
  simd: (a, b, transposeA, transposeB) => multiply(simd, a, b, { transposeA, transposeB }),
  fma: (a, b, transposeA, transposeB) => multiply(fma, a, b, { transposeA, transposeB })
}
const names = Object.keys(contenders)

/** CPU milliseconds of `times` runs. */
const cost = (times: number, run: () => tf.TensorInfo): number => {
  const before = process.cpuUsage()
  for (let i = 0; i < times; i++) simd.release(run())
  return process.cpuUsage(before).user / 1000
}

/** For each contender the CPU milliseconds of one run: the lower quartile of the rounds. */
const measure = (runs: ReadonlyArray<() => tf.TensorInfo>, rounds: number): ReadonlyArray<number> => {
  const counts = runs.map((run) => {
    let count = 1
    while (cost(count, run) < 4) count *= 2
    return count
  })
  const taken = runs.map((): Array<number> => [])
  for (let round = 0; round < rounds; round++)
    for (const [i, run] of runs.entries()) taken[i]!.push(cost(counts[i]!, run) / counts[i]!)
  return taken.map((times) => times.sort((a, b) => a - b)[Math.floor(times.length / 4)]!)
}

const rounds = Number(process.argv[2] ?? 9)
console.log(
  `${"batch x rows x columns, inner".padEnd(32)}${names.map((name) => name.padStart(11)).join("")}${"fma/published".padStart(16)}`
)
for (const [title, group] of sizes) {
  console.log(title)
  for (const [batch, rows, columns, inner] of group)
    for (const [layout, [transposeA, transposeB]] of Object.entries(layouts)) {
      const a = tf.randomNormal([batch, ...(transposeA ? [inner, rows] : [rows, inner])])
      const b = tf.randomNormal([batch, ...(transposeB ? [columns, inner] : [inner, columns])])
      const runs = names.map((name) => () => contenders[name]!(a, b, transposeA, transposeB))
      const speeds = measure(runs, rounds).map((ms) => (2 * batch * rows * columns * inner) / ms / 1e6)
      const label = `  ${batch} x ${rows} x ${columns}, ${inner}`.padEnd(28) + layout.padEnd(4)
      console.log(
        label +
          speeds.map((speed) => speed.toFixed(1).padStart(11)).join("") +
          (speeds[2]! / speeds[0]!).toFixed(1).padStart(16)
      )
      tf.dispose([a, b])
    }
}
