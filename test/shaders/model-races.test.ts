/**
 * Every shader of the project under the race detector: the kernels of a whole training step and a whole
 * decoding step, on a model so small that an interpreter can run them, in every variant that some adapter
 * would choose.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { decodeStep } from "../../models/decoding.ts";
import { adaptWith, encodeInstance, forward } from "../../models/hyperdecoder.ts";
import { parameterInventory } from "../../models/inventory.ts";
import { Dropout, type Model } from "../../models/t5.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { gradients } from "../../src/graph/gradients.ts";
import { input, read } from "../../src/graph/leaves.ts";
import {
  accumulate,
  adapter,
  addBias,
  adjustedScores,
  advance,
  argmax,
  assign,
  bannedTokens,
  beamStep,
  broadcastRows,
  concat,
  crossAttention,
  dropout,
  embedding,
  fill,
  geluGate,
  globalNorm,
  greedyStep,
  labelSmoothedLoss,
  linear,
  matmul,
  relu,
  reshape,
  rmsNorm,
  sampleStep,
  split,
  tokenAt,
} from "../../src/graph/ops/mod.ts";
import { activate, activationGate } from "../../src/graph/ops/activation.ts";
import { adafactor } from "../../src/graph/ops/adafactor.ts";
import { planAdafactor } from "../../src/graph/ops/adafactor-plan.ts";
import { record } from "../../src/graph/ops/record.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import type { HostArray } from "../../src/graph/program.ts";
import { size, type Tensor } from "../../src/graph/tensor.ts";
import { createVariable } from "../../src/graph/variables.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { testDevice } from "../graph/device.ts";
import { values } from "../graph/ops/check.ts";
import { contraction } from "../graph/ops/contraction.ts";
import { type Covered, findRaces } from "./graph-races.ts";
import { allEntries } from "./shaders.ts";

const test = suite("races in all shaders");
const gpu = await testDevice();
const covered: Covered = new Map();

/** The device as seen by kernels that choose. */
const adapters: readonly [string, Gpu][] = [["CPU", seenAs(true)], ["GPU", seenAs(false)]];

/**
 * Kernels whose lanes talk through subgroup operations, for which the interpreter has no lanes. They
 * have no workgroup memory, and their own tests compare every result with f64 loops. And the kernel that sums up
 * what one of them leaves, an invocation for each element of its result.
 */
const withoutInterpreter = [
  "attention-subgroup-diagonals.main",
  "attention-subgroup-forward.forward",
  "attention-subgroup-gradient.backward",
  "matmul-subgroup.matmul",
  "matmul-subgroup-norm.matmul",
  "matmul-subgroup-norm-gradient.matmul",
  "step-linear-subgroup.main",
];

/** Sizes that are whole vec4s, and sizes that are not. */
const sizes = [
  { width: 8, heads: 2, headDim: 4, inner: 12, vocabulary: 16, adapterDim: 4 },
  { width: 7, heads: 3, headDim: 3, inner: 5, vocabulary: 13, adapterDim: 3 },
];

for (const [name, seen] of adapters) {
  // The interpreter takes a minute for a model of GPU kernels, which have workgroup memory to go through.
  const tried = seen.isCpu ? test : test.exhaustive;
  for (const s of sizes) {
    for (const projection of ["gated-gelu", "relu"]) {
      tried(`${name}, width ${s.width}, ${projection}`, () => {
        const problems = [
          ...trainingRaces(seen, s, projection),
          ...decodingRaces(seen, s, projection),
        ];
        assert.equal(problems, []);
      });
    }
  }
  tried(`${name}, long sums and unaligned parts`, () => assert.equal(otherRaces(seen), []));
  test(`${name}, Adafactor`, () => assert.equal(adafactorRaces(seen), []));
}

test.exhaustive("no entry point was left out", () => {
  const run = new Set(
    [...covered.values()].map(({ shader, entry = "main" }) => `${stem(shader.name)}.${entry}`),
  );
  const missed = allEntries().map(({ name, entry }) => `${name}.${entry}`).filter((e) =>
    !run.has(e)
  );
  assert.equal(missed, withoutInterpreter);
});

