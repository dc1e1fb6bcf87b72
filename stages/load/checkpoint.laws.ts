import { Arbitrary } from "effect"
import * as Checkpoint from "../../dsl/Checkpoint.ts"
import * as Contract from "../../dsl/Contract.ts"
import { concatenate } from "../../dsl/internal/bytes.ts"
import * as Safetensors from "../../dsl/Safetensors.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one, otherPolicy, policy } from "../laws/calls.ts"
import * as Files from "../laws/files.ts"
import { few, sameWeights } from "../laws/laws.ts"
import { checkpoint } from "./checkpoint.ts"

type Named = ReadonlyArray<readonly [name: string, content: string | Uint8Array]>

const filesOf = (of: Checkpoint.Checkpoint): Named =>
  Checkpoint.toFiles(of).map(({ bytes, name }) => [name, concatenate([...bytes])])
const kept = { policy, other: otherPolicy }
type Name = keyof typeof kept
const nameOf = (path: string): Name | undefined => (["policy", "other"] as const).find((name) => path.endsWith(name))

/** The weights in two files, with the index that says which is where. */
const split = (of: Checkpoint.Checkpoint): Named => {
  const names = [...of.weights.keys()]
  const half = Math.ceil(names.length / 2)
  const parts = [names.slice(0, half), names.slice(half)]
  const shard = (i: number) => `model-0000${i + 1}-of-00002.safetensors`
  const map = Object.fromEntries(parts.flatMap((part, i) => part.map((name) => [name, shard(i)])))
  return [
    ...filesOf(of).filter(([name]) => name !== "model.safetensors"),
    [Checkpoint.INDEX, JSON.stringify({ metadata: {}, weight_map: map })],
    ...parts.map((part, i) => {
      const weights = new Map(part.map((name) => [name, of.weights.get(name)!]))
      return [shard(i), concatenate([...Safetensors.encode(weights, { format: "pt" })])] as const
    })
  ]
}

/** The same checkpoint in a folder with other files. */
const instead = (what: string, files: (of: Checkpoint.Checkpoint) => Named) => (call: any) => {
  const name = nameOf(call.params.path)
  return name && { params: { path: Files.folderOf(`${what}-${name}`, files(kept[name])) } }
}

const same = (a: any, b: any) => {
  const parts = ({ weights: _, ...rest }: any) => rest
  const rest = StageLaw.near(parts(a), parts(b), 0)
  return rest === true ? sameWeights(a, b) : rest
}

export const contract = Contract.of(checkpoint, {
  given: call({
    params: one(
      () => ({ path: Files.folderOf("policy", filesOf(policy)) }),
      () => ({ path: Files.folderOf("other", filesOf(otherPolicy)) }),
      () => ({ path: Files.folderOf("empty", [["README.md", "nothing"]]) })
    ).pipe(Arbitrary.map((make) => make()))
  }),
  laws: few(4, [
    StageLaw.output("has the weights, the configuration and the tokenizer of the files", (made, { params }) => {
      const name = nameOf(params.path)
      return name === undefined || same(made, kept[name])
    }),
    StageLaw.related(
      "other files in the folder change nothing",
      instead("more", (of) => [...filesOf(of), ["README.md", "# A model"], ["generation_config.json", "{}"]]),
      same
    ),
    StageLaw.related("weights split over files are the same weights", instead("split", split), same),
    StageLaw.related(
      "a chat template in a file of its own is the tokenizer's",
      instead("chat", (of) => [...filesOf(of), [Checkpoint.CHAT_TEMPLATE, "{{ messages }}"]]),
      (made, chat) =>
        same({ ...made, tokenizerConfig: { ...made.tokenizerConfig, chat_template: "{{ messages }}" } }, chat)
    )
  ])
})
