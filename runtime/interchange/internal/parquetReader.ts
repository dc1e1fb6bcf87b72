/** Reads the row groups of one Parquet file, each held to the size of the file before it is decoded. */
import { open } from "node:fs/promises"
import type { AsyncBuffer, FileMetaData, RowGroup, SchemaTree } from "hyparquet"
import { parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet"
import { getTreePath } from "hyparquet/src/schema.js"
import type { Json, JsonObject } from "../../../dsl/Json.ts"
import { check, compressors, LIMIT, mostValues } from "./parquetPages.ts"
import { checkStruct } from "./thrift.ts"

/** What is wrong with the file, or with one of its rows, counted from 1. */
export class Fault extends Error {
  readonly row: number | undefined
  constructor(problem: string, row?: number) {
    super(problem)
    this.row = row
  }
}

export interface Opened {
  readonly file: AsyncBuffer
  readonly close: () => Promise<void>
}

/** A file on disk, or bytes that are in memory. Asking for bytes outside of it is an error. */
export const opened = async (path: string | AsyncBuffer): Promise<Opened> => {
  if (typeof path !== "string") return { file: path, close: async () => undefined }
  const handle = await open(path, "r")
  const { size } = await handle.stat()
  const slice = async (start: number, end = size) => {
    const bytes = new Uint8Array(end - start)
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at)
      if (bytesRead === 0) throw new Error("the file became shorter while it was read")
      at += bytesRead
    }
    return bytes.buffer
  }
  return { file: { byteLength: size, slice }, close: () => handle.close() }
}

/** Bytes of the file that have to be within it. */
const within = async (file: AsyncBuffer, start: number, end: number): Promise<ArrayBuffer> => {
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start))
    throw new Fault(`bytes ${start} to ${end} are asked for`)
  if (end > file.byteLength) throw new Fault(`bytes ${start} to ${end} of ${file.byteLength} are asked for`)
  return file.slice(start, end)
}

/** The file's metadata, held to its size: a header that promises more allocates nothing. */
export const metadataOf = async (file: AsyncBuffer): Promise<FileMetaData> => {
  const metadata = await footerOf(file)
  const most = mostValues(file.byteLength)
  let [rows, values, compressed] = [0, 0, 0]
  for (const [i, { columns, num_rows }] of metadata.row_groups.entries()) {
    const fault = (problem: string) => new Fault(`row group ${i + 1} ${problem}`)
    if (!(num_rows >= 0n && num_rows <= BigInt(most))) throw fault(`says it has ${num_rows} rows; at most ${most} fit`)
    rows += Number(num_rows)
    for (const { meta_data } of columns) {
      if (meta_data === undefined) throw fault("does not say where its columns are")
      const { num_values, total_compressed_size, total_uncompressed_size } = meta_data
      if (!(total_compressed_size >= 0n)) throw fault(`has a column of ${total_compressed_size} bytes`)
      if (!(total_uncompressed_size >= 0n && total_uncompressed_size <= BigInt(LIMIT)))
        throw fault(`has a column of ${total_uncompressed_size} bytes; at most ${LIMIT} are read`)
      if (!(num_values >= 0n)) throw fault(`has a column of ${num_values} values`)
      compressed += Number(total_compressed_size)
      values += Number(num_values)
    }
  }
  if (compressed > file.byteLength) throw new Fault(`its columns are larger than the file, ${compressed} bytes`)
  if (values > most) throw new Fault(`it says it has ${values} values; a file of its size is read for ${most}`)
  if (rows !== Number(metadata.num_rows)) throw new Fault(`it promises ${metadata.num_rows} rows, its groups ${rows}`)
  for (const { logical_type, name } of metadata.schema) {
    const type = logical_type?.type
    if (type === "VARIANT" || type === "GEOMETRY" || type === "GEOGRAPHY")
      throw new Fault(`column ${name} is of the type ${type}, which is not read`)
  }
  return metadata
}

/** The metadata as they stand at the end of the file, before their length and four letters. */
const footerOf = async (file: AsyncBuffer): Promise<FileMetaData> => {
  if (file.byteLength < LEAST) throw new Fault(`it has ${file.byteLength} bytes`)
  const length = new DataView(await file.slice(file.byteLength - TAIL)).getUint32(0, true)
  if (length > file.byteLength - LEAST) throw new Fault(`it promises metadata of ${length} bytes, and ends otherwise`)
  const footer = await within(file, file.byteLength - TAIL - length, file.byteLength)
  checkStruct(new DataView(footer), 0)
  return parquetMetadata(footer, { geoparquet: false })
}
const TAIL = 8
const LEAST = 12

/** The rows of a row group, as the library decodes them. */
export const decoded = async (
  file: AsyncBuffer,
  metadata: FileMetaData,
  group: RowGroup
): Promise<ReadonlyArray<Record<string, unknown>>> => {
  const tree = parquetSchema(metadata)
  const count = Number(group.num_rows)
  for (const { meta_data } of group.columns) {
    const meta = meta_data!
    const start = Number(meta.dictionary_page_offset || meta.data_page_offset)
    const chunk = await within(file, start, start + Number(meta.total_compressed_size))
    check(chunk, meta, getTreePath(tree, meta.path_in_schema), count)
  }
  const rows = await parquetReadObjects({
    file,
    metadata: { ...metadata, row_groups: [group], num_rows: group.num_rows },
    parsers: { stringFromBytes: text, jsonFromBytes: (bytes) => JSON.parse(text(bytes)) },
    compressors
  })
  if (rows.length !== count) throw new Fault(`it promises ${count} rows and has ${rows.length}`)
  return rows
}

/** A row as JSON. */
export const jsonRow = (row: Record<string, unknown>, number: number, leaves: ReadonlyArray<string>): JsonObject => {
  try {
    for (const name of leaves) if (row[name] === undefined) throw new Error(`${name} has no value`)
    return toJson(row, "") as JsonObject
  } catch (cause) {
    throw new Fault((cause as Error).message, number)
  }
}

/** Columns that are no lists and have no members: each of their rows holds a value, or `null`. */
export const leavesOf = (metadata: FileMetaData): ReadonlyArray<string> =>
  parquetSchema(metadata).children.flatMap(({ children, element }: SchemaTree) =>
    children.length === 0 && element.repetition_type !== "REPEATED" ? [element.name] : []
  )

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The library's own decoder drops a byte order mark, and puts U+FFFD where the bytes are no UTF-8. */
const text = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? (undefined as never) : utf8.decode(bytes)

const toJson = (value: unknown, at: string): Json => {
  if (value === undefined || value === null) return null
  if (typeof value === "string" || typeof value === "boolean") return value
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value
    throw new Error(`${at} is ${value}, which JSON cannot say`)
  }
  if (typeof value === "bigint") {
    if (Number.isSafeInteger(Number(value))) return Number(value)
    throw new Error(`${at} is ${value}, more than a number holds exactly`)
  }
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) throw new Error(`${at} holds bytes, which JSON cannot say`)
  if (Array.isArray(value) || ArrayBuffer.isView(value))
    return Array.from(value as unknown as ArrayLike<unknown>, (item, i) => toJson(item, `${at}[${i}]`))
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, toJson(member, at === "" ? name : `${at}.${name}`)])
  )
}