function modelOf(seen: Gpu, s: typeof sizes[0], projection: string) {
  const config = parseConfig({
    vocab_size: s.vocabulary,
    d_model: s.width,
    d_kv: s.headDim,
    d_ff: s.inner,
    num_heads: s.heads,
    num_layers: 1,
    relative_attention_num_buckets: 8,
    feed_forward_proj: projection,
    tie_word_embeddings: projection === "relu",
    encoder_adapter: "manual",
    decoder_adapter: "generated",
    encoder_adapter_dim: s.adapterDim,
    decoder_adapter_dim: s.adapterDim,
    hypernetwork_bottleneck: 4,
  }, "test");
  const parameters = new Parameters(
    seen,
    parameterInventory(config).map((p) => ({ ...p, trainable: true })),
  );
  return { config, parameters };
}

function trainingRaces(seen: Gpu, s: typeof sizes[0], projection: string): string[] {
  const { config, parameters } = modelOf(seen, s, projection);
  const [batch, source, target] = [2, 3, 2];
  const model: Model = {
    config,
    weight: (name) => parameters.tensor(name),
    dropout: new Dropout(0.25, input("seed", [2], "u32")),
  };
  const { logits } = forward(model, {
    inputIds: input("inputIds", [batch, source], "i32"),
    attentionMask: input("attentionMask", [batch, source], "i32"),
    decoderInputIds: input("decoderInputIds", [batch, target], "i32"),
  });
  const rows = reshape(logits, [batch * target, config.vocabSize]);
  const labels = input("labels", [batch * target], "i32");
  const { loss, sums } = labelSmoothedLoss(rows, labels, { smoothing: 0.1 });
  const adjoints = gradients(loss, parameters.trainable.map((name) => parameters.tensor(name)));
  const byName = new Map<string, Tensor>();
  parameters.trainable.forEach((name, i) => adjoints[i] && byName.set(name, adjoints[i]));
  const { effects, norm } = new AdamW(parameters).update(byName, input("hyper", [8]));
  const log = read(createVariable(seen, "log", [4, 4]));
  const logged = record(log, {
    slot: input("slot", [1], "u32"),
    keep: input("keep", [1]),
    sums,
    norm,
  });
  const given: Record<string, HostArray> = {
    inputIds: Int32Array.of(3, 4, 3, 5, 0, 0),
    attentionMask: Int32Array.of(1, 1, 1, 1, 0, 0),
    labels: Int32Array.of(4, 1, 2, 0),
    hyper: new Float32Array(8).fill(0.5),
    ...weightsOf(parameters),
  };
  const problems = findRaces(seen, [...effects, logged], given, covered);
  parameters.destroy();
  return problems;
}

function decodingRaces(seen: Gpu, s: typeof sizes[0], projection: string): string[] {
  const { config, parameters } = modelOf(seen, s, projection);
  const model: Model = { config, weight: (name) => parameters.tensor(name) };
  const [batch, source, length, slots] = [2, 3, 4, 2];
  const variable = (name: string, shape: number[], dtype: "f32" | "i32" | "u32" = "f32") =>
    read(createVariable(seen, name, shape, dtype));
  const inner = config.heads * config.headDim;
  const keyValues = (length: number, slots: number) => ({
    key: variable("keys", [batch, length, slots * inner]),
    value: variable("values", [batch, length, slots * inner]),
  });
  const attentionMask = input("attentionMask", [batch, source], "i32");
  const inputIds = input("inputIds", [batch, source], "i32");
  const { decoderAdaptation } = encodeInstance(model, { inputIds, attentionMask });
  const position = variable("position", [1], "u32");
  const vocabulary = config.vocabSize;
  const limits = { endIds: [1], padId: 0, minLength: 2 };
  const given: Record<string, HostArray> = {
    position: Uint32Array.of(1),
    tokens: Int32Array.of(0, 0, 3, 4, 0, 0, 0, 0, 0, 0, 5, 5, 0, 0, 0, 0),
    ...weightsOf(parameters),
  };

  /** A step that chooses in one of the ways; `slots` sequences a row. */
  const stepRaces = (choose: (logits: Tensor, tokens: Tensor) => Tensor[], ancestors?: Tensor) => {
    const tokens = variable("tokens", [batch, length, slots], "i32");
    const logits = decodeStep(
      model,
      tokenAt(tokens, position),
      position,
      {
        self: [keyValues(length, slots)],
        cross: [keyValues(source, 1)],
        encoderMask: attentionMask,
        ancestors,
      },
      adaptWith(decoderAdaptation?.adapters),
    );
    const roots = [...choose(logits, tokens), advance(position), argmax(logits)];
    return findRaces(seen, roots, given, covered);
  };
  const independent = (tokens: Tensor) => ({
    tokens,
    finished: variable("finished", [batch, slots], "i32"),
    logProbabilities: variable("logProbabilities", [batch, length, slots, 2]),
  });
  const ancestors = variable("ancestors", [batch, slots, length], "u32");
  const problems = [
    stepRaces((logits, tokens) =>
      Object.values(greedyStep(logits, independent(tokens), position, {
        ...limits,
        banned: bannedTokens(tokens, position, { size: 2, vocabulary }),
      }))
    ),
    stepRaces((logits, tokens) => {
      const state = {
        tokens,
        parents: variable("parents", [batch, length, slots], "i32"),
        sums: variable("sums", [batch, length, slots, 2]),
        ancestors,
        hypotheses: variable("hypotheses", [batch, 2 + 5 * slots]),
      };
      const banned = bannedTokens(tokens, position, { size: 1, vocabulary, ancestors });
      const divisors = variable("divisors", [length + 1]);
      const rule = "transformers" as const;
      const hopes = { earlyStopping: true, rule, bestLength: 0, isRenormalised: false };
      const options = { ...limits, ...hopes, banned };
      return Object.values(beamStep(logits, state, position, divisors, options));
    }, ancestors),
  ].flat();
  parameters.destroy();
  return problems;
}

