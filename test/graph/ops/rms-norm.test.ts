import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../../src/graph/compile.ts";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { add } from "../../../src/graph/ops/add.ts";
import { dropout, dropoutAdd } from "../../../src/graph/ops/dropout.ts";
import { rmsNorm } from "../../../src/graph/ops/rms-norm.ts";
import { ShapeError, type Tensor } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, operand, values } from "./check.ts";
import { contraction } from "./contraction.ts";
import { variants } from "./variants.ts";

const test = suite("rmsNorm");

/** Output and gradients in f64, for one adjoint. */
function reference(
  x: ArrayLike<number>,
  scale: ArrayLike<number>,
  dy: ArrayLike<number>,
  epsilon = 1e-6,
) {
  const columns = scale.length;
  const y = new Float64Array(x.length);
  const dx = new Float64Array(x.length);
  const dscale = new Float64Array(columns);
  for (let start = 0; start < x.length; start += columns) {
    let squares = 0;
    for (let c = 0; c < columns; c++) squares += x[start + c] ** 2;
    const rstd = 1 / Math.sqrt(squares / columns + epsilon);
    let projection = 0;
    for (let c = 0; c < columns; c++) {
      const i = start + c;
      y[i] = x[i] * rstd * scale[c];
      dscale[c] += dy[i] * x[i] * rstd;
      projection += dy[i] * scale[c] * x[i] * rstd / columns;
    }
    for (let c = 0; c < columns; c++) {
      const i = start + c;
      dx[i] = rstd * (dy[i] * scale[c] - x[i] * rstd * projection);
    }
  }
  return { y, dx, dscale };
}

const shapes = [
  [1, 1],
  [1, 4],
  [3, 7],
  [2, 5, 12],
  [65, 20],
  [7, 129],
  [130, 128],
  [3, 768],
  [1100, 6],
];
for (const shape of shapes) {
  test(`computes and differentiates [${shape}] as the formula does`, async () => {
    const columns = shape.at(-1)!;
    const operands = {
      x: operand(shape, 1, 3),
      scale: operand([columns], 2),
      dy: operand(shape, 3),
    };
    const expected = reference(operands.x.values, operands.scale.values, operands.dy.values);
    for (const [, gpu] of variants(await testDevice())) {
      const { y, dx, dscale } = await evaluate(gpu, operands, ({ x, scale, dy }) => {
        const y = rmsNorm(x, scale);
        const [dx, dscale] = gradients(contraction(y, dy), [x, scale]);
        return { y, dx: dx!, dscale: dscale! };
      });
      assertClose(y, expected.y, { what: "y" });
      assertClose(dx, expected.dx, { what: "dx" });
      assertClose(dscale, expected.dscale, { what: "dscale", absolute: 1e-4 });
    }
  });
}

test("agrees with finite differences", async () => {
  const operands = { x: operand([3, 8], 4), scale: operand([8], 5) };
  await checkGradient(
    await testDevice(),
    operands,
    ["x", "scale"],
    ({ x, scale }) => rmsNorm(x, scale),
  );
});

test("neither overflows nor vanishes where the squares are representable", async () => {
  const x = values([4, 64], 6);
  const magnitudes = [1e18, 1e4, 1e-4, 1e-18];
  const scaled = x.map((value, i) => value * magnitudes[Math.floor(i / 64)]);
  const operands = {
    x: { shape: [4, 64], values: scaled },
    scale: operand([64], 7),
    dy: operand([4, 64], 8),
  };
  const expected = reference(scaled, operands.scale.values, operands.dy.values);
  for (const [, gpu] of variants(await testDevice())) {
    const { y, dx } = await evaluate(gpu, operands, ({ x, scale, dy }) => {
      const y = rmsNorm(x, scale);
      return { y, dx: gradients(contraction(y, dy), [x])[0]! };
    });
    for (const row of [0, 1, 2, 3]) {
      const part = [64 * row, 64 * row + 64] as const;
      for (const [actual, wanted] of [[y, expected.y], [dx, expected.dx]]) {
        const largest = Math.max(...wanted.slice(...part).map(Math.abs));
        assertClose(actual.slice(...part), wanted.slice(...part), { absolute: 1e-5 * largest });
      }
    }
  }
});

test("a zero row stays zero, and its gradient is that of x / sqrt(epsilon)", async () => {
  const operands = {
    x: { shape: [1, 4], values: new Float32Array(4) },
    scale: { shape: [4], values: Float32Array.of(1, 2, 3, 4) },
    dy: { shape: [1, 4], values: Float32Array.of(1, 1, 1, 1) },
  };
  const { y, dx } = await evaluate(await testDevice(), operands, ({ x, scale, dy }) => {
    const y = rmsNorm(x, scale, 1e-2);
    return { y, dx: gradients(contraction(y, dy), [x])[0]! };
  });
  assertClose(y, [0, 0, 0, 0], { absolute: 0 });
  assertClose(dx, [10, 20, 30, 40]);
});

test("spoils only the row of a NaN", async () => {
  const x = values([2, 8], 9);
  x[3] = NaN;
  const operands = { x: { shape: [2, 8], values: x }, scale: operand([8], 10) };
  for (const [, gpu] of variants(await testDevice())) {
    const { y } = await evaluate(gpu, operands, ({ x, scale }) => ({ y: rmsNorm(x, scale) }));
    assert.ok(y.slice(0, 8).every(Number.isNaN));
    assert.ok(y.slice(8).every(Number.isFinite));
  }
});

