// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are pieces of code
/** Known ways in which code for preference optimization has been silently wrong, each as one change of the sources. */

/** A test file; with `only`, just those of its tests whose names, `describe > it`, match this pattern. */
export interface Tests {
  readonly file: string
  readonly only?: string
}

export interface Bug {
  readonly name: string
  /** Path from the repository's root. */
  readonly file: string
  /** Stands exactly once in the file. */
  readonly text: string
  readonly wrong: string
  /** What ought to see it: run in this order, until one test fails. */
  readonly tests: ReadonlyArray<Tests>
}

const laws = (...names: ReadonlyArray<string>): Tests => ({
  file: "test/laws/components.test.ts",
  only: `(${names.join("|")}) > obeys`
})
const tests = (path: string, only?: string): Tests => ({
  file: `test/${path}.test.ts`,
  ...(only === undefined ? {} : { only })
})

const zoo = tests("stages/optimize/zoo", "equals its equation|golden numbers")
const llama = tests("runtime/models/Llama", "on cpu > (logits|scoreCompletions)|Batch")
const training = (only: string) => tests("stages/optimize/training", only)

const statistics: ReadonlyArray<Bug> = [
  {
    name: "the log-ratio's mean over tokens in place of the sum",
    file: "stages/optimize/statistics.ts",
    text: "export const sumLogRatio = perRole((role) => X.sumTokens(tokenLogRatio(role)))",
    wrong: "export const sumLogRatio = perRole((role) => X.div(X.sumTokens(tokenLogRatio(role)), X.length(role)))",
    tests: [laws("objective/dpo")]
  },
  {
    name: "the sum over tokens in place of the mean",
    file: "stages/optimize/statistics.ts",
    text: "export const meanLogProb = perRole((role) => X.div(sumLogProb(role), X.length(role)))",
    wrong: "export const meanLogProb = sumLogProb",
    tests: [tests("stages/optimize/objectives", "simpo > costs")]
  },
  {
    name: "reference and policy swapped",
    file: "stages/optimize/statistics.ts",
    text: 'X.sub(X.logProbs(role), X.logProbs(role, "reference"))',
    wrong: 'X.sub(X.logProbs(role, "reference"), X.logProbs(role))',
    tests: [tests("stages/optimize/objectives", "dpo > costs")]
  },
  {
    name: "the sign of the margin",
    file: "stages/optimize/statistics.ts",
    text: 'X.sub(statistic("chosen"), statistic("rejected"))',
    wrong: 'X.sub(statistic("rejected"), statistic("chosen"))',
    tests: [tests("stages/optimize/objectives", "dpo > costs")]
  },
  {
    name: "beta on the chosen side only",
    file: "stages/optimize/statistics.ts",
    text: "perRole((role) => X.mul(statistic(role), factor))",
    wrong: 'perRole((role) => (role === "rejected" ? statistic(role) : X.mul(statistic(role), factor)))',
    tests: [laws("objective/dpo")]
  }
]

const links: ReadonlyArray<Bug> = [
  {
    name: "label smoothing that keeps the label's own weight at 1",
    file: "stages/optimize/links.ts",
    text: "X.mul(link(gap), X.sub(1, epsilon))",
    wrong: "X.mul(link(gap), 1)",
    tests: [laws("objective/dpo")]
  },
  {
    name: "a gradient through the weight of a loss",
    file: "stages/optimize/links.ts",
    text: "X.mul(X.stopGradient(weight), link(gap))",
    wrong: "X.mul(weight, link(gap))",
    tests: [zoo]
  }
]

const objectives: ReadonlyArray<Bug> = [
  {
    name: "SimPO's margin given, not asked",
    file: "stages/optimize/objectives/simpo.ts",
    text: "sub(gap(reward), beta * gammaBetaRatio)",
    wrong: "sub(gap(reward), -beta * gammaBetaRatio)",
    tests: [tests("stages/optimize/objectives", "simpo > costs")]
  },
  {
    name: "a gradient through KTO's estimate of the divergence",
    file: "stages/optimize/objectives/kto.ts",
    text: 'X.stopGradient(X.relu(X.batchMean(sumLogRatio("mismatched"))))',
    wrong: 'X.relu(X.batchMean(sumLogRatio("mismatched")))',
    tests: [zoo]
  },
  {
    name: "a ranking's likelihood read from its end",
    file: "stages/optimize/objectives/plackettLuce.ts",
    text: "X.sub(X.logSumExp(rest), rest[0]!)",
    wrong: "X.sub(X.logSumExp(rest), rest.at(-1)!)",
    tests: [tests("stages/optimize/methodsGolden", "plackettLuce of two answers")]
  }
]