/** What a model of that size does not reach: long reductions, copies, the rarer ops. */
function otherRaces(seen: Gpu): string[] {
  const x = input("x", [3, 5]);
  const [a, b, c] = split(x, 3);
  const row = input("row", [5]);
  const long = input("long", [700, 3]);
  const sum = read(createVariable(seen, "sum", [3, 5]));
  const other = read(createVariable(seen, "other", [3, 5]));
  const tall = input("tall", [2, 40, 4]);
  const shared = {
    downWeight: input("down", [3, 4]),
    downBias: input("downBias", [3]),
    upWeight: input("up", [4, 3]),
    upBias: input("upBias", [4]),
  };
  const halves = (...shape: number[]) => read(createVariable(seen, "halves", shape, "f16"));
  const ids = input("ids", [5], "i32");
  // One row: with its many barriers, the interpreter takes seconds for each.
  const sampled = sampleStep(
    input("logits", [1, 13]),
    {
      tokens: read(createVariable(seen, "tokens", [1, 4, 1], "i32")),
      finished: read(createVariable(seen, "finished", [1, 1], "i32")),
      logProbabilities: read(createVariable(seen, "logProbabilities", [1, 4, 1, 2])),
    },
    input("position", [1], "u32"),
    input("random", [3], "u32"),
    { endIds: [1], padId: 0, minLength: 2, temperature: 0.7, topK: 5, topP: 0.5 },
  );
  const state = (name: string, shape: number[], type: "i32" | "u32" | "f32" = "f32") =>
    read(createVariable(seen, name, shape, type));
  const [tokens, position] = [state("ruled", [1, 4, 2], "i32"), input("position", [1], "u32")];
  const everyBan = bannedTokens(tokens, position, {
    vocabulary: 13,
    size: 2,
    ofSource: { tokens: state("source", [1, 5], "i32"), size: 2 },
    sequences: state("sequences", [2, 3], "i32"),
    always: { planes: state("planes", [4, 1], "u32"), isFirstFixed: false, isLastFixed: false },
  });
  const scores = adjustedScores(input("two logits", [2, 13]), position, {
    slots: 2,
    maxLength: 4,
    endIds: [1],
    isLogarithm: true,
    isFinite: true,
    isFirstForced: false,
    isLastForced: true,
    penalty: { seen: everyBan, by: 1.5 },
    sourcePenalty: { seen: state("source seen", [1, 1], "u32"), by: 1.5 },
    growth: state("growth", [4]),
  });
  // No gradient of the queries is wanted, beside which others are made.
  const keyValue = input("keyValue", [1, 3, 8]);
  const attended = crossAttention(input("query", [1, 2, 4]), keyValue, {
    heads: 2,
    maskValue: -1e4,
  });
  const normed = input("normed", [5, 8]);
  const frozen = linear(rmsNorm(normed, input("scale", [8])), input("frozen", [12, 8]));
  const attentionLoss = matmul(reshape(attended, [1, 8]), input("weights", [8, 1]));
  return findRaces(
    seen,
    [
      ...Object.values(sampled),
      scores,
      gradients(attentionLoss, [keyValue])[0]!,
      concat([relu(c), a, b], [3, 5]),
      matmul(long, long, { transposeA: true }),
      globalNorm([long]),
      broadcastRows(row, 3),
      fill([3], 2),
      dropout(x, { rate: 0.5, seed: input("seed", [2], "u32"), site: 1 }),
      accumulate(sum, x, input("keep", [1])),
      assign(other, x),
      addBias(x, row),
      adapter(tall, shared, tall),
      // Of a result whose gradient is no product's.
      ...[3, 4].map((columns) => {
        const gate = input("gate", [3, 2 * columns]);
        return gradients(contraction(geluGate(gate), input("dy", [3, columns])), [gate])[0]!;
      }),
      activate(x, "gelu"),
      gradients(contraction(activate(x, "gelu"), input("dx", [3, 5])), [x])[0]!,
      gradients(contraction(activationGate(tall, "silu"), input("ds", [2, 40, 2])), [tall])[0]!,
      // Of a norm whose layer is frozen.
      frozen,
      gradients(contraction(frozen, input("df", [5, 12])), [normed])[0]!,
      matmul(x, concat([halves(3), halves(2, 6)], [5, 3])),
      ...[3, 8].flatMap((columns) => [
        embedding(halves(5, columns), ids),
        matmul(x, halves(5, columns)),
        matmul(x, halves(3, columns), { transposeA: true }),
        matmul(halves(columns, 3), x),
        matmul(halves(3, columns), x, { transposeA: true }),
      ]),
    ],
    {
      x: values([15]),
      logits: values([13], 4),
      "two logits": values([26], 4),
      sequences: Int32Array.of(2, 3, 4, 2, 5, 6),
      long: values([2100], 2),
      tall: values([320], 3),
    },
    covered,
  );
}

