/** Learning rate of the optimizer's step `step`, counted from 0. Pure, so a resumed run needs nothing but the step. */
export type Schedule = (step: number) => number

/** The same rate at every step. */
export const constant =
  (rate: number): Schedule =>
  () =>
    rate

/** A straight line from `from` at step 0 to `to` at step `total`, and `to` from then on. `total >= 1`. */
export const linear =
  (o: { readonly from: number; readonly to: number; readonly total: number }): Schedule =>
  (step) =>
    o.from + (o.to - o.from) * Math.min(1, step / o.total)

/**
 * Rises in a straight line to `peak` over the first `warmup` steps, then falls along half a cosine to `floor`, reached at
 * step `total` and kept.
 * **Details** Step 0 has rate `peak / warmup`, not zero: no step is wasted. Step `warmup - 1` is the first at the peak.
 * **Source** Loshchilov and Hutter 2017, arXiv 1608.03983, eq. 5, without restarts.
 */
export const warmupCosine =
  (o: { readonly warmup: number; readonly total: number; readonly peak: number; readonly floor: number }): Schedule =>
  (step) => {
    if (step < o.warmup) return (o.peak * (step + 1)) / o.warmup
    const progress = Math.min(1, (step - o.warmup) / Math.max(1, o.total - o.warmup))
    return o.floor + ((o.peak - o.floor) * (1 + Math.cos(Math.PI * progress))) / 2
  }
