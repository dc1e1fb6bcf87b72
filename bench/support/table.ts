/** Lines with their columns aligned: the first to the left, numbers to the right. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const columns = Math.max(...rows.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  const line = (row: ReadonlyArray<string>) =>
    row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ")
  return rows.map((row) => line(row).trimEnd()).join("\n")
}

/** Three significant digits, but no fewer than the whole number. */
export const number = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)

export const ratio = (value: number): string => `${number(value)}x`

export const mebibytes = (bytes: number): string => `${(bytes / 1048576).toFixed(0)} MiB`