const algebra: ReadonlyArray<Bug> = [
  {
    name: "in float64, the gradient's sign on the subtracted side",
    file: "stages/optimize/algebra/float64.ts",
    text: "sub: { value: (a, b) => a - b, slopes: () => [1, -1] }",
    wrong: "sub: { value: (a, b) => a - b, slopes: () => [1, 1] }",
    tests: [laws("objective/dpo")]
  },
  {
    name: "in float64, a gradient through the reference",
    file: "stages/optimize/algebra/float64.ts",
    text: 'operation.op === "logProbs" && operation.source === "policy"',
    wrong: 'operation.op === "logProbs" && operation.source !== "guide"',
    tests: [laws("objective/dpo")]
  },
  {
    name: "in float64, a batch's mean whose gradient is a sum's",
    file: "stages/optimize/algebra/float64.ts",
    text: "const share = adjoint.reduce((sum, x) => sum + x, 0) / below.length",
    wrong: "const share = adjoint.reduce((sum, x) => sum + x, 0)",
    tests: [tests("stages/optimize/batchGradient")]
  },
  {
    name: "on tensors, a sum over tokens without the mask",
    file: "stages/optimize/algebra/tensors.ts",
    text: "return tf.sum(tf.mul(of, answersOf(items, operation.of.role!).mask), 1)",
    wrong: "return tf.sum(of, 1)",
    tests: [laws("objective/dpo")]
  },
  {
    name: "on tensors, the mask in the numerator only",
    file: "stages/optimize/algebra/tensors.ts",
    text: "return tf.sum(answersOf(items, operation.role).mask, 1)",
    wrong: "return tf.sum(tf.onesLike(answersOf(items, operation.role).mask), 1)",
    tests: [laws("objective/simpo")]
  },
  {
    name: "on tensors, a gradient through what is held constant",
    file: "stages/optimize/algebra/tensors.ts",
    text: 'return typeof of === "number" ? of : withoutGradient(of)',
    wrong: "return of",
    tests: [laws("objective/wpo")]
  }
]

