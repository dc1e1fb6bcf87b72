/**
 * Where each objective stands in the four dimensions of the survey of direct preference optimization (arXiv 2503.11701):
 * data, learning framework, constraint, and the property of models that it is about.
 */

/** What a policy is held to while it learns. */
export type Reference = "free" | "static" | "dynamic"

export interface Tags {
  readonly data: {
    /** What of the data's quality it is about. */
    readonly quality?: "heterogeneity" | "distinguishability" | "noise"
    /** How many answers one label speaks of. */
    readonly feedback: "point" | "pair" | "list"
    readonly granularity: "token" | "sentence"
  }
  readonly framework: {
    readonly paradigm: "offline" | "online"
    readonly objective: "classification" | "regression" | "multi-objective" | "self-play"
  }
  readonly constraint: { readonly reference: Reference; readonly divergence?: "reverse-kl" | "f" }
  /** Which failure it was made against, if one. */
  readonly property?: "distribution-shift" | "length-bias" | "likelihood-collapse" | "alignment-tax"
}

const tags = (
  data: Partial<Tags["data"]> = {},
  framework: Partial<Tags["framework"]> = {},
  constraint: Partial<Tags["constraint"]> = {},
  property?: NonNullable<Tags["property"]>
): Tags => ({
  data: { feedback: "pair", granularity: "sentence", ...data },
  framework: { paradigm: "offline", objective: "classification", ...framework },
  constraint: { reference: "static", ...constraint },
  ...(property === undefined ? {} : { property })
})
const REVERSE = { divergence: "reverse-kl" } as const
const FREE = { reference: "free" } as const
const REGRESSION = { objective: "regression" } as const

/** By the name of the objective's component. Objectives that wrap another one have the tags of what they add. */
export const taxonomy: Readonly<Record<string, Tags>> = {
  aot: tags({ quality: "distinguishability" }),
  "aot-unpaired": tags({ feedback: "point", quality: "distinguishability" }),
  "apo-down": tags({ quality: "distinguishability" }, {}, {}, "likelihood-collapse"),
  "apo-zero": tags({ feedback: "point", quality: "distinguishability" }, {}, {}, "likelihood-collapse"),
  bco: tags({ feedback: "point" }),
  "bco-pair": tags({ feedback: "point" }),
  "beta-dpo": tags({ quality: "heterogeneity" }, {}, REVERSE),
  "bradley-terry": tags({}, {}, FREE),
  brain: tags({ feedback: "list" }, { objective: "regression" }, {}, "distribution-shift"),
  cpo: tags({}, {}, FREE, "likelihood-collapse"),
  discopop: tags(),
  dno: tags({}, { paradigm: "online", objective: "self-play" }, { reference: "dynamic" }, "distribution-shift"),
  dpo: tags({}, {}, REVERSE),
  dpop: tags({ quality: "distinguishability" }, {}, REVERSE, "likelihood-collapse"),
  "exo-pair": tags(),
  "f-dpo": tags({}, {}, { divergence: "f" }),
  "flex-dpo": tags({}, {}, {}, "likelihood-collapse"),
  gpm: tags({ quality: "heterogeneity" }, {}, FREE),
  gpo: tags({ quality: "heterogeneity" }, { paradigm: "online", ...REGRESSION }, { reference: "dynamic" }),
  hinge: tags(),
  imitation: tags({ feedback: "point" }, {}, FREE),
  ipo: tags({}, REGRESSION, REVERSE),
  kto: tags({ feedback: "point" }),
  "ld-dpo": tags({}, {}, REVERSE, "length-bias"),
  modpo: tags({ quality: "heterogeneity" }, { objective: "multi-objective" }, REVERSE),
  "nca-pair": tags({ feedback: "point" }, {}, {}, "likelihood-collapse"),
  odpo: tags({ quality: "distinguishability" }, {}, REVERSE),
  orpo: tags({}, {}, FREE, "alignment-tax"),
  "plackett-luce": tags({ feedback: "list" }, {}, REVERSE),
  rdpo: tags({}, {}, REVERSE, "length-bias"),
  robust: tags({ quality: "noise" }, {}, REVERSE),
  rpo: tags({ quality: "distinguishability" }, {}, REVERSE, "likelihood-collapse"),
  rrhf: tags({ feedback: "list" }, {}, FREE),
  sft: tags({ feedback: "point" }, {}, FREE),
  "sigmoid-norm": tags({}, {}, {}, "length-bias"),
  simpo: tags({}, {}, FREE, "length-bias"),
  "slic-hf": tags({}, {}, FREE),
  sppo: tags({ feedback: "point" }, { paradigm: "online", objective: "self-play" }, { reference: "dynamic" }),
  "sppo-hard": tags({}, { paradigm: "online", objective: "self-play" }, { reference: "dynamic" }),
  srpo: tags({}, { objective: "self-play" }, REVERSE, "distribution-shift"),
  tgdpo: tags({ granularity: "token" }, {}, REVERSE),
  tpo: tags({ feedback: "list" }, {}, FREE, "likelihood-collapse"),
  "tpo-l": tags({ feedback: "list" }, {}, FREE, "length-bias"),
  vpo: tags({}, {}, REVERSE, "distribution-shift"),
  "with-degree": tags({ quality: "distinguishability" }),
  "with-sft": tags({}, {}, {}, "likelihood-collapse"),
  wpo: tags({}, {}, REVERSE, "distribution-shift")
}
