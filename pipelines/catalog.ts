/** Every pipeline that the command line knows by name. A new method is one more line here. */
import type * as Pipeline from "../dsl/Pipeline.ts"
import acceleratedPo from "./direct/acceleratedPo.ts"
import brain from "./direct/brain.ts"
import dno from "./direct/dno.ts"
import dpa from "./direct/dpa.ts"
import dpo from "./direct/dpo.ts"
import fDpo from "./direct/fDpo.ts"
import gpm from "./direct/gpm.ts"
import ldDpo from "./direct/ldDpo.ts"
import modpo from "./direct/modpo.ts"
import multiModelData from "./direct/multiModelData.ts"
import preferenceDegree from "./direct/preferenceDegree.ts"
import rewardModels from "./direct/rewardModels.ts"
import rpo from "./direct/rpo.ts"
import rso from "./direct/rso.ts"
import simpo from "./direct/simpo.ts"
import sppo from "./direct/sppo.ts"
import srpo from "./direct/srpo.ts"
import survey from "./direct/survey.ts"
import tgdpo from "./direct/tgdpo.ts"
import threeDProperties from "./direct/threeDProperties.ts"
import tpo from "./direct/tpo.ts"
import vpo from "./direct/vpo.ts"

const at = (path: string) => new URL(path, import.meta.url).href

export const catalog: ReadonlyArray<{ readonly module: string; readonly pipeline: Pipeline.Pipeline }> = [
  { pipeline: acceleratedPo, module: at("./direct/acceleratedPo.ts") },
  { pipeline: brain, module: at("./direct/brain.ts") },
  { pipeline: dno, module: at("./direct/dno.ts") },
  { pipeline: dpa, module: at("./direct/dpa.ts") },
  { pipeline: dpo, module: at("./direct/dpo.ts") },
  { pipeline: fDpo, module: at("./direct/fDpo.ts") },
  { pipeline: gpm, module: at("./direct/gpm.ts") },
  { pipeline: ldDpo, module: at("./direct/ldDpo.ts") },
  { pipeline: modpo, module: at("./direct/modpo.ts") },
  { pipeline: multiModelData, module: at("./direct/multiModelData.ts") },
  { pipeline: preferenceDegree, module: at("./direct/preferenceDegree.ts") },
  { pipeline: rewardModels, module: at("./direct/rewardModels.ts") },
  { pipeline: rpo, module: at("./direct/rpo.ts") },
  { pipeline: rso, module: at("./direct/rso.ts") },
  { pipeline: simpo, module: at("./direct/simpo.ts") },
  { pipeline: sppo, module: at("./direct/sppo.ts") },
  { pipeline: srpo, module: at("./direct/srpo.ts") },
  { pipeline: survey, module: at("./direct/survey.ts") },
  { pipeline: tgdpo, module: at("./direct/tgdpo.ts") },
  { pipeline: threeDProperties, module: at("./direct/threeDProperties.ts") },
  { pipeline: tpo, module: at("./direct/tpo.ts") },
  { pipeline: vpo, module: at("./direct/vpo.ts") }
]
