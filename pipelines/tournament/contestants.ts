/**
 * Who can take part in a tournament: the methods that learn from pairs, each with the one parameter that says how hard it
 * pulls, and a few values of it.
 */
import type { Testbed } from "../../dsl/Pipeline.ts"
import {
  aot,
  aotUnpaired,
  apoDown,
  apoZero,
  bco,
  bcoPair,
  betaDpo,
  cpo,
  discopop,
  dpo,
  dpop,
  exoPair,
  fDpo,
  flexDpo,
  hinge,
  ipo,
  kto,
  ldDpo,
  ncaPair,
  orpo,
  rdpo,
  robust,
  rpo,
  rrhf,
  sft,
  sigmoidNorm,
  simpo,
  slicHf,
  sppoHard,
  tpo,
  wpo
} from "../../stages/index.ts"
import type { AnyObjective } from "../testbeds/sequences.ts"

/**
 * What a method reads beside the chosen and the rejected answer: nothing, an answer to another prompt (`mismatched`), or a
 * third answer that is better than both (`triples`).
 */
export type Needs = "pairs" | "mismatched" | "triples"

export interface Contestant {
  readonly name: string
  /** What `strength` is called where the method comes from; undefined where it has none, and its value says nothing. */
  readonly parameter: string | undefined
  readonly objective: (strength: number) => AnyObjective
  readonly needs: Needs
  /** Values of the strength that are tried unless told otherwise. */
  readonly grid: Readonly<Record<Testbed, ReadonlyArray<number>>>
  readonly testbeds: ReadonlyArray<Testbed>
}

const everywhere = ["tabular", "sequences", "text"] as const
/** Where answers differ in length. */
const lengths = ["sequences", "text"] as const

const same = (exact: ReadonlyArray<number>, text: ReadonlyArray<number> = exact): Contestant["grid"] => ({
  tabular: exact,
  sequences: exact,
  text
})
/** Of the usual scale of an implicit reward. */
const betas = same([0.1, 0.3, 1, 3], [0.05, 0.1, 0.5])

const contestant = (
  name: string,
  objective: Contestant["objective"],
  {
    grid = betas,
    needs = "pairs",
    parameter = "beta",
    testbeds = everywhere
  }: Partial<Pick<Contestant, "grid" | "needs" | "testbeds" | "parameter">> = {}
): Contestant => ({ name, objective, grid, needs, parameter, testbeds })

const without = (name: string, objective: AnyObjective): Contestant => ({
  ...contestant(name, () => objective, { grid: same([1]) }),
  parameter: undefined
})

/** All of them. Parameters other than the strength are those that the objective has by itself unless stated. */
export const contestants: ReadonlyArray<Contestant> = [
  contestant("dpo", (beta) => dpo({ beta })),
  contestant("cdpo", (beta) => dpo({ beta, labelSmoothing: 0.2 })),
  contestant("robust", (beta) => robust({ beta, labelSmoothing: 0.2 })),
  contestant("ipo", (tau) => ipo({ tau }), { parameter: "tau" }),
  contestant("hinge", (beta) => hinge({ beta })),
  contestant("exo-pair", (beta) => exoPair({ beta }), { grid: same([1, 3, 10], [0.05, 0.1, 0.5]) }),
  contestant("nca-pair", (beta) => ncaPair({ beta })),
  contestant("bco", (beta) => bco({ beta })),
  contestant("bco-pair", (beta) => bcoPair({ beta })),
  contestant("apo-zero", (beta) => apoZero({ beta })),
  contestant("apo-down", (beta) => apoDown({ beta })),
  contestant("kto", (beta) => kto({ beta }), { needs: "mismatched", testbeds: ["tabular", "text"] }),
  contestant("sppo-hard", (beta) => sppoHard({ beta }), { grid: same([0.3, 1, 3]) }),
  contestant("discopop", (beta) => discopop({ beta })),
  contestant("aot", (beta) => aot({ beta })),
  contestant("aot-unpaired", (beta) => aotUnpaired({ beta })),
  contestant("wpo", (beta) => wpo({ beta })),
  // On full batches, as in exact worlds, it is DPO.
  contestant("beta-dpo", (beta) => betaDpo({ beta }), { testbeds: ["text"] }),
  contestant("dpop", (beta) => dpop({ beta, lambda: 5 })),
  contestant("flex-dpo", (beta) => flexDpo({ betaPlus: beta, betaMinus: 0.8 * beta }), { parameter: "betaPlus" }),
  contestant("rpo", (beta) => rpo({ beta, eta: 0.2 })),
  contestant("f-dpo-forward-kl", (beta) => fDpo({ beta, divergence: "forward_kl" })),
  contestant("f-dpo-jsd", (beta) => fDpo({ beta, divergence: "jsd" })),
  contestant("f-dpo-alpha", (beta) => fDpo({ beta, divergence: "alpha" })),
  contestant("ld-dpo", (beta) => ldDpo({ beta }), { testbeds: lengths }),
  contestant("rdpo", (beta) => rdpo({ beta, alpha: 0.05 }), { testbeds: lengths }),
  contestant("sigmoid-norm", (beta) => sigmoidNorm({ beta }), {
    grid: same([1, 3, 10], [2, 5, 10]),
    testbeds: lengths
  }),
  contestant("simpo", (beta) => simpo({ beta, gammaBetaRatio: 0.5 }), { grid: same([1, 2.5, 10]) }),
  contestant("cpo", (beta) => cpo({ beta })),
  contestant("orpo", (lambda) => orpo({ lambda }), { parameter: "lambda", grid: same([0.1, 0.5, 2]) }),
  contestant("slic-hf", (delta) => slicHf({ delta }), { parameter: "delta", grid: same([0.5, 1, 2], [1, 5, 10]) }),
  contestant("tpo", (beta) => tpo({ beta }), { needs: "triples", testbeds: ["text"] }),
  without("rrhf", rrhf()),
  without("sft", sft())
]

/** Those that fit a testbed. */
export const fitting = (testbed: Testbed): ReadonlyArray<Contestant> =>
  contestants.filter(({ testbeds }) => testbeds.includes(testbed))
