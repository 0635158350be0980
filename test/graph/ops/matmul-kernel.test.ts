import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  candidatesOf,
  hasBroadcasts,
  type MatmulAdapter,
  type MatmulCandidate,
  matmulCandidates,
  type MatmulVariant,
} from "../../../src/graph/ops/matmul-candidates.ts";
import { matmulShader } from "../../../src/graph/ops/matmul-dispatch.ts";
import {
  type MatmulDispatch,
  type MatmulOperand,
  planMatmul,
} from "../../../src/graph/ops/matmul-kernel.ts";
import {
  layoutOf,
  type MatmulEpilogue,
  type MatmulProblem,
} from "../../../src/graph/ops/matmul-problem.ts";
import { packUniforms } from "../../../src/gpu/reflection.ts";
import { pipelineFor } from "../../../src/gpu/pipelines.ts";
import { READBACK, STORAGE, UNIFORM } from "../../../src/gpu/usage.ts";
import { float16ToFloat32, float32ToFloat16 } from "../../../src/io/half.ts";
import { choice } from "../../choice.ts";
import { raceCheck } from "../../shaders/race.ts";
import { testDevice } from "../device.ts";

const test = suite("graph/ops/matmul-kernel");
const gpu = await testDevice();
const { device } = gpu;
const adapter: MatmulAdapter = {
  isCpu: gpu.isCpu,
  subgroups: gpu.features.subgroups && gpu.subgroupSize.min === gpu.subgroupSize.max,
  subgroupSize: gpu.subgroupSize.min,
  limits: gpu.limits,
};
const variants: MatmulVariant[] = adapter.subgroups && adapter.subgroupSize === 8
  ? ["register", "tiled", "thin", "subgroup"]
  : ["register", "tiled", "thin"];
/** Those that this adapter chooses from. Of the others, slow to compile, a quick run tries a sample. */
const chosen: MatmulVariant[] = !adapter.isCpu
  ? ["tiled", "thin"]
  : hasBroadcasts(adapter)
  ? ["subgroup"]
  : ["register"];
/** Of dropout. */
const SEED = Uint32Array.of(0x7fc0_1234, 56);
/** Of the operands: whether a, and whether b is transposed. */
const layoutsOf = (variant: MatmulVariant) =>
  variant === "thin"
    ? [[false, true]]
    : [[false, false], [false, true], [true, false], [true, true]];

/** [batch, m, n, k]: one element, primes, whole vec4s, whole tiles, more than a tile, a split k. */
const shapes = [
  [1, 1, 1, 1],
  [5, 1, 7, 3],
  [2, 4, 8, 4],
  [1, 17, 31, 37],
  [3, 20, 16, 12],
  [2, 33, 65, 70],
  [1, 64, 72, 68],
  [2, 9, 16, 1021],
  [1, 16, 12, 1024],
];

/** The same for operands of halves, of few outputs because large blocks take long to compile. */
const halfShapes = [[1, 1, 1, 1], [2, 9, 7, 5], [3, 8, 12, 8], [1, 5, 3, 1021], [2, 11, 13, 66]];

for (const variant of variants.filter((variant) => !chosen.includes(variant))) {
  test(`${variant}: a sample agrees with a plain loop`, async () => {
    const [m, n, k] = [variant === "thin" ? 3 : 33, 65, 70];
    const layout = { transposeA: false, transposeB: true, aStride: m * k, bStride: n * k };
    await agrees({ batch: 2, m, n, k, ...layout }, variant, { halves: ["b"] });
  });
}