const items: ReadonlyArray<Bug> = [
  {
    name: "masks and reference one place beside the policy's log-probabilities",
    file: "stages/optimize/items.ts",
    text: "(k * items.length + i) * width + item.rows[role]!.prompt.length - 1)",
    wrong: "(k * items.length + i) * width + item.rows[role]!.prompt.length)",
    tests: [training("dpo: starts at ln 2")]
  },
  {
    name: "the prompt counted in an answer's length",
    file: "stages/optimize/items.ts",
    text: "values.fill(1, start, start + lengthOf(item, role))",
    wrong: "values.fill(1, start - item.rows[role]!.prompt.length + 1, start + lengthOf(item, role))",
    tests: [tests("stages/optimize/coupled", "wpo, which")]
  },
  {
    name: "the weights of pairs ignored",
    file: "stages/optimize/items.ts",
    text: 'const weight = numbers["weight"] ?? 1',
    wrong: "const weight = 1",
    tests: [tests("stages/optimize/items", "weight 3")]
  },
  {
    name: "another pair's reference log-probabilities accepted",
    file: "stages/optimize/items.ts",
    text: "if (record.pair !== pair.id || values?.length !== rows[role]!.completion.length)",
    wrong: "if (values?.length !== rows[role]!.completion.length)",
    tests: [tests("stages/optimize/items", "another pair")]
  },
  {
    name: "an answer to another prompt read as one to the pair's own",
    file: "stages/optimize/items.ts",
    text: "return other && { prompt: other.prompt ?? prompt, completion: other.completion }",
    wrong: "return other && { prompt, completion: other.completion }",
    tests: [tests("stages/optimize/items", "its own prompt")]
  },
  {
    name: "a micro-batch's mean where its sum belongs",
    file: "stages/optimize/itemLoss.ts",
    text: "contribution(items, tf.sum(tf.mul(losses!, weightsOf(items))), metrics(objective, batch, items))",
    wrong: "contribution(items, tf.mean(tf.mul(losses!, weightsOf(items))), metrics(objective, batch, items))",
    tests: [training("dpo: starts at ln 2")]
  },
  {
    name: "every micro-batch given the first one's share of a batch's gradient",
    file: "stages/optimize/itemLoss.ts",
    text: "microBatches.map((items, m) => [items, microBatches.slice(0, m).flat().length])",
    wrong: "microBatches.map((items) => [items, 0])",
    tests: [tests("stages/optimize/coupled", "kto.* > does not depend on the micro-batches")]
  },
  {
    name: "ties counted as rightly ordered in training's accuracy",
    file: "stages/optimize/itemLoss.ts",
    text: 'tf.cast(tf.greater(chosen!, rejected!), "float32")',
    wrong: 'tf.cast(tf.greaterEqual(chosen!, rejected!), "float32")',
    tests: [tests("stages/optimize/items", "in training")]
  },
  {
    name: "one order of the pairs for every pass",
    file: "stages/optimize/loop.ts",
    text: "permutation = orders.permutation(pass, count) as Uint32Array<ArrayBuffer>",
    wrong: "permutation = orders.permutation(0, count) as Uint32Array<ArrayBuffer>",
    tests: [tests("stages/optimize/loop", "every item once")]
  },
  {
    name: "a batch's last, smaller micro-batch dropped",
    file: "stages/optimize/loop.ts",
    text: "{ length: Math.ceil(batch.length / size) }",
    wrong: "{ length: Math.floor(batch.length / size) }",
    tests: [training("micro-batches and their size")]
  }
]

const steps: ReadonlyArray<Bug> = [
  {
    name: "division by the number of accumulation steps",
    file: "runtime/tensor/train.ts",
    text: "sums.weight += contribution.weight\n        return contribution.loss",
    wrong: "sums.weight += 1\n        return tf.div(contribution.loss, contribution.weight) as tf.Scalar",
    tests: [tests("runtime/tensor/AdamW", "on cpu > cutting a batch")]
  },
  {
    name: "the last micro-batch's gradient alone",
    file: "runtime/tensor/train.ts",
    text: "added(sums.gradients.get(name), gradient)",
    wrong: "added(undefined, gradient)",
    tests: [tests("runtime/tensor/AdamW", "on cpu > cutting a batch")]
  },
  {
    name: "Adam without its bias correction",
    file: "runtime/tensor/AdamW.ts",
    text: "size: rate / (1 - beta1 ** step)",
    wrong: "size: rate",
    tests: [tests("runtime/tensor/AdamW", "on cpu > equals the float64 algorithm")]
  },
  {
    name: "a schedule that counts the warm-up twice",
    file: "runtime/tensor/schedule.ts",
    text: "Math.min(1, (step - o.warmup) / Math.max(1, o.total - o.warmup))",
    wrong: "Math.min(1, step / Math.max(1, o.total - o.warmup))",
    tests: [tests("runtime/tensor/AdamW", "schedules")]
  }
]

const models: ReadonlyArray<Bug> = [
  {
    name: "labels not shifted",
    file: "runtime/models/forward.ts",
    text: "from.map((i) => tokens[packed.at[i]! + 1]!)",
    wrong: "from.map((i) => tokens[packed.at[i]!]!)",
    tests: [llama]
  },
  {
    name: "the end of the sequence lost",
    file: "runtime/models/Policy.ts",
    text: 'return finish === "stop" ? [...ids, eos] : ids',
    wrong: "return ids",
    tests: [training("score.log-probs")]
  },
  {
    name: "the begin of the sequence twice",
    file: "runtime/models/Policy.ts",
    text: "encodePrompt: ({ text }) => [bos, ...tokenizer.encode(text)]",
    wrong: "encodePrompt: ({ text }) => [bos, bos, ...tokenizer.encode(text)]",
    tests: [tests("runtime/models/Policy", "begin-of-sequence")]
  },
  {
    name: "the prompt in the mask",
    file: "runtime/models/Batch.ts",
    text: "mask.fill(1, row * columns + prompt.length, row",
    wrong: "mask.fill(1, row * columns, row",
    tests: [llama]
  },
  {
    name: "one draw for all tokens of an answer",
    file: "runtime/models/generate.ts",
    text: "({ rng, tokens }) => rng.uniform(tokens.length)",
    wrong: "({ rng }) => rng.uniform(0)",
    tests: [tests("runtime/models/generate", "on cpu > draws follow")]
  }
]

