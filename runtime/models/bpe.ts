/**
 * Trains byte-level BPE vocabularies, in the tokenizer.json form of Hugging Face.
 *
 * **Source** Sennrich et al. 2016, arXiv 1508.07909 (merges); Radford et al. 2019, GPT-2 (bytes as the alphabet, and the
 * pattern that splits text into words). Ids and ties follow `BpeTrainer` of Hugging Face's `tokenizers`.
 */
import { Effect, Schema } from "effect"

const BYTES = 256
const MAX_VOCABULARY = 2 ** 20

export const TrainParams = Schema.Struct({
  /** Tokens at most, specials and the 256 bytes included; at least 256 plus the number of specials, at most 2^20. */
  vocabSize: Schema.Int.check(Schema.isBetween({ minimum: BYTES, maximum: MAX_VOCABULARY })),
  /** Control tokens, which get the first ids in this order. Text never yields them. */
  specialTokens: Schema.Array(Schema.NonEmptyString),
  /** A pair of tokens is merged only if it occurs this often in the texts. */
  minFrequency: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
})
export type TrainParams = typeof TrainParams.Type

/** The parameters allow no vocabulary. `minimum` is the least `vocabSize` that would, where that is what is wrong. */
export class TrainParamsInvalid extends Schema.TaggedError<TrainParamsInvalid>()("TrainParamsInvalid", {
  parameter: Schema.Literals(["vocabSize", "specialTokens", "minFrequency"]),
  detail: Schema.String,
  minimum: Schema.optionalKey(Schema.Int)
}) {
  override get message() {
    return `byte-level BPE, ${this.parameter}: ${this.detail}`
  }
}

interface ByteLevel {
  readonly [key: string]: string | boolean
  readonly type: "ByteLevel"
  readonly add_prefix_space: boolean
  readonly trim_offsets: boolean
  readonly use_regex: boolean
}

/** What `train` gives: a tokenizer.json that any reader of Hugging Face tokenizers loads. */
export type TokenizerJson = {
  readonly version: "1.0"
  readonly truncation: null
  readonly padding: null
  readonly added_tokens: ReadonlyArray<{
    readonly id: number
    readonly content: string
    readonly single_word: false
    readonly lstrip: false
    readonly rstrip: false
    readonly normalized: false
    readonly special: true
  }>
  readonly normalizer: null
  readonly pre_tokenizer: ByteLevel
  readonly post_processor: null
  readonly decoder: ByteLevel
  readonly model: {
    readonly type: "BPE"
    readonly dropout: null
    readonly unk_token: null
    readonly continuing_subword_prefix: null
    readonly end_of_word_suffix: null
    readonly fuse_unk: false
    readonly byte_fallback: false
    readonly ignore_merges: false
    readonly vocab: { readonly [token: string]: number }
    /** `"left right"`, the form that every version of `tokenizers` reads; a byte-level token holds no space. */
    readonly merges: ReadonlyArray<string>
  }
}

/**
 * The character that stands for each byte in token texts: printable Latin-1 for itself, the other bytes for the code
 * points from U+0100 on. So a space reads `Ġ`.
 */
export const byteCharacters: ReadonlyArray<string> = (() => {
  const printable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad)
  let next = 0x100
  return Array.from({ length: BYTES }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++))
})()

/**
 * Cuts a text into the words that merges do not cross: contractions, then runs of letters, of digits, of other marks, each
 * with the space before it, then white space. Joined again they are the text.
 *
 * **Source** The pattern of GPT-2's `encoder.py`, with JavaScript's tables of letters, digits and white space.
 */
export const splitWords = (text: string): ReadonlyArray<string> => text.match(WORD) ?? []

