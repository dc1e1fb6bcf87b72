/** The library that writes Parquet, loaded only when asked for. */
import type { SchemaElement } from "hyparquet"
import { parquetWriteBuffer } from "hyparquet-writer"

/** Rows of a row group: what a reader has to hold at a time. */
const ROW_GROUP = 10_000

export const writeRows = (
  schema: ReadonlyArray<SchemaElement>,
  columnData: ReadonlyArray<{ readonly name: string; readonly data: Array<unknown> }>
): Uint8Array =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: [...columnData],
      schema: [...schema],
      rowGroupSize: ROW_GROUP,
      createdBy: "prefline"
    })
  )
