import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import fixture from "../../fixtures/relative-position-bucket.json" with { type: "json" };
import { reflect } from "../../../src/gpu/reflection.ts";
import { compile } from "../../../src/graph/compile.ts";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import {
  type AttentionOptions,
  crossAttention,
  selfAttention,
} from "../../../src/graph/ops/attention.ts";
import { attentionChunks, CHUNK_SCORES } from "../../../src/graph/ops/attention-chunks.ts";
import { hasBroadcasts } from "../../../src/graph/ops/matmul-candidates.ts";
import { adapterOf } from "../../../src/graph/ops/matmul-dispatch.ts";
import { matmul } from "../../../src/graph/ops/matmul.ts";
import { reshape } from "../../../src/graph/ops/reshape.ts";
import { executionOrder } from "../../../src/graph/order.ts";
import { planSteps } from "../../../src/graph/steps.ts";
import { ShapeError, size, type Tensor } from "../../../src/graph/tensor.ts";
import { choice } from "../../choice.ts";
import { testDevice } from "../device.ts";
import { referenceAttention, referenceBucket } from "./attention-reference.ts";
import {
  assertClose,
  checkGradient,
  evaluate,
  type Operand,
  operand,
  sideBySide,
} from "./check.ts";
import { chosenVariants, variants } from "./variants.ts";

const test = suite("attention");
const device = await testDevice();

const [cpu] = variants(device);
const all = variants(device);
// Without subgroups, CPU adapters compute attention as products whatever the size of a head.
if (hasBroadcasts(adapterOf(device))) {
  all.push(["without subgroups", {
    ...cpu[1],
    features: { ...cpu[1].features, subgroups: false },
  }]);
}
/** Those whose kernels this adapter chooses and, in an exhaustive run, all. */
const chosen = choice.exhaustive ? all : chosenVariants(device);

interface Positions {
  readonly buckets: number;
  readonly bidirectional: boolean;
  readonly maxDistance?: number;
}

interface Case {
  readonly batch?: number;
  readonly heads?: number;
  readonly queryLength: number;
  readonly keyLength: number;
  readonly headSize: number;
  readonly causal?: boolean;
  readonly positions?: Positions;
  readonly keyMask?: Int32Array;
  readonly maskValue?: number;
  readonly rate?: number;
  /** Queries and keys are in [-scale, scale). */
  readonly scale?: number;
  readonly tolerance?: number;
}

/** The columns of one of `count` matrices that are side by side. */
function columns(values: ArrayLike<number>, part: number, count: number, width: number) {
  return Array.from(values).filter((_, i) => Math.floor(i / width) % count === part);
}