const samples: ReadonlyArray<Bug> = [
  {
    name: "one seed for all prompts",
    file: "stages/sample/answers.ts",
    text: "const draws = rng.fork(prompt.id)",
    wrong: 'const draws = rng.fork("prompt")',
    tests: [tests("stages/sample/sample", "of their own")]
  },
  {
    name: "one seed for all answers to a prompt",
    file: "stages/sample/answers.ts",
    text: "rng: draws.fork(i)",
    wrong: "rng: draws",
    tests: [tests("stages/sample/sample", "depends on its prompt")]
  },
  {
    name: "the sign of the reward in rejection sampling",
    file: "stages/filter/rejectionSampling.ts",
    text: "const gap = rewards[index]! - best",
    wrong: "const gap = best - rewards[index]!",
    tests: [tests("stages/filter/statisticalRejection", "obeys its laws")]
  },
  {
    name: "answers sorted in the wrong direction",
    file: "stages/rank/rank.ts",
    text: "completions.toSorted((a, b) => b.score - a.score)",
    wrong: "completions.toSorted((a, b) => a.score - b.score)",
    tests: [tests("stages/rank/rank", "obeys its laws")]
  },
  {
    name: "the first prompt's scores for all prompts",
    file: "stages/score/score.ts",
    text: "score: scores[g]![i]!",
    wrong: "score: scores[0]![i]!",
    tests: [tests("stages/score/score", "changes nothing else")]
  }
]

const pairs: ReadonlyArray<Bug> = [
  {
    name: "pairs of ties",
    file: "stages/pair/allAbove.ts",
    text: "completions[rejected]!.score > margin)",
    wrong: "completions[rejected]!.score >= margin)",
    tests: [tests("stages/pair/pair", "obeys the laws of pair rules")]
  },
  {
    name: "the worst answer chosen",
    file: "stages/pair/bestWorst.ts",
    text: "[[best, worst]]",
    wrong: "[[worst, best]]",
    tests: [laws("pair/best-worst")]
  },
  {
    name: "every pair twice",
    file: "stages/pair/pair.ts",
    text: "return [...pairs.values()]",
    wrong: "return [...pairs.values(), ...pairs.values()]",
    tests: [tests("stages/pair/pair", "pair > obeys its law")]
  },
  {
    name: "a prompt's first pair dropped",
    file: "stages/pair/pair.ts",
    text: "return [...pairs.values()]",
    wrong: "return [...pairs.values()].slice(1)",
    tests: [tests("stages/pair/pair", "pair > makes pairs")]
  },
  {
    name: "a calibration answer to another prompt",
    file: "stages/pair/withCalibration.ts",
    text: "const completion = known.get(pair.prompt.id)",
    wrong: "const [completion] = known.values()",
    tests: [tests("stages/pair/pairStages", "with-calibration")]
  },
  {
    name: "one coin for the labels of all pairs",
    file: "stages/pair/flip.ts",
    text: "flipped(pair, draws.uniform(place) < params.rate)",
    wrong: "flipped(pair, draws.uniform(0) < params.rate)",
    tests: [tests("stages/pair/pairStages", "flip")]
  }
]

