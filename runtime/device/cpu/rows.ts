import { define } from "./memory.ts"

define<{ rows: Int32Array }>("GatherRows", (storage, { x }, { rows }) => {
  const width = x!.shape[1]!
  const out = storage.allocate([rows.length, width])
  const source = storage.floats(x!)
  const target = storage.floats(out)
  for (let i = 0; i < rows.length; i++) {
    const from = rows[i]! * width
    const to = i * width
    for (let d = 0; d < width; d++) target[to + d] = source[from + d]!
  }
  return [out]
})

define<{ rows: Int32Array; count: number }>("ScatterRows", (storage, { x }, { count, rows }) => {
  const width = x!.shape[1]!
  const out = storage.allocate([count, width])
  const source = storage.floats(x!)
  const target = storage.floats(out)
  for (let i = 0; i < rows.length; i++) {
    const to = rows[i]! * width
    const from = i * width
    for (let d = 0; d < width; d++) target[to + d]! += source[from + d]!
  }
  return [out]
})