for (const variant of variants) {
  const thorough = chosen.includes(variant) ? test : test.exhaustive;
  for (const [transposeA, transposeB] of layoutsOf(variant)) {
    const layout = `${transposeA ? "t" : "n"}${transposeB ? "t" : "n"}`;
    thorough(`${variant} ${layout} agrees with a plain loop on awkward sizes`, async () => {
      for (const [batch, m, n, k] of shapes) {
        const strides = { aStride: m * k, bStride: n * k };
        await agrees({ batch, m, n, k, transposeA, transposeB, ...strides }, variant);
      }
    });

    thorough(
      `${variant} ${layout} reads an operand of halves, packed across odd rows too`,
      async () => {
        for (const [batch, m, n, k] of halfShapes) {
          const problem = {
            batch,
            m,
            n,
            k,
            transposeA,
            transposeB,
            aStride: m * k,
            bStride: n * k,
          };
          if (batch > 1) await agrees(problem, variant, { halves: ["a"] });
          await agrees(problem, variant, { halves: ["b"] });
          await agrees({ ...problem, bStride: 0 }, variant, { halves: ["b"] });
        }
      },
    );
  }

  thorough(
    `${variant} scales, adds the bias, clips, drops, gates, adds the residual or differentiates a gate, in this order`,
    async () => {
      const layout = { transposeA: false, transposeB: true };
      for (const [batch, m, n, k] of [[2, 19, 23, 29], [3, 8, 16, 4], [1, 16, 12, 1024]]) {
        const sizes = { batch, m, n, k, aStride: m * k, bStride: n * k };
        for (const epilogue of epilogues(n)) {
          await agrees({ ...layout, ...sizes, alpha: 0.25, epilogue }, variant);
        }
      }
    },
  );

  thorough(`${variant} hides no NaN behind a ReLU, and shows it in its row alone`, async () => {
    const layout = { transposeA: false, transposeB: true };
    for (const [m, n, k] of [[19, 23, 29], [8, 16, 4], [16, 12, 1024]]) {
      const sizes = { batch: 1, m, n, k, aStride: m * k, bStride: n * k };
      for (
        const epilogue of [{ activation: "relu" }, { bias: true, activation: "relu" }] as const
      ) {
        await agrees({ ...layout, ...sizes, epilogue }, variant, { broken: k + 1 });
      }
    }
  });

  thorough(`${variant} shares an operand of stride 0 among the batch`, async () => {
    const sizes = { batch: 3, m: 10, n: 12, k: 20, transposeA: false, transposeB: true };
    await agrees({ ...sizes, aStride: 0, bStride: 240 }, variant);
    await agrees({ ...sizes, aStride: 200, bStride: 0 }, variant);
  });

  thorough(`${variant} multiplies heads in place, and writes nothing between them`, async () => {
    for (const [transposeA, transposeB] of layoutsOf(variant)) {
      await agrees(headsProblem({ headSize: 8, transposeA, transposeB }), variant);
      await agrees(headsProblem({ headSize: 5, transposeA, transposeB }), variant);
    }
  });

  thorough(`${variant} adds to a window of the result, from windows of its operands`, async () => {
    for (const [transposeA, transposeB] of layoutsOf(variant)) {
      for (const [headSize, aOffset, bOffset] of [[8, 8, 12], [8, 3, 4], [5, 1, 2]]) {
        const { layout, ...problem } = headsProblem({ headSize, transposeA, transposeB });
        const windows = { ...layout!, aOffset, bOffset, resultOffset: 7 };
        await agrees({ ...problem, layout: windows }, variant);
        await agrees({ ...problem, layout: windows, epilogue: { accumulate: true } }, variant);
      }
      const problem = headsProblem({ headSize: 8, width: 8, gap: 4, transposeA, transposeB });
      await agrees({ ...problem, epilogue: { accumulate: true } }, variant);
    }
  });

  thorough(`${variant} never splits the sum of a result that is not contiguous`, async () => {
    const long = variant === "thin" ? { headSize: 2500 } : { headSize: 2, length: 2500 };
    const layout = { transposeA: variant !== "thin", transposeB: variant === "thin" };
    const problem = headsProblem({ ...long, ...layout });
    assert.ok(candidatesOf[variant](problem).every(({ splits }) => splits === 1));
    await agrees(problem, variant);
  });

  thorough(`${variant} divides a result in all its ways, whole blocks and others`, async () => {
    const m = variant === "thin" ? 16 : 128;
    for (
      const [rows, n, k] of [[m, 256, 128], [m + 5, 257, 130], [2, 36, 515], [1, 36, 8]]
    ) {
      const sizes = { batch: 1, m: rows, n, k, transposeA: false, transposeB: true };
      const epilogue = { bias: true, residual: true };
      const problem = { ...sizes, aStride: 0, bStride: 0, epilogue };
      for (const candidate of likely(candidatesOf[variant](problem))) {
        await agrees(problem, variant, { candidate });
      }
    }
  });

  thorough(`${variant} differentiates a gate in all its ways to divide a result`, async () => {
    const transposeB = variant === "thin";
    for (const [m, n, k] of [[29, 70, 9], [2, 36, 515]]) {
      const epilogue = { dropout: { rate: 0.4, site: 7 }, gateGradient: true };
      const sizes = { batch: 1, m, n, k, transposeA: false, transposeB, aStride: 0, bStride: 0 };
      for (const candidate of likely(candidatesOf[variant]({ ...sizes, epilogue }))) {
        await agrees({ ...sizes, epilogue }, variant, { candidate });
      }
    }
  });

  thorough(`${variant} gives the same bits on every run of a split sum`, async () => {
    const layout = { transposeA: variant !== "thin", transposeB: variant === "thin" };
    const problem = { batch: 1, m: 16, n: 16, k: 4099, ...layout, aStride: 0, bStride: 0 };
    const operands = operandsOf(problem);
    assert.ok(candidatesOf[variant](problem)[0].splits > 1);
    const first = await run(problem, variant, operands);
    for (let i = 0; i < 3; i++) assert.equal(await run(problem, variant, operands), first);
  });
}

