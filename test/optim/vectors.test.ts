import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Fields } from "../../src/verify/json.ts";
import { checkOptimizers } from "../../src/verify/optimizers.ts";
import vectors from "../fixtures/optimizers.json" with { type: "json" };
import { testDevice } from "../graph/device.ts";

// Parameters to 5e-6 absolute, which is some ten roundings of values about 1 in f32 and a thousandth of an
// update of 5e-3; learning rates to 1e-12. All that transformers 4.14.1 and PyTorch 2.15 can be asked for:
// matrices that are no multiples of four or of a tile, matrices side by side, vectors, a row, a column, a
// single number, and gradients that are zero for a step or for a row.
const test = suite("optimisers and schedules of transformers and PyTorch");

for (const check of await checkOptimizers(await testDevice(), new Fields("vectors", vectors))) {
  test(check.quantity, () => {
    assert.equal(check.notes, []);
    assert.is(check.verdict, "pass");
  });
}

test.run();
