/** The child's side of `support/Engine.ts`. */
import { createInterface } from "node:readline"
import type { Answers, Request } from "../support/Engine.ts"
import type { Sizes } from "../support/workload.ts"

export type Train = (steps: number) => Promise<Answers["train"]>
export type Sample = (request: Extract<Request, { readonly op: "sample" }>) => Promise<Answers["sample"]>

/** What an engine makes for the sizes that it is told, each when it is first asked for. */
export interface Makers {
  readonly describe: string
  readonly training: (sizes: Sizes) => Promise<Train>
  readonly sampling: (sizes: Sizes) => Promise<Sample>
}

/** Answers requests in order until it is told to end, and then ends the process. */
export const serve = async ({ describe, sampling, training }: Makers): Promise<void> => {
  let sizes: Sizes | undefined
  let train: Train | undefined
  let sample: Sample | undefined
  const given = () => {
    if (sizes === undefined) throw new Error("no sizes were given")
    return sizes
  }
  const peak = () => ({ peakBytes: process.resourceUsage().maxRSS * 1024 })
  const answer = async (request: Request): Promise<Answers[Request["op"]]> => {
    switch (request.op) {
      case "sizes":
        sizes = request.sizes
        train = sample = undefined
        return { describe, ...peak() }
      case "train":
        train ??= await training(given())
        return train(request.steps)
      case "sample":
        sample ??= await sampling(given())
        return sample(request)
      case "end":
        return peak()
    }
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request
    process.stdout.write(`${JSON.stringify(await answer(request))}\n`)
    if (request.op === "end") process.exit(0)
  }
}

/** Runs something once and says how long it took, milliseconds; CPU time is that of all threads. */
export const timed = async <A>(run: () => A | Promise<A>): Promise<readonly [A, wall: number, cpu: number]> => {
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const value = await run()
  const wall = performance.now() - begun
  const { system, user } = process.cpuUsage(cpu)
  return [value, wall, (user + system) / 1000]
}

/** Times one step for each batch; `step` returns its loss. */
export const timedSteps = async <Batch>(
  batches: ReadonlyArray<Batch>,
  step: (batch: Batch) => number | Promise<number>
): Promise<Answers["train"]> => {
  const steps: Array<readonly [loss: number, wall: number, cpu: number]> = []
  for (const batch of batches) steps.push(await timed(() => step(batch)))
  return {
    losses: steps.map(([loss]) => loss),
    wall: steps.map(([, wall]) => wall),
    cpu: steps.map(([, , cpu]) => cpu)
  }
}