/**
 * Learns merges from texts.
 *
 * **Details** Ids: the specials in their order, the 256 byte characters by code point, then one per merge. Each step
 * merges the pair with the highest count; among equals the one whose left id is smallest, then whose right id is. No
 * step depends on the order of the texts, so shuffled texts give the same bytes. Every string can be encoded. Ends
 * early, with a smaller vocabulary, when no pair occurs `minFrequency` times. Time grows as `n log n` in the length of
 * the distinct words, whatever the length of one word.
 *
 * **Gotchas** Texts hold no control tokens: a special's text is split as any other, and a merge that would spell a
 * special is not made. Merges do not cross words (GPT-2's pattern). A lone surrogate counts as U+FFFD.
 */
export const train = (texts: Iterable<string>, params: TrainParams): Effect.Effect<TokenizerJson, TrainParamsInvalid> =>
  Effect.suspend(() => {
    const fault = findFault(params)
    return fault === undefined ? Effect.succeed(learn(texts, params)) : Effect.fail(fault)
  })

const WORD = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu

const findFault = ({ minFrequency, specialTokens, vocabSize }: TrainParams): TrainParamsInvalid | undefined => {
  const minimum = BYTES + specialTokens.length
  if (!Number.isInteger(vocabSize) || vocabSize < minimum)
    return new TrainParamsInvalid({
      parameter: "vocabSize",
      detail: `${vocabSize} is too small for 256 bytes and ${specialTokens.length} specials: at least ${minimum}`,
      minimum
    })
  if (vocabSize > MAX_VOCABULARY)
    return new TrainParamsInvalid({ parameter: "vocabSize", detail: `${vocabSize} is more than ${MAX_VOCABULARY}` })
  if (!Number.isInteger(minFrequency) || minFrequency < 1)
    return new TrainParamsInvalid({ parameter: "minFrequency", detail: `${minFrequency} is no integer from 1 on` })
  const faulty = specialTokens.find(
    (token, i) =>
      token === "" || !token.isWellFormed() || byteCharacters.includes(token) || specialTokens.indexOf(token) !== i
  )
  if (faulty === undefined) return undefined
  const detail = `${JSON.stringify(faulty)} is empty, no Unicode text, a byte's character, or stands twice`
  return new TrainParamsInvalid({ parameter: "specialTokens", detail })
}

const learn = (texts: Iterable<string>, { minFrequency, specialTokens, vocabSize }: TrainParams): TokenizerJson => {
  const vocabulary = new Map(specialTokens.map((token, id) => [token, id]))
  for (const character of [...byteCharacters].sort()) vocabulary.set(character, vocabulary.size)
  const tokens = [...vocabulary.keys()]
  const specials = new Set(specialTokens)
  const merges = new Set<string>()
  const corpus = makeCorpus(
    texts,
    byteCharacters.map((character) => vocabulary.get(character)!)
  )
  while (vocabulary.size < vocabSize) {
    const pair = corpus.takeCommonest()
    if (pair === undefined || pair.count < minFrequency) break
    const left = tokens[pair.left]!
    const right = tokens[pair.right]!
    if (specials.has(left + right)) continue
    if (!vocabulary.has(left + right)) {
      vocabulary.set(left + right, tokens.length)
      tokens.push(left + right)
    }
    merges.add(`${left} ${right}`)
    corpus.merge(pair, vocabulary.get(left + right)!)
  }
  return toJson(specialTokens, vocabulary, [...merges])
}

interface Pair {
  readonly left: number
  readonly right: number
  readonly count: number
}

/**
 * The distinct words as doubly linked lists of token ids in flat arrays, a count per adjacent pair of ids, and the
 * places where each pair was seen. A merge visits those places only; places gone stale are recognized by their ids.
 */