/** Runs a case forward and backward and compares everything with the f64 reference. */
async function check(given: Case, gpu: Gpu, isSelf = false): Promise<void> {
  const { batch = 2, heads = 2, queryLength, keyLength, headSize, rate, scale = 1 } = given;
  const { causal = false, maskValue = -1e4, tolerance = 1e-4, keyMask, positions } = given;
  const width = heads * headSize;
  const query = operand([batch, queryLength, width], 1, scale);
  const key = operand([batch, keyLength, width], 2, scale);
  const value = operand([batch, keyLength, width], 3);
  const packed: Record<string, Operand> = isSelf
    ? { query: sideBySide(query, key, value) }
    : { query, keyValue: sideBySide(key, value) };
  const operands: Record<string, Operand> = {
    ...packed,
    outputGradient: operand([batch * queryLength * width, 1], 4),
  };
  if (positions) operands.table = operand([positions.buckets, heads], 5);
  if (keyMask) operands.keyMask = { shape: [batch, keyLength], values: keyMask };
  if (rate) operands.seed = { shape: [2], values: Uint32Array.of(0xdeadbeef, 7) };
  const site = 11;

  const results = await evaluate(gpu, operands, (leaves) => {
    const { query, keyValue, table, keyMask, seed, outputGradient } = leaves;
    const dropout = seed && { rate: rate!, seed, site };
    const options = {
      heads,
      positions: positions && { ...positions, table },
      keyMask,
      causal,
      maskValue,
      dropout,
    };
    const output = isSelf
      ? selfAttention(query, options)
      : crossAttention(query, keyValue, options);
    const loss = matmul(reshape(output, [1, size(output.shape)]), outputGradient);
    const wanted: Record<string, Tensor> = {
      query,
      ...(keyValue && { keyValue }),
      ...(table && { table }),
    };
    const adjoints = gradients(loss, Object.values(wanted));
    return {
      output,
      ...Object.fromEntries(Object.keys(wanted).map((name, i) => [`d ${name}`, adjoints[i]!])),
    };
  });

  const expected = referenceAttention({
    batch,
    heads,
    queryLength,
    keyLength,
    headSize,
    causal,
    maskValue,
    keyMask,
    query: query.values,
    key: key.values,
    value: value.values,
    positions: positions && {
      table: operands.table.values,
      bucket: referenceBucket(positions),
    },
    dropout: rate ? { rate, seed: operands.seed.values, site } : undefined,
  }, operands.outputGradient.values);
  const compare = (
    name: string,
    reference: Float64Array,
    values: ArrayLike<number> = results[name],
  ) => {
    const largest = reference.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-6);
    assertClose(values, reference, {
      absolute: tolerance * largest,
      relative: 0,
      what: name,
    });
  };
  compare("output", expected.output);
  const gradient = results[isSelf ? "d query" : "d keyValue"], count = isSelf ? 3 : 2;
  const queryGradient = isSelf ? columns(gradient, 0, 3, width) : results["d query"];
  compare("d query", expected.query, queryGradient);
  compare("d key", expected.key, columns(gradient, count - 2, count, width));
  compare("d value", expected.value, columns(gradient, count - 1, count, width));
  if (positions) compare("d table", expected.table);
}

/** A mask under which row b of the batch has `lengths[b]` keys. */
function lengthMask(keyLength: number, ...lengths: number[]): Int32Array {
  return Int32Array.from(
    { length: lengths.length * keyLength },
    (_, i) => Number(i % keyLength < lengths[Math.floor(i / keyLength)]),
  );
}

const encoder = { buckets: 32, bidirectional: true };
const decoder = { buckets: 32, bidirectional: false };

const cases: Record<string, Case> = {
  "one query, one key, one feature": {
    batch: 1,
    heads: 1,
    queryLength: 1,
    keyLength: 1,
    headSize: 1,
  },
  "sizes that are multiples of no tile": { queryLength: 7, keyLength: 13, headSize: 5 },
  "as many queries as keys, in heads of no multiple of 4": {
    heads: 3,
    queryLength: 35,
    keyLength: 35,
    headSize: 7,
    positions: encoder,
    keyMask: lengthMask(35, 35, 20),
    rate: 0.2,
  },
  "tiles that are just full": { queryLength: 32, keyLength: 64, headSize: 32, positions: encoder },
  "one key more than a tile": { queryLength: 33, keyLength: 33, headSize: 16, positions: encoder },
  "64 features": { heads: 3, queryLength: 18, keyLength: 35, headSize: 64, positions: encoder },
  "40 features, more than a block and no multiple of it": {
    queryLength: 9,
    keyLength: 6,
    headSize: 40,
    positions: encoder,
  },
  "37 features": { queryLength: 5, keyLength: 6, headSize: 37, positions: encoder },
  "128 features": { heads: 1, queryLength: 5, keyLength: 9, headSize: 128, positions: encoder },
  "causal": { queryLength: 37, keyLength: 37, headSize: 8, causal: true, positions: decoder },
  "padded keys": {
    queryLength: 6,
    keyLength: 40,
    headSize: 8,
    positions: encoder,
    keyMask: lengthMask(40, 40, 3),
  },
  "causal over padded keys": {
    queryLength: 9,
    keyLength: 9,
    headSize: 8,
    causal: true,
    keyMask: lengthMask(9, 9, 4),
  },
  "rows without a key": {
    queryLength: 6,
    keyLength: 5,
    headSize: 8,
    keyMask: lengthMask(5, 0, 5),
    tolerance: 2e-3,
  },
  "dropout": {
    queryLength: 10,
    keyLength: 37,
    headSize: 12,
    positions: encoder,
    keyMask: lengthMask(37, 37, 20),
    rate: 0.3,
  },
  "scores in the hundreds": {
    queryLength: 8,
    keyLength: 8,
    headSize: 16,
    scale: 12,
    tolerance: 1e-3,
  },
  "few buckets, the last of which begins soon": {
    queryLength: 19,
    keyLength: 70,
    headSize: 4,
    positions: { buckets: 6, bidirectional: true, maxDistance: 9 },
  },
  "three buckets, in which keys after the query are": {
    queryLength: 40,
    keyLength: 7,
    headSize: 4,
    positions: { buckets: 3, bidirectional: false, maxDistance: 20 },
  },
  "more buckets than a workgroup has invocations": {
    queryLength: 40,
    keyLength: 90,
    headSize: 4,
    positions: { buckets: 130, bidirectional: true },
  },
  "one query in many tiles of keys": {
    queryLength: 1,
    keyLength: 300,
    headSize: 4,
    positions: encoder,
    keyMask: lengthMask(300, 300, 4),
    maskValue: -1e9,
  },
  "a key for many tiles of queries": {
    queryLength: 300,
    keyLength: 1,
    headSize: 4,
    positions: decoder,
  },
  "tiny operands": { queryLength: 8, keyLength: 8, headSize: 16, scale: 1e-12 },
  "heads of 32 features: one query, one key": { queryLength: 1, keyLength: 1, headSize: 32 },
  "heads of 32 features: blocks that are not full": {
    queryLength: 7,
    keyLength: 65,
    headSize: 32,
    positions: encoder,
    keyMask: lengthMask(65, 65, 20),
    rate: 0.3,
  },
  "heads of 32 features: more queries than keys": {
    queryLength: 65,
    keyLength: 18,
    headSize: 32,
    positions: decoder,
  },
  "heads of 32 features: causal over padded keys": {
    batch: 3,
    queryLength: 41,
    keyLength: 41,
    headSize: 32,
    causal: true,
    keyMask: lengthMask(41, 41, 23, 1),
    rate: 0.1,
  },
  "heads of 32 features: rows without a key": {
    queryLength: 6,
    keyLength: 37,
    headSize: 32,
    keyMask: lengthMask(37, 0, 37),
    tolerance: 2e-3,
  },
};

