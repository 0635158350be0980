import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../../src/errors.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { compile } from "../../../src/graph/compile.ts";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { embedding } from "../../../src/graph/ops/embedding.ts";
import { linear } from "../../../src/graph/ops/matmul.ts";
import { scale } from "../../../src/graph/ops/scale.ts";
import { stepLinear } from "../../../src/graph/ops/step-linear.ts";
import { Parameters } from "../../../src/graph/parameters.ts";
import { withBindings } from "../../optim/updates.ts";
import { testDevice } from "../device.ts";
import { assertClose, values } from "./check.ts";
import { contraction } from "./contraction.ts";
import { chosenVariants } from "./variants.ts";

const test = suite("matrices in slices");
const gpu = await testDevice();

const rows = 300, columns = 12;
const table = values([rows, columns], 1);
const ids = Int32Array.of(0, 63, 64, 127, 128, 299, -5, 1000, 191, 192);

/** What is made of a matrix [300, 12], on a device that binds so many bytes. */
async function results(gpu: Gpu, bytes: number, storage: "f32" | "f16") {
  const small = withBindings(gpu, bytes);
  const parameters = new Parameters(small, [
    { name: "shared.weight", shape: [rows, columns], trainable: false, storage },
  ]);
  parameters.write("shared.weight", table);
  assert.is((await parameters.read()).get("shared.weight")!.length, table.length);
  const weight = parameters.tensor("shared.weight");
  const x = input("x", [3, columns]), normScale = input("scale", [columns]);
  const y = linear(scale(x, 0.5), weight);
  const outputs = {
    rows: embedding(weight, input("ids", [2, 5], "i32")),
    y,
    dx: gradients(contraction(y, input("dy", [3, rows])), [x])[0]!,
    step: stepLinear(x, [weight], { norm: { scale: normScale, epsilon: 1e-6 } }),
  };
  const program = await compile(gpu, { outputs });
  const given = {
    x: values([3, columns], 2),
    scale: values([columns], 3),
    dy: values([3, rows], 4),
    ids,
  };
  const made = await program.run(given, Object.keys(outputs));
  const stored = (await parameters.read()).get("shared.weight")!;
  program.destroy();
  parameters.destroy();
  return { made, stored };
}

for (const [name, device] of chosenVariants(gpu)) {
  for (const storage of ["f32", "f16"] as const) {
    test(`${name}: what is made of slices is what is made of the whole (${storage})`, async () => {
      const whole = await results(device, 2 ** 27, storage);
      // 64 and 192 rows of floats; twice as many of halves.
      for (const limit of [4096, 12288]) {
        const sliced = await results(device, limit, storage);
        assert.equal(sliced.stored, whole.stored);
        assert.equal(sliced.made.rows, whole.made.rows, "every row is of one slice");
        for (const output of ["y", "dx", "step"]) {
          assertClose(sliced.made[output], whole.made[output], { what: `${output} of ${limit}` });
        }
      }
    });
  }
}

test("what cannot be in slices says what is too large, and what to do", async () => {
  const small = withBindings(gpu, 4096);
  const description = { name: "w.weight", shape: [rows, columns], trainable: false };
  assert.throws(
    () => new Parameters(small, [{ ...description, trainable: true }]),
    (error: Error) =>
      error instanceof UserError &&
      /"w\.weight" \[300, 12\] has 14400 bytes and .* binds at most 4096 .*leave it frozen/
        .test(error.message),
  );
  const parameters = new Parameters(small, [description]);
  const whole = { outputs: { y: scale(parameters.tensor("w.weight"), 2) } };
  const error = await compile(small, whole).then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, /w\.weight \[300, 12\] has 14400 bytes .*--weight-storage f16/);
  parameters.destroy();
});

test("what is made of a batch may be too large, too", async () => {
  const outputs = { y: scale(input("x", [2, 600]), 2) };
  const error = await compile(withBindings(gpu, 4096), { outputs }).catch((error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, /\[2, 600\] has 4800 bytes .* at most 4096 .*smaller batches/);
});

test.run();
