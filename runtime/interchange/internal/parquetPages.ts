/**
 * What the pages of a Parquet file say of themselves, checked before they are decoded. The decoder takes counts and lengths
 * of runs for true: one changed byte would keep it busy, or allocating, for hours. What passes here costs time and memory
 * in proportion to the file and to the values that it promises.
 *
 * **Source** apache/parquet-format: README.md (pages), Encodings.md (hybrid of runs and bit-packing, delta encodings).
 */
import { brotliDecompressSync, unzipSync, zstdDecompressSync } from "node:zlib"
import type { ColumnMetaData, Compressors, DataReader, PageHeader, SchemaTree } from "hyparquet"
import { parquetHeader } from "hyparquet/src/column.js"
import { decompressPage } from "hyparquet/src/datapage.js"
import { deltaBinaryUnpack } from "hyparquet/src/delta.js"
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js"
import { getMaxDefinitionLevel, getMaxRepetitionLevel } from "hyparquet/src/schema.js"
import { readVarInt } from "hyparquet/src/thrift.js"
import { compressors as library } from "hyparquet-compressors"
import { checkStruct } from "./thrift.ts"

/** A page, or a column of a row group, that says it is longer than this when decompressed is refused: 1 GiB. */
export const LIMIT = 2 ** 30

/** How many values a file of so many bytes may hold: runs of one value take nearly nothing. */
export const mostValues = (size: number): number => 65_536 + 1024 * size

type Decompress = (input: Uint8Array, length: number) => Uint8Array

const bounded =
  (decompress: Decompress, ratio: number, least: number): Decompress =>
  (input, length) => {
    if (!(length >= 0 && length <= Math.min(LIMIT, least + ratio * input.length)))
      throw new Error(`a page of ${input.length} bytes says it has ${length}`)
    return decompress(input, length)
  }

