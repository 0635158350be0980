import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import { compile } from "../../../src/graph/compile.ts";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { attention, type AttentionOptions } from "../../../src/graph/ops/attention.ts";
import { usesProducts } from "../../../src/graph/ops/attention-products.ts";
import { matmul } from "../../../src/graph/ops/matmul.ts";
import { reshape } from "../../../src/graph/ops/reshape.ts";
import { ShapeError, size, type Tensor } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { referenceAttention } from "./attention-reference.ts";
import { assertClose, evaluate, type Operand, operand } from "./check.ts";
import { variants } from "./variants.ts";

const test = suite("attention");
const device = await testDevice();

interface Case {
  readonly batch?: number;
  readonly heads?: number;
  readonly queryLength: number;
  readonly keyLength: number;
  readonly headSize: number;
  readonly causal?: boolean;
  readonly bias?: boolean;
  readonly keyMask?: Int32Array;
  readonly maskValue?: number;
  readonly rate?: number;
  /** Queries and keys are in [-scale, scale). */
  readonly scale?: number;
  readonly tolerance?: number;
}

/** Runs a case forward and backward and compares everything with the f64 reference. */
async function check(given: Case, gpu: Gpu): Promise<void> {
  const { batch = 2, heads = 2, queryLength, keyLength, headSize, rate, scale = 1 } = given;
  const { causal = false, maskValue = -1e4, tolerance = 1e-4, keyMask } = given;
  const width = heads * headSize;
  const operands: Record<string, Operand> = {
    query: operand([batch, queryLength, width], 1, scale),
    key: operand([batch, keyLength, width], 2, scale),
    value: operand([batch, keyLength, width], 3),
    outputGradient: operand([batch * queryLength * width, 1], 4),
  };
  if (given.bias) operands.bias = operand([heads, queryLength, keyLength], 5);
  if (keyMask) operands.keyMask = { shape: [batch, keyLength], values: keyMask };
  if (rate) operands.seed = { shape: [2], values: Uint32Array.of(0xdeadbeef, 7) };
  const site = 11;

  const results = await evaluate(gpu, operands, (leaves) => {
    const { query, key, value, bias, keyMask, seed, outputGradient } = leaves;
    const dropout = seed && { rate: rate!, seed, site };
    const options = { heads, bias, keyMask, causal, maskValue, dropout };
    const output = attention(query, key, value, options);
    const loss = matmul(reshape(output, [1, size(output.shape)]), outputGradient);
    const wanted: Record<string, Tensor> = { query, key, value, ...(bias && { bias }) };
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
    query: operands.query.values,
    key: operands.key.values,
    value: operands.value.values,
    bias: operands.bias?.values,
    dropout: rate ? { rate, seed: operands.seed.values, site } : undefined,
  }, operands.outputGradient.values);
  const compare = (name: string, reference: Float64Array) => {
    const largest = reference.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-6);
    assertClose(results[name], reference, {
      absolute: tolerance * largest,
      relative: 0,
      what: name,
    });
  };
  compare("output", expected.output);
  compare("d query", expected.query);
  compare("d key", expected.key);
  compare("d value", expected.value);
  if (given.bias) compare("d bias", expected.bias);
}

/** A mask under which row b of the batch has `lengths[b]` keys. */
function lengthMask(keyLength: number, ...lengths: number[]): Int32Array {
  return Int32Array.from(
    { length: lengths.length * keyLength },
    (_, i) => Number(i % keyLength < lengths[Math.floor(i / keyLength)]),
  );
}