/** A tensor of several tiles and matrices, one with an odd number of columns, and a vector. */
function adafactorRaces(seen: Gpu): string[] {
  const shapes = [[2, 3, 67], [65, 5], [66]], offsets = [0, 448, 832], length = 960;
  const plan = planAdafactor(
    shapes.map((shape, i) => ({ shape, offset: offsets[i], hasGradient: true, decays: true })),
  );
  const slab = (name: string) => read(createVariable(seen, name, [length]));
  const entries = createVariable(seen, "entries", [plan.entries.length], "u32");
  const updated = adafactor(
    {
      parameters: slab("parameters"),
      gradients: input("gradients", [length]),
      secondMoments: read(createVariable(seen, "moments", [plan.momentsLength])),
      firstMoment: slab("first moments"),
      hyper: input("hyper", [4]),
      norm: input("norm", [1]),
      entries: read(entries),
    },
    plan,
    {
      gradientEpsilon: 1e-30,
      parameterEpsilon: 1e-3,
      clipThreshold: 1,
      weightDecay: 0.1,
      beta1: 0.9,
      scaleParameter: true,
    },
  );
  const given = { entries: plan.entries, gradients: values([length]), hyper: values([4], 2) };
  return findRaces(seen, updated, given, covered);
}

function weightsOf(parameters: Parameters): Record<string, HostArray> {
  return Object.fromEntries(
    parameters.slabs.map(({ variable }) => [variable.name, values([size(variable.shape)], 7)]),
  );
}

/** The device without subgroups, as a CPU or as a GPU. */
function seenAs(isCpu: boolean): Gpu {
  return {
    device: gpu.device,
    adapterName: gpu.adapterName,
    isCpu,
    features: { ...gpu.features, subgroups: false },
    limits: gpu.limits,
    subgroupSize: { min: 1, max: 1 },
    enableSubgroupsLine: gpu.enableSubgroupsLine,
    lost: gpu.lost,
    assertHealthy: (operation) => gpu.assertHealthy(operation),
    destroy: () => gpu.destroy(),
  };
}

/** A specialised shader's name begins with that of its file. */
function stem(name: string): string {
  const files = new Set(allEntries().map((entry) => entry.name));
  for (let end = name.length; end > 0; end = name.lastIndexOf("-", end - 1)) {
    if (files.has(name.slice(0, end))) return name.slice(0, end);
  }
  return name;
}

test.run();
