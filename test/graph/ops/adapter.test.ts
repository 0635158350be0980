import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import { compile } from "../../../src/graph/compile.ts";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { adapter } from "../../../src/graph/ops/adapter.ts";
import { type Shape, ShapeError, size, type Tensor } from "../../../src/graph/tensor.ts";
import { choice } from "../../choice.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, type Operand, operand } from "./check.ts";
import { contraction } from "./contraction.ts";
import { chosenVariants } from "./variants.ts";

const test = suite("adapter");
const devices = chosenVariants(await testDevice());

/** Batch, rows, width, bottleneck. */
type Sizes = readonly [b: number, t: number, d: number, a: number];

const NAMES = ["x", "downWeight", "downBias", "upWeight", "upBias", "residual"] as const;

function shapesOf([b, t, d, a]: Sizes, shared: boolean): Shape[] {
  const parameters = shared ? [[a, d], [a], [d, a], [d]] : [[b, d, a], [b, a], [b, a, d], [b, d]];
  return [[b, t, d], ...parameters, [b, t, d]];
}

function operandsOf(sizes: Sizes, shared: boolean): Record<string, Operand> {
  return Object.fromEntries(
    shapesOf(sizes, shared).map((shape, i) => [NAMES[i], operand(shape, 31 * i + size(shape))]),
  );
}

function build(leaves: Record<string, Tensor>): Tensor {
  const { x, downWeight, downBias, upWeight, upBias, residual } = leaves;
  return adapter(x, { downWeight, downBias, upWeight, upBias }, residual);
}

/** y, and the gradients of Σ y · dy, in f64. */
function reference([b, t, d, a]: Sizes, shared: boolean, values: ArrayLike<number>[]) {
  const [x, down, downBias, up, upBias, residual, dy] = values;
  const y = new Float64Array(b * t * d);
  const result = [x, down, downBias, up, upBias].map((v) => new Float64Array(v.length));
  const [dx, dDown, dDownBias, dUp, dUpBias] = result;
  for (let i = 0; i < b; i++) {
    const downAt = (k: number, n: number) => shared ? n * d + k : (i * d + k) * a + n;
    const upAt = (k: number, n: number) => shared ? n * a + k : (i * a + k) * d + n;
    const biasAt = (n: number, length: number) => shared ? n : i * length + n;
    for (let row = i * t; row < (i + 1) * t; row++) {
      const hidden = Array.from({ length: a }, (_, n) => {
        let sum = downBias[biasAt(n, a)];
        for (let k = 0; k < d; k++) sum += x[row * d + k] * down[downAt(k, n)];
        return Math.max(sum, 0);
      });
      for (let n = 0; n < d; n++) {
        let sum = upBias[biasAt(n, d)] + (residual?.[row * d + n] ?? 0);
        for (let k = 0; k < a; k++) sum += hidden[k] * up[upAt(k, n)];
        y[row * d + n] = sum;
        dUpBias[biasAt(n, d)] += dy[row * d + n];
      }
      for (let k = 0; k < a; k++) {
        let dHidden = 0;
        for (let n = 0; n < d; n++) {
          dHidden += dy[row * d + n] * up[upAt(k, n)];
          dUp[upAt(k, n)] += dy[row * d + n] * hidden[k];
        }
        if (hidden[k] === 0) continue;
        dDownBias[biasAt(k, a)] += dHidden;
        for (let n = 0; n < d; n++) {
          dx[row * d + n] += dHidden * down[downAt(n, k)];
          dDown[downAt(n, k)] += dHidden * x[row * d + n];
        }
      }
    }
  }
  return { y, gradients: result };
}

/** Runs the adapter and all its gradients for the adjoint `dy`. */
async function run(gpu: Gpu, operands: Record<string, Operand>, dy: Operand) {
  return await evaluate(gpu, { ...operands, dy }, ({ dy, ...leaves }) => {
    const y = build(leaves);
    const wanted = Object.keys(operands);
    const adjoints = gradients(contraction(y, dy), wanted.map((name) => leaves[name]));
    return { y, ...Object.fromEntries(wanted.map((name, i) => [name, adjoints[i]!])) };
  });
}

const AWKWARD: Sizes[] = [
  [1, 1, 1, 1],
  [3, 1, 5, 2],
  [2, 3, 4, 4],
  [2, 5, 7, 3],
  [3, 4, 8, 12],
  [1, 17, 12, 9],
  [2, 33, 20, 16],
  [2, 18, 37, 41],
  [5, 6, 64, 36],
  [3, 89, 12, 5],
];

