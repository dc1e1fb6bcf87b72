/** Repeated measurements of one thing, milliseconds each. */
export interface Times {
  readonly wall: ReadonlyArray<number>
  /** Of all threads of the process. */
  readonly cpu: ReadonlyArray<number>
}

export interface Summary {
  readonly wallMedian: number
  readonly wallMin: number
  readonly cpuMedian: number
  readonly cpuMin: number
  readonly count: number
}

export const summarize = ({ cpu, wall }: Times): Summary => ({
  wallMedian: median(wall),
  wallMin: Math.min(...wall),
  cpuMedian: median(cpu),
  cpuMin: Math.min(...cpu),
  count: wall.length
})

export const join = (times: ReadonlyArray<Times>): Times => ({
  wall: times.flatMap(({ wall }) => wall),
  cpu: times.flatMap(({ cpu }) => cpu)
})

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The `k` of the `y = c x^k` that fits best: the slope of the line through the logarithms, by least squares. */
export const exponent = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const)
  const [centerX, centerY] = [mean(logs.map(([x]) => x)), mean(logs.map(([, y]) => y))]
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - centerX) * (y - centerY), 0)
  return covariance / logs.reduce((sum, [x]) => sum + (x - centerX) ** 2, 0)
}