test("folds more workgroups than a dimension holds into two", () => {
  const sizes = { batch: 1, m: 100_003, n: 100_003, k: 4, transposeA: false, transposeB: false };
  for (const variant of ["register", "subgroup", "tiled"] as const) {
    const limits = { maxComputeWorkgroupsPerDimension: 65_535 };
    const problem = { ...sizes, aStride: 0, bStride: 0 };
    const plan = planMatmul(problem, { ...adapter, limits }, candidatesOf[variant](problem)[0]);
    const [{ workgroups: [x, y, z] }] = plan;
    assert.ok(x <= 65_535 && y > 1 && y <= 65_535, `${variant}: ${x} × ${y}`);
    assert.is(z, 1);
  }
});

test("computes surplus workgroups of a folded grid without harm", async () => {
  const sizes = { batch: 7, m: 31, n: 35, k: 8, transposeA: false, transposeB: true };
  const limits = { maxComputeWorkgroupsPerDimension: 3 };
  for (const variant of choice.exhaustive ? variants : chosen) {
    const on = { ...adapter, limits };
    await agrees({ ...sizes, aStride: 248, bStride: 280 }, variant, { on });
  }
});

test("chooses by the kind of adapter", () => {
  const sizes = { batch: 1, m: 8, n: 8, k: 8, transposeA: false, transposeB: false };
  const limits = { maxComputeWorkgroupsPerDimension: 65_535 };
  const shaderOn = (isCpu: boolean, subgroups: boolean, subgroupSize: number) =>
    planMatmul({ ...sizes, aStride: 0, bStride: 0 }, { isCpu, subgroups, subgroupSize, limits })[0]
      .shader;
  assert.is(shaderOn(true, true, 8), "matmul-subgroup");
  assert.is(shaderOn(true, true, 4), "matmul");
  assert.is(shaderOn(true, false, 8), "matmul");
  assert.is(shaderOn(false, true, 32), "matmul-tiled");
});