/** What a quick run tries of kernels that this adapter does not choose. */
const sample = "dropout";

/** Not so OpenGL on a CPU, the one without subgroups: it takes minutes for a kernel with many barriers. */
const compilesFast = !device.isCpu || device.features.subgroups;

/** Scores for several chunks: too many for the other variant on llvmpipe, which stops long loops. */
const chunkedCases: Record<string, Case> = {
  "queries of one element in several chunks": {
    batch: 2,
    heads: 1,
    queryLength: 140,
    keyLength: 20_000,
    headSize: 2,
    positions: encoder,
    keyMask: lengthMask(20_000, 20_000, 19_000),
    rate: 0.1,
  },
  "elements of the batch in several chunks": {
    batch: 7,
    heads: 3,
    queryLength: 40,
    keyLength: 3000,
    headSize: 4,
    positions: decoder,
    keyMask: lengthMask(3000, 3000, 9, 0, 2000, 3000, 1, 2999),
    rate: 0.1,
  },
};

for (const [name, given] of Object.entries(chunkedCases)) {
  const [variant, gpu] = cpu;
  test(`${variant}, ${name}: result and gradients are the reference's`, () => {
    const sizes = { batch: given.batch!, queryLength: given.queryLength };
    assert.ok(attentionChunks(sizes, given.heads! * given.keyLength).length > 1);
    return check(given, gpu);
  });
}

const largest: Case = {
  heads: 8,
  queryLength: 322,
  keyLength: 327,
  headSize: 64,
  positions: encoder,
  keyMask: lengthMask(327, 327, 100),
  rate: 0.1,
};

test.exhaustive(
  "a problem for the largest blocks: result and gradients are the reference's",
  () => check(largest, cpu[1]),
);

for (const [variant, gpu] of all) {
  for (const [name, given] of Object.entries(cases)) {
    for (const isSelf of given.queryLength === given.keyLength ? [false, true] : [false]) {
      const title = `${variant}, ${name}${isSelf ? ", in one tensor" : ""}`;
      const isChosen = chosen.some(([name]) => name === variant);
      const isTried = isChosen || (name === sample && compilesFast);
      const tried = isTried ? test : test.exhaustive;
      tried(`${title}: result and gradients are the reference's`, () => check(given, gpu, isSelf));
    }
  }
}

