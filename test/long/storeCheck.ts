/** What every store has to be like, whatever became of the processes that wrote to it. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Option } from "effect"
import * as Action from "../../runtime/store/Action.ts"
import { sha256 } from "../../runtime/store/ArtifactRef.ts"

/**
 * What is wrong with a store: an object whose bytes are not those of its name, an entry that is torn or whose objects are
 * not there. `settled` stores, which nobody works on and nobody died in since they were last opened, have nothing half
 * written and nothing unfinished either.
 */
export const problemsOf = (root: string, options: { readonly settled: boolean }): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const objects = new Set<string>()
  for (const path of Fs.globSync(`${root}/objects/*/*`)) {
    const named = Path.relative(`${root}/objects`, path).replace("/", "")
    if (sha256(Fs.readFileSync(path)) === named) objects.add(named)
    else problems.push(`object ${named} has other bytes`)
  }
  for (const path of Fs.globSync(`${root}/actions/*/*.json`)) {
    const key = Path.relative(`${root}/actions`, path).replace("/", "").replace(".json", "")
    const entry = Action.fromText(key, Fs.readFileSync(path, "utf8"))
    if (Option.isNone(entry)) problems.push(`entry ${key} is torn`)
    else
      for (const { digest, name } of entry.value.output.files)
        if (!objects.has(digest)) problems.push(`entry ${key} names ${name}, which is not there`)
  }
  const unwanted = options.settled ? ["quarantine", "tmp", "partial"] : ["quarantine"]
  for (const folder of unwanted)
    for (const name of Fs.readdirSync(`${root}/${folder}`)) problems.push(`${folder} holds ${name}`)
  return problems
}