test("a GPU splits only sums that are long enough to pay for the second dispatch", () => {
  for (const [k, splits] of [[256, 1], [511, 1], [512, 2], [4096, 16]]) {
    const problem = { batch: 1, m: 32, n: 32, k, transposeA: false, transposeB: true };
    for (const variant of ["tiled", "thin"] as const) {
      const [first] = candidatesOf[variant]({ ...problem, aStride: 0, bStride: 0 });
      assert.is(first.splits, splits);
    }
  }
});

test("a GPU splits a sum only where few workgroups would share it, until many do", () => {
  for (const [m, splits] of [[256, 5], [320, 4], [512, 1]]) {
    const problem = { batch: 1, m, n: 768, k: 32128, transposeA: false, transposeB: false };
    const [first] = candidatesOf.tiled({ ...problem, aStride: 0, bStride: 0 });
    assert.is(first.splits, splits);
  }
});

test("every division has a name of its own", () => {
  const sizes = { batch: 1, m: 16, n: 512, k: 4096, transposeA: false, transposeB: true };
  const problem = { ...sizes, aStride: 0, bStride: 0 };
  const names = Object.values(candidatesOf).flatMap((of) => of(problem).map(({ name }) => name));
  assert.is(new Set(names).size, names.length);
  assert.ok(matmulCandidates(problem, adapter).every(({ name }) => names.includes(name)));
});

for (const variant of ["tiled", "thin"] as const) {
  // An interpreter takes minutes for them.
  test.exhaustive(`${variant} has no data race in any division, and needs each of its barriers`, () => {
    const sizes = { batch: 1, m: 33, n: 35, k: 35, transposeA: false, transposeB: true };
    const plain = { ...sizes, m: variant === "thin" ? 5 : 33, aStride: 0, bStride: 0 };
    // Around it, a norm has the sums of its rows go through workgroup memory too.
    const normed = { ...plain, n: 36, k: 36, norm: { of: "operand", epsilon: 1e-6 } as const };
    const problems = variant === "thin" ? [plain] : [plain, normed];
    for (const { name } of candidatesOf[variant](plain)) {
      const needed = new Set<number>(), barriers = new Set<number>();
      for (const problem of problems) {
        const candidate = candidatesOf[variant](problem).find((other) => other.name === name)!;
        const dispatch = planMatmul(problem, adapter, candidate)[0];
        const racesOf = (source: string) => races(dispatch, source, problem);
        const { source } = matmulShader(dispatch, () => false);
        assert.equal(racesOf(source), [], name);
        for (const { index, 0: barrier } of source.matchAll(/workgroupBarrier\(\);/g)) {
          barriers.add(index);
          const without = source.slice(0, index) + source.slice(index + barrier.length);
          if (racesOf(without).length > 0) needed.add(index);
        }
      }
      assert.equal([...barriers].filter((index) => !needed.has(index)), [], name);
    }
  });
}

/** Of the ways to divide a result those that are tried: in a quick run, the two that seem the fastest. */
function likely(candidates: MatmulCandidate[]): MatmulCandidate[] {
  return choice.exhaustive ? candidates : candidates.slice(0, 2);
}

/** Races of the first workgroup, on operands with values of their own. */
function races(
  { entry, constants, uniforms, bindings }: MatmulDispatch,
  source: string,
  problem: MatmulProblem,
) {
  const { m, n, k } = problem;
  const { a, b } = operandsOf(problem) as Required<Operands>;
  const memory: Partial<Record<MatmulOperand, Uint8Array<ArrayBuffer>>> = {
    a: new Uint8Array(a.buffer as ArrayBuffer),
    b: new Uint8Array(b.buffer as ArrayBuffer),
    result: new Uint8Array(4 * m * n),
    scale: new Uint8Array(4 * k),
    rstd: new Uint8Array(4 * m),
  };
  return raceCheck({
    source,
    entry,
    constants: numeric(constants),
    uniforms,
    workgroups: [1, 1, 1],
    bindings: Object.fromEntries(
      Object.entries(bindings).map(([name, operand]) => [name, memory[operand]!]),
    ),
  });
}