test("refuses a scale of another length", () => {
  assert.throws(
    () => rmsNorm(input("x", [2, 8]), input("scale", [4])),
    (error: Error) => error instanceof ShapeError && error.message.includes("f32[2, 8] and f32[4]"),
  );
});

for (const columns of [5, 128]) {
  test(`adds the gradient of what passes a norm of ${columns} by in the same dispatch`, async () => {
    const x = input("x", [9, columns]), scale = input("scale", [columns]);
    const dy = input("dy", [9, columns]), passing = input("passing", [9, columns]);
    const loss = add(contraction(rmsNorm(x, scale), dy), contraction(x, passing));
    const [dx] = gradients(loss, [x]);
    const program = await compile(await testDevice(), { outputs: { dx: dx! } });
    const given = {
      x: values([9, columns], 1, 3),
      scale: values([columns], 2),
      dy: values([9, columns], 3),
      passing: values([9, columns], 4),
    };
    const actual = await program.run(given, ["dx"]);
    assert.is(program.dispatchCount, 2);
    const expected = reference(given.x, given.scale, given.dy).dx;
    assertClose(actual.dx, expected.map((value, i) => value + given.passing[i]));
  });
}

for (const [columns, dispatches] of [[5, 2], [128, 1]]) {
  test(`joins the dropout of its result of ${columns} columns, and keeps its gradients`, async () => {
    const shape = [9, columns];
    const operands = {
      x: operand(shape, 1, 3),
      scale: operand([columns], 2),
      seed: { shape: [2], values: Uint32Array.of(3, 4) },
    };
    const build = (drops: boolean) => ({ x, scale, seed }: Record<string, Tensor>) => {
      const normed = rmsNorm(x, scale);
      return drops ? dropout(normed, { rate: 0.3, seed, site: 6 }) : normed;
    };
    for (const [, gpu] of variants(await testDevice())) {
      const { normed } = await evaluate(gpu, operands, (leaves) => ({
        normed: build(false)(leaves),
      }));
      const { expected } = await evaluate(
        gpu,
        { normed: { shape, values: normed }, seed: operands.seed },
        ({ normed, seed }) => ({ expected: dropout(normed, { rate: 0.3, seed, site: 6 }) }),
      );
      const leaves = {
        x: input("x", shape),
        scale: input("scale", [columns]),
        seed: input("seed", [2], "u32"),
      };
      const program = await compile(gpu, { outputs: { y: build(true)(leaves) } });
      assert.is(program.dispatchCount, dispatches);
      program.destroy();
      const { y } = await evaluate(gpu, operands, (leaves) => ({ y: build(true)(leaves) }));
      assert.equal(y, expected);
      await checkGradient(gpu, operands, ["x", "scale"], build(true));
    }
  });
}

/** Columns, and dispatches in all: only whole vec4s drop in the same dispatch. */
for (const [columns, dispatches] of [[5, 4], [12, 3], [128, 3]]) {
  test(`writes its gradient for ${columns} columns after dropout too`, async () => {
    const shape = [9, columns];
    const rate = 0.4, site = 3;
    const given = {
      x: values(shape, 1, 3),
      residual: values(shape, 2),
      scale: values([columns], 3),
      dy: values(shape, 4),
      passing: values(shape, 5),
      seed: Uint32Array.of(8, 9),
    };
    for (const [, gpu] of variants(await testDevice())) {
      for (const passes of [false, true]) {
        const x = input("x", shape), residual = input("residual", shape);
        const scale = input("scale", [columns]), dy = input("dy", shape);
        const passing = input("passing", shape), seed = input("seed", [2], "u32");
        const h = dropoutAdd(x, residual, { rate, seed, site });
        const normed = contraction(rmsNorm(h, scale), dy);
        const loss = passes ? add(normed, contraction(h, passing)) : normed;
        const [dx, dResidual] = gradients(loss, [x, residual]);
        const program = await compile(gpu, { outputs: { dx: dx!, dResidual: dResidual! } });
        assert.is(program.dispatchCount, dispatches);
        const { passing: _, ...others } = given;
        const actual = await program.run(passes ? given : others, ["dx", "dResidual"]);
        program.destroy();
        const { dropped } = await evaluate(
          gpu,
          {
            gradient: { shape, values: actual.dResidual },
            seed: { shape: [2], values: given.seed },
          },
          ({ gradient, seed }) => ({ dropped: dropout(gradient, { rate, seed, site }) }),
        );
        assert.equal(actual.dx, dropped);
        const { sum } = await evaluate(
          gpu,
          {
            x: { shape, values: given.x },
            residual: { shape, values: given.residual },
            seed: { shape: [2], values: given.seed },
          },
          ({ x, residual, seed }) => ({ sum: dropoutAdd(x, residual, { rate, seed, site }) }),
        );
        const expected = reference(sum, given.scale, given.dy).dx;
        assertClose(
          actual.dResidual,
          expected.map((value, i) => value + (passes ? given.passing[i] : 0)),
        );
      }
    }
  });
}

test.run();
