import { suite } from "uvu";
import * as assert from "uvu/assert";
import { wallClock } from "../../src/bench/measure.ts";
import type { Contender } from "../../src/bench/peers/comparison.ts";
import { measureTuning } from "../../src/bench/tuning.ts";
import { Workbench } from "../../src/bench/workbench.ts";
import { compile } from "../../src/graph/compile.ts";
import { matmul } from "../../src/graph/ops/matmul.ts";
import { tuningOf } from "../../src/graph/tuning.ts";
import { testDevice } from "../graph/device.ts";

const test = suite("bench/tuning");
const gpu = await testDevice();

async function product(): Promise<Contender> {
  const bench = new Workbench(gpu);
  const y = matmul(bench.floats("a", [24, 40]), bench.floats("b", [40, 20]));
  const program = await compile(gpu, { outputs: { y } });
  return {
    async run(count) {
      program.submit({}, { repeat: count });
      return [(await program.run({}, ["y"])).y];
    },
    destroy() {
      program.destroy();
      bench.destroy();
    },
  };
}

test("choices that were changed are compared, and then the work with all of them", async () => {
  const told: string[] = [];
  const result = await measureTuning(
    gpu,
    { name: "a model", works: [{ work: "a product", make: product, tolerance: 1e-5 }] },
    wallClock,
    (what) => told.push(what),
  );
  assert.is(result.name, "a model");
  assert.is(result.classes, 1);
  assert.ok(result.seconds > 0 && result.changed <= 1);
  assert.is(result.comparisons.length, result.changed + 1);
  assert.equal(told.length, result.comparisons.length + 1);
  const whole = result.comparisons.at(-1)!;
  assert.is(whole.work, "a product");
  assert.is(whole.peer, "without tuning");
  assert.is(tuningOf(gpu), undefined);
});

test.run();