/** Epilogues of a result with rows of `n`, alone and together. */
function epilogues(n: number): MatmulEpilogue[] {
  return [
    { bias: true },
    { bias: true, biasStride: n },
    { activation: "relu" },
    { residual: true },
    { gate: true },
    { bias: true, biasStride: n, activation: "relu", residual: true },
    { bias: true, gate: true },
    { dropout: { rate: 0.4, site: 7 } },
    { activation: "relu", dropout: { rate: 0.4, site: 7 }, residual: true },
    { dropout: { rate: 0.1, site: 0 }, gate: true },
    { gateGradient: true },
    { bias: true, activation: "relu", gateGradient: true },
    { dropout: { rate: 0.4, site: 7 }, gateGradient: true },
  ];
}

/**
 * Products of 2 · 3 pairs of heads, [length, headSize] in [batch, length, heads · headSize] or, transposed,
 * their counterparts, with a gap after every row of the result.
 */
function headsProblem(
  { headSize, length = 6, width: columns = 7, gap = 1, transposeA, transposeB }: {
    headSize: number;
    length?: number;
    width?: number;
    gap?: number;
    transposeA: boolean;
    transposeB: boolean;
  },
): MatmulProblem {
  const heads = 3, width = heads * headSize;
  const [m, k] = transposeA ? [headSize, length] : [length, headSize];
  const [n, bLength] = transposeB ? [columns, headSize] : [headSize, k];
  const aStride = length * width;
  const bRows = transposeB ? n : bLength, bColumns = transposeB ? k : n;
  return {
    ...{ batch: 2 * heads, m, n, k, transposeA, transposeB },
    aStride,
    bStride: bRows * heads * bColumns,
    layout: {
      heads,
      aHeadStride: headSize,
      aRowStride: width,
      bHeadStride: bColumns,
      bRowStride: heads * bColumns,
      resultStride: m * (heads * n + gap),
      resultHeadStride: n,
      resultRowStride: heads * n + gap,
      aOffset: 0,
      bOffset: 0,
      resultOffset: 0,
    },
  };
}

/** Elements of the result, with what lies between its matrices. */
function resultSize(problem: MatmulProblem): number {
  const { heads, resultStride, resultOffset } = layoutOf(problem);
  const widths = problem.epilogue?.gateGradient ? 2 : 1;
  return resultOffset + problem.batch / heads * widths * resultStride;
}

type Operands = Partial<Record<MatmulOperand, Float32Array>>;

/** Where a problem runs, which of its operands are stored as f16, and which element of a is a NaN. */
interface Setting {
  on?: MatmulAdapter;
  candidate?: MatmulCandidate;
  halves?: readonly MatmulOperand[];
  broken?: number;
}

/** Runs the problem on data with known values and compares every element with a sum in f64. */
async function agrees(problem: MatmulProblem, variant: MatmulVariant, setting: Setting = {}) {
  // What is not for thin products, thin ones do not compute.
  if (variant === "thin" && problem.m > 32) return;
  const operands = operandsOf(problem);
  if (setting.broken !== undefined) operands.a![setting.broken] = NaN;
  for (const name of setting.halves ?? []) {
    operands[name] = float16ToFloat32(float32ToFloat16(operands[name]!));
  }
  const result = await run(problem, variant, operands, setting);
  const expected = reference(problem, operands);
  const tolerance = 1e-6 * (2 + Math.sqrt(problem.k));
  const wrong = expected.findIndex((value, i) =>
    !Object.is(value, result[i]) && !(Math.abs(value - result[i]) <= tolerance)
  );
  const message =
    `${setting.candidate?.name ?? variant} ${JSON.stringify(problem)}: element ${wrong} is ${
      result[wrong]
    }, ` +
    `not ${expected[wrong]}`;
  assert.is(wrong, -1, message);
}

