/** The versions that a run is recorded with. They are provenance: keys hold code hashes instead. */
import prefline from "#package.json" with { type: "json" }

export interface Versions {
  readonly prefline: string
  readonly node: string
  readonly effect: string
}

export const current: Versions = {
  prefline: prefline.version,
  node: process.version,
  effect: prefline.dependencies.effect
}