test("a query that sees a single key has exactly no gradient", async () => {
  for (const [variant, gpu] of chosen) {
    for (const headSize of [8, 11, 32]) {
      const operands = {
        query: operand([2, 5, headSize], 1),
        keyValue: operand([2, 1, 2 * headSize], 2),
        weights: operand([2 * 5 * headSize, 1], 4),
      };
      const { gradient } = await evaluate(gpu, operands, ({ query, keyValue, weights }) => {
        const output = crossAttention(query, keyValue, { heads: 1, maskValue: -1e4 });
        const loss = matmul(reshape(output, [1, 2 * 5 * headSize]), weights);
        return { gradient: gradients(loss, [query])[0]! };
      });
      const label = `${variant}, head size ${headSize}`;
      assert.ok(gradient.every((value) => value === 0), `${label}: ${gradient}`);
    }
  }
});

for (const reference of fixture) {
  const { num_buckets: buckets, max_distance: maxDistance, bidirectional, bucket } = reference;
  const { relative_position_from: from, relative_position_to: to } = reference;
  test(`${bidirectional ? "both directions" : "backward"}: the fixture's buckets`, async () => {
    const positions = { buckets, bidirectional, maxDistance };
    const expected = referenceBucket(positions);
    assert.equal(bucket.map((_, i) => expected(from + i)), bucket);
    for (const [, gpu] of chosen) {
      await check({ queryLength: 1 - from, keyLength: to + 1, headSize: 3, positions }, gpu);
    }
  });
}

for (const [variant, gpu] of chosen) {
  test(`${variant}: gradients agree with finite differences`, () =>
    checkGradient(
      gpu,
      {
        query: operand([2, 7, 6], 1),
        keyValue: operand([2, 11, 12], 2),
        table: operand([8, 2], 4),
      },
      ["query", "keyValue", "table"],
      ({ query, keyValue, table }) =>
        crossAttention(query, keyValue, {
          heads: 2,
          positions: { table, bidirectional: true, maxDistance: 9 },
          maskValue: -1e4,
        }),
    ));

  test(`${variant}: the same operands give the same bits`, async () => {
    const shape = [2, 70, 96];
    const operands = {
      x: operand([2, 70, 288], 1),
      table: operand([32, 3], 4),
      weights: operand([size(shape), 1], 5),
    };
    const run = () =>
      evaluate(gpu, operands, ({ x, table, weights }) => {
        const positions = { table, bidirectional: true };
        const output = selfAttention(x, { heads: 3, positions, maskValue: -1e4 });
        const loss = matmul(reshape(output, [1, size(shape)]), weights);
        const adjoints = gradients(loss, [x, table]);
        return Object.fromEntries(adjoints.map((gradient, i) => [i, gradient!]));
      });
    const first = await run();
    for (let i = 0; i < 3; i++) assert.equal(await run(), first);
  });

  test(`${variant}: memory is linear in the length`, async () => {
    const bytes = async (length: number) => {
      const shape = [2, length, 128];
      const x = input("x", [2, length, 384]);
      const positions = { table: input("table", [32, 4]), bidirectional: true };
      const output = selfAttention(x, { heads: 4, positions, maskValue: -1e4 });
      const loss = matmul(reshape(output, [1, size(shape)]), input("weights", [size(shape), 1]));
      const [dx, dTable] = gradients(loss, [x, positions.table]);
      const outputs = { dx: dx!, dTable: dTable! };
      const program = await compile(gpu, { outputs });
      program.destroy();
      return program.memory.workspaceBytes;
    };
    const [once, twice] = [await bytes(4096), await bytes(8192)];
    assert.ok(twice < 2.05 * once, `${once} and ${twice} bytes`);
  });
}