/** Operands with values of [-0.5, 0.5) from a fixed sequence. */
function operandsOf(problem: MatmulProblem): Operands {
  const { batch, m, n, k, aStride, bStride } = problem;
  const { aOffset, bOffset } = layoutOf(problem);
  let state = 12_345;
  const values = (length: number) =>
    Float32Array.from({ length }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32 - 0.5;
    });
  return {
    a: values(aOffset + (aStride === 0 ? 1 : batch) * m * k),
    b: values(bOffset + (bStride === 0 ? 1 : batch) * k * n),
    bias: values(batch * n),
    residual: values(2 * batch * m * n).map((value) => 4 * value),
    seed: new Float32Array(SEED.buffer),
  };
}

/** What the result holds before. */
function initially({ epilogue }: MatmulProblem): number {
  return epilogue?.accumulate ? 0.75 : NaN;
}

/** The result, as it was before where nothing is written. */
function reference(problem: MatmulProblem, operands: Operands): Float64Array {
  const { batch, m, n, k, transposeA, transposeB, aStride, bStride, alpha = 1 } = problem;
  const { a, b, bias, residual } = operands as Required<Operands>;
  const epilogue = problem.epilogue ?? {};
  const { heads, ...strides } = layoutOf(problem);
  const result = new Float64Array(resultSize(problem)).fill(initially(problem));
  for (let i = 0; i < batch * m * n; i++) {
    const column = i % n;
    const row = Math.floor(i / n) % m;
    const z = Math.floor(i / n / m);
    const outer = Math.floor(z / heads), head = z % heads;
    const aAt = strides.aOffset + outer * aStride + head * strides.aHeadStride;
    const bAt = strides.bOffset + outer * bStride + head * strides.bHeadStride;
    let sum = 0;
    for (let step = 0; step < k; step++) {
      const [aRow, aColumn] = transposeA ? [step, row] : [row, step];
      const [bRow, bColumn] = transposeB ? [column, step] : [step, column];
      sum += a[aAt + aRow * strides.aRowStride + aColumn] *
        b[bAt + bRow * strides.bRowStride + bColumn];
    }
    sum *= alpha;
    if (epilogue.bias) sum += bias[z * (epilogue.biasStride ?? 0) + column];
    if (epilogue.activation === "relu") sum = Math.max(sum, 0);
    if (epilogue.dropout) sum *= kept(i, epilogue.dropout);
    if (epilogue.gateGradient) {
      const at = i + Math.floor(i / n) * n;
      const [a, b] = [residual[at], residual[at + n]];
      result[at] = sum * b * geluSlope(a);
      result[at + n] = sum * gelu(a);
      continue;
    }
    const at = strides.resultOffset + outer * strides.resultStride +
      head * strides.resultHeadStride + row * strides.resultRowStride + column;
    if (epilogue.gate) sum = residual[at] > 0 ? sum : 0;
    result[at] = sum + (epilogue.residual ? residual[at] : 0) +
      (epilogue.accumulate ? initially(problem) : 0);
  }
  return result;
}

/** The tanh form of the GELU, and its derivative. */
const SLOPE = Math.sqrt(2 / Math.PI);
const tanh = (a: number) => Math.tanh(SLOPE * (a + 0.044715 * a ** 3));
const gelu = (a: number) => 0.5 * a * (1 + tanh(a));
const geluSlope = (a: number) =>
  0.5 * (1 + tanh(a)) + 0.5 * a * (1 - tanh(a) ** 2) * SLOPE * (1 + 3 * 0.044715 * a * a);

/** What dropout multiplies an element by, as shaders/dropout.wgsl has it. */
function kept(element: number, { rate, site }: { rate: number; site: number }): number {
  const step = (word: number) => Math.imul(word, 1_664_525) + 1_013_904_223;
  let [x, y, z] = [element, site ^ SEED[0], SEED[1]].map(step);
  x += Math.imul(y, z);
  y += Math.imul(z, x);
  z += Math.imul(x, y);
  [x, y, z] = [x, y, z].map((word) => word ^ (word >>> 16));
  const uniform = ((x + Math.imul(y, z)) >>> 8) / 2 ** 24;
  return uniform >= Math.fround(rate) ? Math.fround(1 / (1 - rate)) : 0;
}