const evaluation: ReadonlyArray<Bug> = [
  {
    name: "the sign of the KL estimate",
    file: "stages/evaluate/rollouts.ts",
    text: "sum(generation.logProbs) - sum(scores[next++]!)",
    wrong: "sum(scores[next++]!) - sum(generation.logProbs)",
    tests: [tests("stages/evaluate/evaluate", "the KL estimate")]
  },
  {
    name: "the end of the sequence left out of the reference's side of the KL",
    file: "stages/evaluate/rollouts.ts",
    text: 'completion: finish === "stop" ? [...tokens, policy.eos] : tokens',
    wrong: "completion: tokens",
    tests: [tests("stages/evaluate/evaluate", "a policy against itself")]
  },
  {
    name: "the reward of the first rollout only",
    file: "stages/evaluate/evaluate.ts",
    text: "[`${name}/policy`]: ours.map(average)",
    wrong: "[`${name}/policy`]: ours.map((group) => group[0]!)",
    tests: [tests("stages/evaluate/rollouts")]
  },
  {
    name: "every prompt compared with the first one's reference answers",
    file: "stages/evaluate/evaluate.ts",
    text: "winRate(group, theirs[p]!)",
    wrong: "winRate(group, theirs[0]!)",
    tests: [tests("stages/evaluate/rollouts")]
  },
  {
    name: "ties counted as lost",
    file: "stages/evaluate/estimates.ts",
    text: "score === theirs[i]! ? 0.5 : 0",
    wrong: "0",
    tests: [tests("stages/evaluate/evaluate", "ties count half")]
  },
  {
    name: "the KL of a watched policy from itself",
    file: "stages/optimize/watch.ts",
    text: "logRatios(policy, start, prompts, answers)",
    wrong: "logRatios(policy, policy, prompts, answers)",
    tests: [training("what a look tells")]
  },
  {
    name: "a training that was resumed looks at its start again",
    file: "stages/optimize/loop.ts",
    text: "watch !== undefined && optimizer.step() === 0",
    wrong: "watch !== undefined",
    tests: [training("between two looks")]
  },
  {
    name: "changes of two runs by the place of a prompt",
    file: "runtime/compare/metrics.ts",
    text: "const others = after.get(prompt) ?? []",
    wrong: "const others = [...after.values()][[...before.keys()].indexOf(prompt)] ?? []",
    tests: [tests("runtime/compare/compare", "pairs the prompts")]
  },
  {
    name: "ties counted as rightly ordered",
    file: "stages/evaluate/preferenceAccuracy.ts",
    text: "chosen! > rejected! ? 1 : 0",
    wrong: "chosen! >= rejected! ? 1 : 0",
    tests: [tests("stages/optimize/items", "in evaluation")]
  }
]

const worlds: ReadonlyArray<Bug> = [
  {
    name: "in solved worlds, repeated pairs counted once",
    file: "stages/exact/optimize.ts",
    text: "else known.weight += weight",
    wrong: "else known.weight = weight",
    tests: [tests("stages/exact/sampled", "by its weight")]
  },
  {
    name: "in solved worlds, labels drawn against the preference",
    file: "stages/exact/comparisons.ts",
    text: "draws.uniform(0) < preference",
    wrong: "draws.uniform(0) >= preference",
    tests: [tests("stages/exact/sampled", "labels follow")]
  },
  {
    name: "in solved worlds, one seed for all pairs",
    file: "stages/exact/comparisons.ts",
    text: "const draws = rng.fork(i)",
    wrong: "const draws = rng.fork(0)",
    tests: [tests("stages/exact/sampled", "each pair draws")]
  },
  {
    name: "in solved worlds, the KL in the other direction",
    file: "stages/exact/evaluate.ts",
    text: "  kl: policyKl(policy, reference, context),",
    wrong: "  kl: policyKl(reference, policy, context),",
    tests: [tests("stages/exact/sampled", "kl is that")]
  },
  {
    name: "the sign of the exact KL",
    file: "runtime/exact/numbers.ts",
    text: "if (p > 0) sum += p * (logP[i]! - logQ[i]!)",
    wrong: "if (p > 0) sum += p * (logQ[i]! - logP[i]!)",
    tests: [tests("runtime/exact/bandit", "KL, entropy")]
  },
  {
    name: "the same order for every index of a permutation",
    file: "dsl/Rng.ts",
    text: "const draws = fork(index)",
    wrong: "const draws = fork(0)",
    tests: [tests("dsl/Rng", "permutations")]
  }
]

export const bugs: ReadonlyArray<Bug> = [
  ...statistics,
  ...links,
  ...objectives,
  ...algebra,
  ...items,
  ...steps,
  ...models,
  ...samples,
  ...pairs,
  ...evaluation,
  ...worlds
]