test("chunks cover every query of every element once, in order, and have about as many scores", () => {
  for (
    const [batch, queryLength, scoresPerQuery] of [
      [1, 1, 1],
      [32, 128, 12 * 128],
      [5, 300, 8 * 512],
      [3, 77, 16 * 4096],
      [2, 33, 2 * CHUNK_SCORES],
    ]
  ) {
    let next = 0;
    for (const chunk of attentionChunks({ batch, queryLength }, scoresPerQuery)) {
      assert.is(chunk.firstBatch * queryLength + chunk.firstQuery, next);
      assert.ok(chunk.queries === queryLength || chunk.batch === 1);
      const rows = chunk.batch * chunk.queries;
      assert.ok(rows <= 32 || rows * scoresPerQuery <= CHUNK_SCORES, JSON.stringify(chunk));
      next += rows;
    }
    assert.is(next, batch * queryLength);
  }
});

test("a frozen operand costs no dispatch in the backward pass", async () => {
  const query = input("query", [1, 4, 8]), table = input("table", [32, 2]);
  const keyValue = input("keyValue", [1, 4, 16]);
  for (const [variant, gpu] of chosen) {
    const dispatches = async (wanted: Tensor[], positions?: AttentionOptions["positions"]) => {
      const output = crossAttention(query, keyValue, { heads: 2, positions, maskValue: -1e4 });
      const loss = matmul(reshape(output, [1, 32]), input("weights", [32, 1]));
      const adjoints = gradients(loss, wanted).map((gradient, i) => [i, gradient!]);
      const program = await compile(gpu, { outputs: Object.fromEntries(adjoints) });
      program.destroy();
      return program.dispatchCount;
    };
    const positions = { table, bidirectional: true };
    const frozen = await dispatches([query], positions);
    assert.is(frozen, await dispatches([query]), variant);
    assert.ok(frozen < await dispatches([query, keyValue], positions), variant);
    assert.ok(frozen < await dispatches([query, table], positions), variant);
  }
});

test("subgroups of 8 on a CPU adapter make it one dispatch, and its gradients another", async () => {
  const [, gpu] = cpu;
  if (!hasBroadcasts(adapterOf(gpu))) return;
  const x = input("x", [2, 20, 192]), outputGradient = input("dy", [2, 20, 64]);
  const table = input("table", [32, 2]);
  const dispatches = async (wanted?: readonly Tensor[]) => {
    const positions = { table, bidirectional: true };
    const y = selfAttention(x, { heads: 2, positions, maskValue: -1e4 });
    const adjoints = wanted
      ? y.node.op.gradient!(y.node, [outputGradient], [true, wanted.includes(table)])
      : [y];
    const outputs = adjoints.filter((tensor) => tensor !== undefined);
    const program = await compile(gpu, {
      outputs: Object.fromEntries(outputs.map((t, i) => [i, t])),
    });
    program.destroy();
    return program.dispatchCount;
  };
  assert.is(await dispatches(), 1);
  assert.is(await dispatches([x]), 2);
  assert.is(await dispatches([x, table]), 4);
});

for (const [variant, gpu] of chosenVariants(device)) {
  test(`${variant}: a gradient is the same whichever others are wanted`, async () => {
    const shape = [2, 70, 22];
    const operands = {
      query: operand(shape, 1),
      keyValue: operand([2, 35, 44], 2),
      table: operand([32, 2], 4),
      weights: operand([size(shape), 1], 5),
      keyMask: { shape: [2, 35], values: lengthMask(35, 35, 3) },
      seed: { shape: [2], values: Uint32Array.of(0xdeadbeef, 7) },
    };
    const differentiated = ["query", "keyValue", "table"] as const;
    const gradientsOf = (...wanted: (typeof differentiated)[number][]) =>
      evaluate(gpu, operands, (leaves) => {
        const { query, keyValue, table, weights, keyMask, seed } = leaves;
        const output = crossAttention(query, keyValue, {
          heads: 2,
          positions: { table, bidirectional: true },
          keyMask,
          maskValue: -1e4,
          dropout: { rate: 0.2, seed, site: 3 },
        });
        const loss = matmul(reshape(output, [1, size(shape)]), weights);
        const adjoints = gradients(loss, wanted.map((name) => leaves[name]));
        return Object.fromEntries(wanted.map((name, i) => [name, adjoints[i]!]));
      });
    const all = await gradientsOf(...differentiated);
    for (const name of differentiated) {
      assert.equal((await gradientsOf(name))[name], all[name], name);
    }
  });
}