const makeCorpus = (texts: Iterable<string>, idOfByte: ReadonlyArray<number>) => {
  const words = countWords(texts)
  const { id, next, previous, weight } = linkWords(words, idOfByte)
  const counts = new Map<number, number>()
  const places = new Map<number, Array<number>>()
  const queue = makeQueue()
  const grown = new Set<number>()

  const change = (left: number, right: number, by: number) => {
    const key = left * MAX_VOCABULARY + right
    counts.set(key, (counts.get(key) ?? 0) + by)
    return key
  }
  const add = (place: number, left: number, right: number, by: number) => {
    const key = change(left, right, by)
    grown.add(key)
    const seen = places.get(key)
    if (seen === undefined) places.set(key, [place])
    else seen.push(place)
  }
  const enqueueGrown = () => {
    for (const key of grown) {
      const count = counts.get(key)!
      if (count > 0) queue.push({ key, count })
    }
    grown.clear()
  }

  for (let place = 0; place < id.length; place++) {
    const after = next[place]!
    if (after !== NONE) add(place, id[place]!, id[after]!, weight[place]!)
  }
  enqueueGrown()

  /** Counts that fell since they were queued are put back with their present value. */
  const takeCommonest = (): Pair | undefined => {
    for (let top = queue.pop(); top !== undefined; top = queue.pop()) {
      const { key } = top
      const count = counts.get(key)!
      if (count === top.count) return { left: Math.floor(key / MAX_VOCABULARY), right: key % MAX_VOCABULARY, count }
      if (count > 0) queue.push({ key, count })
    }
    return undefined
  }

  /** Replaces each occurrence of the pair, from left to right within a word. */
  const merge = ({ left, right }: Pair, merged: number) => {
    const key = left * MAX_VOCABULARY + right
    const candidates = Int32Array.from(places.get(key)!).sort()
    places.delete(key)
    for (const place of candidates) {
      const second = next[place]!
      if (id[place] !== left || second === NONE || id[second] !== right) continue
      const before = previous[place]!
      const after = next[second]!
      const by = weight[place]!
      change(left, right, -by)
      id[place] = merged
      id[second] = NONE
      next[place] = after
      if (before !== NONE) {
        change(id[before]!, left, -by)
        add(before, id[before]!, merged, by)
      }
      if (after !== NONE) {
        previous[after] = place
        change(right, id[after]!, -by)
        add(place, merged, id[after]!, by)
      }
    }
    enqueueGrown()
  }

  return { takeCommonest, merge }
}

const countWords = (texts: Iterable<string>): ReadonlyMap<string, number> => {
  const words = new Map<string, number>()
  for (const text of texts) for (const word of splitWords(text)) words.set(word, (words.get(word) ?? 0) + 1)
  return words
}

const NONE = -1

const linkWords = (words: ReadonlyMap<string, number>, idOfByte: ReadonlyArray<number>) => {
  const encoder = new TextEncoder()
  let length = 0
  for (const word of words.keys()) length += encoder.encode(word).length
  const id = new Int32Array(length)
  const previous = new Int32Array(length).fill(NONE)
  const next = new Int32Array(length).fill(NONE)
  const weight = new Float64Array(length)
  let place = 0
  for (const [word, count] of words) {
    const start = place
    for (const byte of encoder.encode(word)) {
      id[place] = idOfByte[byte]!
      weight[place] = count
      if (place > start) {
        previous[place] = place - 1
        next[place - 1] = place
      }
      place++
    }
  }
  return { id, previous, next, weight }
}

interface Queued {
  readonly key: number
  readonly count: number
}

const precedes = (a: Queued, b: Queued) => a.count > b.count || (a.count === b.count && a.key < b.key)

/** A binary heap: the highest count first, then the smallest key. */
const makeQueue = () => {
  const heap: Array<Queued> = []

  const push = (item: Queued) => {
    let at = heap.length
    heap.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!precedes(item, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = item
  }

  const pop = (): Queued | undefined => {
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && precedes(heap[child + 1]!, heap[child]!)) child++
      if (!precedes(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return top
  }

  return { push, pop }
}

const byteLevel: ByteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true }

const toJson = (
  specialTokens: ReadonlyArray<string>,
  vocabulary: ReadonlyMap<string, number>,
  merges: ReadonlyArray<string>
): TokenizerJson => ({
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: specialTokens.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true
  })),
  normalizer: null,
  pre_tokenizer: byteLevel,
  post_processor: null,
  decoder: byteLevel,
  model: {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(vocabulary),
    merges
  }
})