/** Copied: what is short lies in a buffer that Node shares. */
const native = (
  decompress: (input: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array
): Decompress =>
  bounded((input, length) => new Uint8Array(decompress(input, { maxOutputLength: Math.max(1, length) })), 4096, 2 ** 26)

/** None writes more than a page says it has, nor more than its codec can make of so many bytes. */
export const compressors: Compressors = {
  SNAPPY: bounded(library.SNAPPY!, 64, 64),
  LZ4: bounded(library.LZ4!, 256, 256),
  LZ4_RAW: bounded(library.LZ4_RAW!, 256, 256),
  GZIP: native(unzipSync),
  BROTLI: native(brotliDecompressSync),
  ZSTD: native(zstdDecompressSync)
}

/** Checks the pages of a column of a row group; throws an `Error` that says what is wrong with one. */
export const check = (
  chunk: ArrayBuffer,
  meta: ColumnMetaData,
  schemaPath: ReadonlyArray<SchemaTree>,
  rows: number
): void => {
  const reader: DataReader = { view: new DataView(chunk), offset: 0 }
  const path = [...schemaPath]
  const column: Column = {
    meta,
    definition: getMaxDefinitionLevel(path),
    repetition: path.length > 1 ? getMaxRepetitionLevel(path) : 0
  }
  const promised = Number(meta.num_values)
  let values = 0
  while (reader.offset < chunk.byteLength - 1) {
    checkStruct(reader.view, reader.offset)
    const header = parquetHeader(reader)
    const length = size(header.compressed_page_size, "length", chunk.byteLength - reader.offset)
    size(header.uncompressed_page_size, "length", LIMIT)
    const bytes = new Uint8Array(chunk, reader.offset, length)
    reader.offset += length
    const count = size(countOf(header), "number of values", promised)
    if (header.type !== "DICTIONARY_PAGE") values += count
    if (header.type === "DATA_PAGE") checkData(bytes, header, column)
    if (header.type === "DATA_PAGE_V2") checkDataV2(bytes, header, column)
  }
  if (values !== promised) throw new Error(`a column promises ${promised} values and has ${values}`)
  if (column.repetition === 0 && values !== rows) throw new Error(`a column has ${values} values for ${rows} rows`)
}

interface Column {
  readonly meta: ColumnMetaData
  /** Highest levels. */
  readonly definition: number
  readonly repetition: number
}

const size = (value: number | undefined, what: string, most: number): number => {
  if (value === undefined || !Number.isInteger(value) || value < 0 || value > most)
    throw new Error(`a page says its ${what} is ${value}; at most ${most} fit`)
  return value
}

const countOf = (header: PageHeader): number | undefined =>
  (header.data_page_header ?? header.data_page_header_v2 ?? header.dictionary_page_header)?.num_values

const bitsOf = (level: number) => 32 - Math.clz32(level)

const checkData = (bytes: Uint8Array, header: PageHeader, { definition, meta, repetition }: Column): void => {
  const { encoding, num_values: count } = header.data_page_header!
  const page = decompressPage(bytes, header.uncompressed_page_size, meta.codec, compressors)
  const reader: DataReader = { view: viewOf(page), offset: 0 }
  let present = count
  for (const level of [repetition, definition]) {
    if (level === 0) continue
    const start = reader.offset
    const length = size(reader.view.getUint32(start, true), "levels' length", page.length - start - 4)
    checkRuns({ view: reader.view, offset: start + 4 }, bitsOf(level), count)
    if (level === definition && encoding === "DELTA_BYTE_ARRAY") {
      const levels: Array<number> = new Array(count)
      readRleBitPackedHybrid({ view: reader.view, offset: start }, bitsOf(level), levels)
      present = levels.filter((found) => found === definition).length
    }
    reader.offset = start + 4 + length
  }
  checkValues(reader, encoding, meta, count, present)
}

const checkDataV2 = (bytes: Uint8Array, header: PageHeader, { definition, meta, repetition }: Column): void => {
  const facts = header.data_page_header_v2!
  const { encoding, num_values: count } = facts
  size(facts.num_rows, "number of rows", count)
  const nulls = size(facts.num_nulls, "number of nulls", count)
  const repeated = size(facts.repetition_levels_byte_length, "levels' length", bytes.length)
  const defined = size(facts.definition_levels_byte_length, "levels' length", bytes.length - repeated)
  if (repetition > 0) checkRuns({ view: viewOf(bytes), offset: 0 }, bitsOf(repetition), count)
  if (definition > 0) checkRuns({ view: viewOf(bytes), offset: repeated }, bitsOf(definition), count)
  const rest = bytes.subarray(repeated + defined)
  const length = header.uncompressed_page_size - repeated - defined
  const page = facts.is_compressed === false ? rest : decompressPage(rest, length, meta.codec, compressors)
  checkValues({ view: viewOf(page), offset: 0 }, encoding, meta, count, count - nulls)
}

const viewOf = ({ buffer, byteLength, byteOffset }: Uint8Array) => new DataView(buffer, byteOffset, byteLength)

/** Values are at most `count`; how many they are exactly, `present`, is told where it matters. */
const checkValues = (
  reader: DataReader,
  encoding: string,
  { type }: ColumnMetaData,
  count: number,
  present: number
): void => {
  if (reader.offset >= reader.view.byteLength) return // no values: the decoder runs into the end if it wants one
  switch (encoding) {
    case "PLAIN_DICTIONARY":
    case "RLE_DICTIONARY":
    case "RLE": {
      const isFlag = type === "BOOLEAN"
      const width = isFlag ? 1 : size(reader.view.getUint8(reader.offset), "width of values", 32)
      checkRuns({ view: reader.view, offset: reader.offset + (isFlag ? 4 : 1) }, width, count)
      break
    }
    case "DELTA_BINARY_PACKED":
    case "DELTA_LENGTH_BYTE_ARRAY":
      checkDelta(reader, count)
      break
    case "DELTA_BYTE_ARRAY": {
      const shared = unpacked(reader, present)
      const own = unpacked(reader, present)
      const sum = (lengths: Int32Array) =>
        lengths.reduce((total, length) => total + size(length, "length of a text", LIMIT), 0)
      size(sum(shared) + sum(own), "length of texts", Math.min(LIMIT, 2 ** 26 + 4096 * reader.view.byteLength))
    }
  }
}

/** Every run is at most as long as what is read of them; bits that are packed are filled up, by some. */
const checkRuns = (reader: DataReader, width: number, count: number): void => {
  const end = reader.view.byteLength
  for (let seen = 0; seen < count && reader.offset < end; ) {
    const header = readVarInt(reader)
    const packed = (header & 1) === 1
    const length = packed ? (header >> 1) * 8 : header >>> 1
    seen += size(length, "run", count + FILLED)
    reader.offset += packed ? (length / 8) * width : (width + 7) >> 3
  }
}
const FILLED = 512

const checkDelta = (at: DataReader, count: number): void => {
  const reader = { ...at }
  const block = size(readVarInt(reader), "block", LIMIT)
  size(readVarInt(reader) - 1, "number of miniblocks less 1", Math.min(block - 1, reader.view.byteLength))
  size(readVarInt(reader), "number of values", count)
}

/** The numbers, and the reader behind them. */
const unpacked = (reader: DataReader, count: number): Int32Array => {
  checkDelta(reader, count)
  const numbers = new Int32Array(count)
  deltaBinaryUnpack(reader, count, numbers)
  return numbers
}