for (const [name, gpu] of devices) {
  for (const shared of [false, true]) {
    const weights = shared ? "shared weights" : "weights per instance";

    test(`${name}, ${weights}: result and gradients agree with f64 on awkward shapes`, async () => {
      for (const [i, sizes] of AWKWARD.entries()) {
        for (const withResidual of choice.exhaustive ? [true, false] : [i % 2 === 0]) {
          const operands = operandsOf(sizes, shared);
          if (!withResidual) delete operands.residual;
          const dy = operand(operands.x.shape, 77);
          const given = NAMES.map((name) => operands[name]?.values);
          const expected = reference(sizes, shared, [...given, dy.values]);
          const actual = await run(gpu, operands, dy);
          const what = `${name} ${weights} [${sizes}]`;
          assertClose(actual.y, expected.y, { what, absolute: 1e-4 });
          expected.gradients.forEach((gradient, i) => {
            assertClose(actual[NAMES[i]], gradient, {
              what: `${what} d ${NAMES[i]}`,
              absolute: 1e-4,
            });
          });
          if (withResidual) assert.equal([...actual.residual], [...dy.values]);
        }
      }
    });

    test(`${name}, ${weights}: gradients agree with finite differences`, async () => {
      const operands = operandsOf([2, 3, 8, 4], shared);
      await checkGradient(gpu, operands, NAMES, build, { step: 1e-3 });
    });

    test(`${name}, ${weights}: a NaN or an infinity reaches its own instance's rows only`, async () => {
      for (const bad of [NaN, Infinity]) {
        const sizes: Sizes = [2, 5, 7, 3];
        const operands = operandsOf(sizes, shared);
        operands.x.values[36] = bad; // instance 1, row 0
        const { y } = await evaluate(gpu, operands, (leaves) => ({ y: build(leaves) }));
        const affected = [...y].flatMap((value, i) => Number.isFinite(value) ? [] : [i]);
        assert.ok(affected.length > 0 && affected.every((i) => i >= 35 && i < 42), `${affected}`);
      }
    });

    test(`${name}, ${weights}: the same bits on every run`, async () => {
      const operands = operandsOf([3, 21, 36, 20], shared);
      const dy = operand(operands.x.shape, 5);
      assert.equal(await run(gpu, operands, dy), await run(gpu, operands, dy));
    });
  }
}

test("its gradient takes in what else is added to x's", async () => {
  for (const shared of [false, true]) {
    for (const [name, gpu] of devices) {
      for (const sizes of [[2, 5, 7, 3], [2, 18, 36, 20]] as const) {
        const { residual: _, ...operands } = operandsOf(sizes, shared);
        const dy = operand(operands.x.shape, 9);
        const apart = await run(gpu, operands, dy);
        const dxOf = (passes: boolean) => ({ dy, x, ...leaves }: Record<string, Tensor>) => {
          const y = build({ x, ...leaves, ...(passes && { residual: x }) });
          return { dx: gradients(contraction(y, dy), [x])[0]! };
        };
        const [passing, plain] = [true, false].map(async (passes) => {
          const leaves = Object.fromEntries(
            Object.entries({ dy, ...operands }).map(([k, { shape }]) => [k, input(k, shape)]),
          );
          const program = await compile(gpu, { outputs: dxOf(passes)(leaves) });
          program.destroy();
          return program.dispatchCount;
        });
        assert.is(await passing, await plain, `dispatches of the ${name}`);
        const { dx } = await evaluate(gpu, { dy, ...operands }, dxOf(true));
        assert.equal(dx, apart.x.map((value, i) => value + dy.values[i]));
      }
    }
  }
});

test("frozen parts cost nothing: only what is wanted is computed", async () => {
  for (const shared of [false, true]) {
    for (const [, gpu] of devices) {
      const sizes: Sizes = [2, 5, 8, 4];
      const operands = operandsOf(sizes, shared);
      const dy = operand(operands.x.shape, 9);
      const all = await run(gpu, operands, dy);
      for (const wanted of NAMES) {
        const { gradient } = await evaluate(gpu, { ...operands, dy }, ({ dy, ...leaves }) => {
          return { gradient: gradients(contraction(build(leaves), dy), [leaves[wanted]])[0]! };
        });
        assert.equal(gradient, all[wanted], wanted);
      }
    }
  }
});

test("operands that do not fit are named", () => {
  const refused = (change: Record<string, Tensor>, message: RegExp) => {
    const shapes = shapesOf([2, 3, 8, 4], false);
    const leaves = Object.fromEntries(shapes.map((shape, i) => [NAMES[i], input(NAMES[i], shape)]));
    const check = (error: Error) => error instanceof ShapeError && message.test(error.message);
    assert.throws(() => build({ ...leaves, ...change }), check);
  };
  refused({ downWeight: input("w", [3, 8, 4]) }, /per-instance weights .* \[2, 8, 4\], \[2, 4\]/);
  refused({ upWeight: input("w", [2, 8, 4]) }, /must be \[2, 8, 4\], \[2, 4\], \[2, 4, 8\]/);
  refused({ downWeight: input("w", [4, 8]) }, /shared weights .* \[4, 8\], \[4\], \[8, 4\], \[8\]/);
  refused({ residual: input("r", [2, 3, 4]) }, /residual/);
  refused({ x: input("x", [6, 8]) }, /\[batch, rows, width\]/);
  refused({ upBias: input("b", [2, 8], "i32") }, /f32/);
});

test.run();
