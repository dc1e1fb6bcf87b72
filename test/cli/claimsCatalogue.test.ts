/** The catalogue in `docs/` is what `claims --all` wrote, and of all that the catalog holds. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { catalog } from "../../pipelines/catalog.ts"
import * as Catalogue from "../../runtime/cli/claims/catalogue.ts"

const AGAIN = "run `npm run catalogue`"
const page = () => readFileSync(new URL("../../docs/catalogue.md", import.meta.url), "utf8")

describe("docs/catalogue.md", () => {
  it("was not edited by hand", () => {
    assert.isTrue(Catalogue.isUntouched(page()), `its digest is another one; ${AGAIN}`)
  })

  it.each(catalog.map(({ pipeline }) => [pipeline.name, pipeline] as const))(
    "has %s and its checks",
    (name, pipeline) => {
      const sections = page().split(/^## /m)
      const [overview] = sections
      assert.include(overview, `| [${name}](#${name}) |`, AGAIN)
      const section = sections.find((section) => section.startsWith(`${name}\n`)) ?? ""
      for (const check of pipeline.checks) assert.include(section, Catalogue.rowOf(check), AGAIN)
      assert.lengthOf(section.match(/^\| .* \| (exact|statistical) \| /gm) ?? [], pipeline.checks.length, AGAIN)
    }
  )
})
