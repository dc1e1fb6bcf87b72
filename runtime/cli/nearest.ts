/** What somebody may have meant who named a thing that is not there. */

/** ` (perhaps "dpo"?)`, with at most three names, to stand behind a name; empty where none is alike. */
export const guess = (name: string, known: ReadonlyArray<string>): string => {
  const near = nearest(name, known)
  return near.length === 0 ? "" : ` (perhaps ${near.map((name) => JSON.stringify(name)).join(" or ")}?)`
}

const MOST = 3

/** The names that a few slips away from this one, or that begin or end with it, the nearest first. */
export const nearest = (name: string, known: ReadonlyArray<string>): ReadonlyArray<string> => {
  const wanted = name.toLowerCase()
  return known
    .map((candidate) => ({ candidate, slips: slipsTo(wanted, candidate.toLowerCase()) }))
    .filter(({ candidate, slips }) => slips <= Math.max(1, Math.floor(candidate.length / 4)))
    .sort((a, b) => a.slips - b.slips || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, MOST)
    .map(({ candidate }) => candidate)
}

const slipsTo = (wanted: string, candidate: string): number => {
  const isPart = wanted.length >= 3 && (candidate.startsWith(wanted) || candidate.endsWith(wanted))
  return isPart ? 1 : editDistance(wanted, candidate)
}

/** Insertions, deletions, replacements and swaps of neighbours. */
const editDistance = (a: string, b: string): number => {
  const rows: Array<Array<number>> = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const [above, row] = [rows[i - 1]!, [i]]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, rows[i - 2]![j - 2]! + 1)
      }
      row.push(least)
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}