/** Runs the plan of a problem as its own little runtime. */
async function run(
  problem: MatmulProblem,
  variant: MatmulVariant,
  operands: Operands,
  { on = adapter, candidate = candidatesOf[variant](problem)[0], halves = [] }: Setting = {},
): Promise<Float32Array> {
  const plan = planMatmul(problem, on, candidate);
  const bytes = 4 * resultSize(problem);
  const buffers = new Map<MatmulOperand | "unread" | "unwritten", GPUBuffer>([
    ["result", storage(new Float32Array(bytes / 4).fill(initially(problem)))],
    ["scratch", storage(new Float32Array((plan[0].scratchBytes ?? 16) / 4).fill(NaN))],
    ["unread", storage(new Float32Array(4))],
    ["unwritten", storage(new Float32Array(4))],
  ]);
  for (const [name, values] of Object.entries(operands)) {
    const operand = name as MatmulOperand;
    buffers.set(operand, storage(halves.includes(operand) ? packedHalves(values) : values));
  }
  const encoder = device.createCommandEncoder();
  const uniforms: GPUBuffer[] = [];
  for (const dispatch of plan) uniforms.push(await encode(encoder, dispatch, buffers, halves));
  const staging = device.createBuffer({ size: bytes, usage: READBACK });
  encoder.copyBufferToBuffer(buffers.get("result")!, 0, staging, 0, bytes);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(1);
  const result = new Float32Array(staging.getMappedRange().slice(0));
  for (const buffer of [...buffers.values(), ...uniforms, staging]) buffer.destroy();
  gpu.assertHealthy("the test");
  return result;
}

/** Encodes one dispatch and returns its uniform buffer. */
async function encode(
  encoder: GPUCommandEncoder,
  dispatch: MatmulDispatch,
  buffers: ReadonlyMap<MatmulOperand | "unread" | "unwritten", GPUBuffer>,
  halves: readonly MatmulOperand[],
): Promise<GPUBuffer> {
  const { entry, constants, uniforms, workgroups, bindings } = dispatch;
  const { pipeline, layout, entry: { storage, uniforms: block } } = await pipelineFor(gpu, {
    ...matmulShader(dispatch, (operand) => halves.includes(operand)),
    entry,
    constants: numeric(constants),
  });
  const values = new DataView(new ArrayBuffer(block!.byteLength));
  packUniforms(block!, uniforms, values);
  const uniform = device.createBuffer({ size: values.byteLength, usage: UNIFORM });
  device.queue.writeBuffer(uniform, 0, values.buffer);
  const entries = storage.map(({ name, binding, writable }) => {
    const buffer = buffers.get(bindings[name] ?? (writable ? "unwritten" : "unread"))!;
    return { binding, resource: { buffer } };
  });
  entries.push({ binding: block!.binding, resource: { buffer: uniform } });
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
  pass.dispatchWorkgroups(...workgroups);
  pass.end();
  return uniform;
}

function numeric(constants: MatmulDispatch["constants"]): Record<string, number> {
  return Object.fromEntries(Object.entries(constants).map(([name, value]) => [name, +value]));
}

function storage(values: Float32Array | Uint16Array): GPUBuffer {
  // Whole vec4s, as bindings of a program are.
  const size = Math.ceil(values.byteLength / 16) * 16;
  const buffer = device.createBuffer({ size, usage: STORAGE });
  device.queue.writeBuffer(buffer, 0, values as Float32Array<ArrayBuffer>);
  return buffer;
}

/** Bit patterns of f16, with one of infinity after an odd number of them: it must not be read. */
function packedHalves(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(2 * Math.ceil(values.length / 2)).fill(0x7c00);
  bits.set(float32ToFloat16(values));
  return bits;
}

test.run();