test("on GPUs, the gradients of queries and of keys are a dispatch each", () => {
  const [, [, gpu]] = variants(device);
  const query = input("query", [2, 40, 8]), keyValue = input("keyValue", [2, 33, 16]);
  const table = input("table", [32, 2]);
  const output = crossAttention(query, keyValue, {
    heads: 2,
    positions: { table, bidirectional: true },
    keyMask: input("mask", [2, 33], "i32"),
    maskValue: -1e4,
    dropout: { rate: 0.1, seed: input("seed", [2], "u32"), site: 0 },
  });
  const loss = matmul(reshape(output, [1, 640]), input("weights", [640, 1]));
  const backward = (...wanted: Tensor[]) => {
    const roots = gradients(loss, wanted).map((gradient) => gradient!);
    const { steps } = planSteps(executionOrder(roots), gpu);
    const dispatches = steps.filter(({ node }) => node.op.name === "attention gradient")
      .flatMap(({ dispatches }) => dispatches);
    for (const { shader, entry = "main" } of dispatches) {
      // No more than every adapter has.
      assert.ok(reflect(shader.source, entry).storage.length <= 8, shader.name);
    }
    return dispatches.map(({ shader, entry = "main" }) => {
      const [kernel] = shader.name.match(/^(attention-(query|key)-gradient|sum-rows)/)!;
      return `${kernel}.${entry}`;
    });
  };
  const queries = "attention-query-gradient.backward", keys = "attention-key-gradient.backward";
  const sum = "sum-rows.main";
  assert.equal(backward(query), [queries]);
  assert.equal(backward(query, keyValue), [queries, keys]);
  assert.equal(backward(query, keyValue, table), [queries, sum, keys]);
  assert.equal(backward(keyValue), ["attention-query-gradient.sum_mean_gradients", keys]);
});

test("NaN in one value reaches every query that can see it, and no other row", async () => {
  const value = operand([2, 4, 8], 3);
  value.values[0] = NaN;
  const x = sideBySide(operand([2, 4, 8], 1), operand([2, 4, 8], 2), value);
  for (const [variant, gpu] of chosen) {
    const { output } = await evaluate(gpu, { x }, ({ x }) => ({
      output: selfAttention(x, { heads: 2, maskValue: -1e4 }),
    }));
    const expected = Array.from(output, (_, i) => i < 32 && i % 8 === 0);
    assert.equal(Array.from(output, Number.isNaN), expected, variant);
  }
});

test("operands that do not fit are refused", () => {
  const query = input("query", [2, 3, 8]), keys = input("keyValue", [2, 5, 16]);
  const refused = (f: () => unknown, message: RegExp) =>
    assert.throws(f, (error: Error) => error instanceof ShapeError && message.test(error.message));
  const attend = (options: Partial<AttentionOptions>, keyValue = keys) => () =>
    crossAttention(query, keyValue, { heads: 2, maskValue: -1e4, ...options });
  refused(attend({ heads: 3 }), /3 heads/);
  refused(attend({}, input("keyValue", [2, 5, 8])), /twice their last axis/);
  refused(attend({}, input("keyValue", [3, 5, 16])), /the batch of the queries/);
  const whole = (columns: number) => () =>
    selfAttention(input("x", [2, 3, columns]), { heads: 2, maskValue: -1e4 });
  refused(whole(16), /queries, keys and values of 2 heads/);
  refused(whole(9), /queries, keys and values of 2 heads/);
  const positions = (shape: number[], bidirectional = true, maxDistance = 128) =>
    attend({ positions: { table: input("table", shape), bidirectional, maxDistance } });
  refused(positions([32, 3]), /f32\[buckets, 2\]/);
  refused(positions([2]), /f32\[buckets, 2\]/);
  refused(positions([7, 2]), /even number of 4 or more/);
  refused(positions([1, 2], false), /2 or more/);
  refused(positions([32, 2], true, 8), /maximum distance of 8/);
  refused(attend({ keyMask: input("mask", [2, 3], "i32") }), /key mask must be i32\[2, 5\]/);
  const dropout = { rate: 0.1, seed: input("seed", [1], "u32"), site: 0 };
  refused(attend({ dropout }), /seed must be u32\[2\]/);
});

test.run();