const cases: Record<string, Case> = {
  "one query, one key, one feature": {
    batch: 1,
    heads: 1,
    queryLength: 1,
    keyLength: 1,
    headSize: 1,
  },
  "sizes that are multiples of no tile": { queryLength: 7, keyLength: 13, headSize: 5 },
  "tiles that are just full": { queryLength: 32, keyLength: 64, headSize: 32, bias: true },
  "one key more than a tile": { queryLength: 33, keyLength: 33, headSize: 16, bias: true },
  "64 features": { heads: 3, queryLength: 18, keyLength: 35, headSize: 64, bias: true },
  "40 features, more than a block and no multiple of it": {
    queryLength: 9,
    keyLength: 6,
    headSize: 40,
    bias: true,
  },
  "37 features": { queryLength: 5, keyLength: 6, headSize: 37, bias: true },
  "128 features": { heads: 1, queryLength: 5, keyLength: 9, headSize: 128, bias: true },
  "causal": { queryLength: 37, keyLength: 37, headSize: 8, causal: true, bias: true },
  "padded keys": {
    queryLength: 6,
    keyLength: 40,
    headSize: 8,
    bias: true,
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
    bias: true,
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
  "tiny operands": { queryLength: 8, keyLength: 8, headSize: 16, scale: 1e-12 },
};

for (const [variant, gpu] of variants(device)) {
  for (const [name, given] of Object.entries(cases)) {
    test(`${variant}, ${name}: result and gradients are the reference's`, () => check(given, gpu));
  }
}

test("a query that sees a single key has exactly no gradient", async () => {
  for (const [variant, gpu] of variants(device)) {
    for (const headSize of [8, 11]) {
      const operands = {
        query: operand([2, 5, headSize], 1),
        key: operand([2, 1, headSize], 2),
        value: operand([2, 1, headSize], 3),
        weights: operand([2 * 5 * headSize, 1], 4),
      };
      const { gradient } = await evaluate(gpu, operands, ({ query, key, value, weights }) => {
        const output = attention(query, key, value, { heads: 1, maskValue: -1e4 });
        const loss = matmul(reshape(output, [1, 2 * 5 * headSize]), weights);
        return { gradient: gradients(loss, [query])[0]! };
      });
      const label = `${variant}, head size ${headSize}`;
      assert.ok(gradient.every((value) => value === 0), `${label}: ${gradient}`);
    }
  }
});

test("CPU adapters keep scores in memory only where they fit into a binding", () => {
  const query = input("query", [1, 9, 8]);
  const output = attention(query, query, query, { heads: 2, maskValue: -1e4 });
  const { attributes } = output.node;
  const operands = { query, key: query };
  // Rows of scores are padded to whole vec4s.
  const bytes = 4 * 2 * 9 * 12;
  const keeps = (isCpu: boolean, maxStorageBufferBindingSize: number) =>
    usesProducts(operands, attributes, { isCpu, limits: { maxStorageBufferBindingSize } });
  assert.is(keeps(true, bytes), true);
  assert.is(keeps(true, bytes - 1), false);
  assert.is(keeps(false, bytes), false);
});

test("a frozen bias costs no dispatch in the backward pass", async () => {
  const query = input("query", [1, 4, 8]), bias = input("bias", [2, 4, 4]);
  const output = attention(query, query, query, { heads: 2, bias, maskValue: -1e4 });
  const loss = matmul(reshape(output, [1, 32]), input("weights", [32, 1]));
  const dispatches = async (...wanted: Tensor[]) => {
    const [gradient, ...rest] = gradients(loss, wanted);
    const outputs = { gradient: gradient!, ...(rest.length > 0 && { bias: rest[0]! }) };
    return (await compile(device, { outputs })).dispatchCount;
  };
  assert.is(await dispatches(query, bias), await dispatches(query) + 1);
});

test("NaN in one value reaches every query that can see it, and no other row", async () => {
  const value = operand([2, 4, 8], 3);
  value.values[0] = NaN;
  const operands = { query: operand([2, 4, 8], 1), key: operand([2, 4, 8], 2), value };
  for (const [variant, gpu] of variants(device)) {
    const { output } = await evaluate(gpu, operands, ({ query, key, value }) => ({
      output: attention(query, key, value, { heads: 2, maskValue: -1e4 }),
    }));
    const expected = Array.from(output, (_, i) => i < 32 && i % 8 === 0);
    assert.equal(Array.from(output, Number.isNaN), expected, variant);
  }
});

test("operands that do not fit are refused", () => {
  const query = input("query", [2, 3, 8]), key = input("key", [2, 5, 8]);
  const refused = (f: () => unknown, message: RegExp) =>
    assert.throws(f, (error: Error) => error instanceof ShapeError && message.test(error.message));
  const attend = (options: Partial<AttentionOptions>, value = key) => () =>
    attention(query, key, value, { heads: 2, maskValue: -1e4, ...options });
  refused(attend({ heads: 3 }), /3 heads/);
  refused(attend({}, input("value", [2, 4, 8])), /key and value/);
  refused(attend({ bias: input("bias", [1, 3, 5]) }), /bias must be f32\[2, 3, 5\]/);
  refused(attend({ keyMask: input("mask", [2, 3], "i32") }), /key mask must be i32\[2, 5\]/);
  const dropout = { rate: 0.1, seed: input("seed", [1], "u32"), site: 0 };
  refused(attend({ dropout }), /seed must be u32\[2\]/);
});

test.run();
