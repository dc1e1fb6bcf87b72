/**
 * Real data beside the text world: people's preferences, and a small Llama that somebody else trained. They lie in the
 * folder that the environment variable PREFLINE_DATA names; nothing of them is copied.
 */
import { statSync } from "node:fs"
import { join } from "node:path"
import { StageMisused } from "../../dsl/Stage.ts"
import { allAbove, distinct, filter, load, pair } from "../../stages/index.ts"

/** Ratings of rewritten sentences by where those come from, and pairs of dialogues by their part of hh-rlhf. */
const RATINGS = ["yelp", "amazon", "captions"] as const
const DIALOGUES = ["harmless-base", "helpful-base", "helpful-online", "helpful-rejection-sampled"] as const
export type HumanSource = (typeof RATINGS)[number] | (typeof DIALOGUES)[number]

/**
 * Preferences of people. From `yelp`, `amazon` and `captions`: every two different rewrites of a sentence whose summed
 * ratings differ by more than `margin` (8,000 to 10,000 pairs each). The rest are comparisons of dialogues (1,135 to
 * 2,714 pairs), where the few lines whose dialogues are equal or differ too early are left out; `margin` is of no use
 * there.
 * **Details** Throws `StageMisused` where PREFLINE_DATA is not set or lacks the file, so a pipeline that asks for it
 * fails to build with a message that says so.
 */
export const humanPreferences = (options: {
  readonly source: HumanSource
  readonly margin?: number
  readonly limit?: number
}) => {
  const { limit, margin = 0, source } = options
  const some = limit === undefined ? {} : { limit }
  const dialogues = DIALOGUES.find((name) => name === source)
  if (dialogues !== undefined)
    return load.dialogues({ path: file("hh-rlhf", `${dialogues}.test.jsonl.gz`), unpaired: "drop", ...some })
  return load
    .ratings({ path: file("transfer-ratings", `${source}.jsonl`) })
    .pipe(filter({ by: distinct() }), pair({ by: allAbove({ margin }), ...some }))
}

/**
 * stories260K: a Llama of 260,032 parameters, 512 tokens and a context of 512, trained by its author on TinyStories.
 * **Details** Throws `StageMisused` where PREFLINE_DATA is not set or lacks the files.
 */
export const realPolicy = () =>
  load.llama2c({ model: file("stories260k", "stories260K.bin"), tokenizer: file("stories260k", "tok512.bin") })

const file = (...path: ReadonlyArray<string>): string => {
  const root = process.env["PREFLINE_DATA"]
  const missing = (problem: string) => new StageMisused({ stage: "testbeds/textData", problem })
  if (!root) throw missing("PREFLINE_DATA is not set; it names the folder that holds the data sets")
  const name = join(root, ...path)
  if (statSync(name, { throwIfNoEntry: false })?.isFile() !== true)
    throw missing(`PREFLINE_DATA is ${root}, where there is no file ${join(...path)}`)
  return name
}
