import * as Contract from "../../dsl/Contract.ts"
import * as StageLaw from "../../dsl/StageLaw.ts"
import { call, one } from "../laws/calls.ts"
import { few, selection } from "../laws/laws.ts"
import { brown } from "./brown.ts"

export const contract = Contract.of(brown, {
  given: call({ params: one({ limit: 20 }, { limit: 5, maxWords: 6, lowercase: true }) }),
  laws: few(5, [
    ...selection,
    StageLaw.output("names sentences by file and line, in that order", (made) => {
      const at = made.map(({ id }: any) => /^brown\/(c[a-r]\d\d)\/(\d+)$/.exec(id))
      if (at.includes(null)) return "an id is not of that form"
      const places: ReadonlyArray<string> = at.map(([, file, line]: any) => `${file}/${line.padStart(6, "0")}`)
      return places.every((place, i) => i === 0 || places[i - 1]! < place) || places.join()
    }),
    StageLaw.output("leaves no tag and no doubled quote in a sentence", (made) => {
      const odd = made.find(({ text }: any) => /\S\/(at|nn|vb|in|jj|cc|cs|np|bez)\b|``|''|\s[.,]/.test(text))
      return odd === undefined || odd.text
    })
  ])
})
