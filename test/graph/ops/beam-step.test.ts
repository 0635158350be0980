import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import { compile } from "../../../src/graph/compile.ts";
import { input } from "../../../src/graph/leaves.ts";
import { advance } from "../../../src/graph/ops/advance.ts";
import { beamStep, readHypotheses } from "../../../src/graph/ops/beam-step.ts";
import type { HostArray } from "../../../src/graph/program.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose } from "./check.ts";
import { variable } from "./variables.ts";
import { variants } from "./variants.ts";

const test = suite("beamStep");
const options = {
  endIds: [1],
  padId: 0,
  minLength: 0,
  earlyStopping: false,
  rule: "reference" as const,
  bestLength: 0,
  isRenormalised: false,
};
const NAMES = ["tokens", "parents", "sums", "ancestors", "hypotheses"];

/** A search of two beams over five tokens, a run of the program a step. */
async function search(gpu: Gpu, batch: number, { length = 4, minLength = 0 } = {}) {
  const beams = 2;
  const count = batch * beams * length;
  const shape = [batch, length, beams];
  const state = {
    tokens: variable(gpu, "tokens", shape, new Int32Array(count)),
    parents: variable(gpu, "parents", shape, new Int32Array(count)),
    sums: variable(
      gpu,
      "sums",
      [...shape, 2],
      new Float32Array(2 * count).map((_, i) => i & 2 ? -1e9 : 0),
    ),
    ancestors: variable(
      gpu,
      "ancestors",
      [batch, beams, length],
      new Uint32Array(count).map((_, i) => Math.floor(i / length) % beams),
    ),
    hypotheses: variable(gpu, "hypotheses", [batch, 12], new Float32Array(12 * batch)),
  };
  const position = variable(gpu, "position", [1], new Uint32Array(1));
  const divisors = variable(
    gpu,
    "divisors",
    [length + 1],
    Float32Array.from([0, 1, 2, 3, 4, 5].slice(0, length + 1)),
  );
  const logits = input("logits", [batch * beams, 5]);
  const next = beamStep(logits, state, position, divisors, { ...options, minLength });
  const program = await compile(gpu, { outputs: { ...next, position: advance(position) } });
  return (...probabilities: number[][]) =>
    program.run({ logits: Float32Array.from(probabilities.flat(), Math.log) }, NAMES);
}

/** Of one row: what `readHypotheses` says, rounded. */
function hypotheses(result: Record<string, HostArray>, row = 0) {
  const { isDone, hypotheses } = readHypotheses(
    (result.hypotheses as Float32Array).subarray(12 * row, 12 * row + 12),
  );
  return {
    isDone,
    hypotheses: hypotheses.map(({ sum, length, slot }) => [Math.exp(sum).toFixed(4), length, slot]),
  };
}

for (const [name, gpu] of variants(await testDevice())) {
  test(`${name}: beams change places, hypotheses close, nothing is copied`, async () => {
    const step = await search(gpu, 1);
    const any = [0.2, 0.2, 0.2, 0.2, 0.2];
    await step([0.05, 0.05, 0.6, 0.1, 0.2], any); // 2 and 4
    let result = await step([0.1, 0.3, 0.1, 0.2, 0.3], [0.05, 0.05, 0.05, 0.8, 0.05]);
    // 2 then the end: 0.18, and 2 then 4 as much, of which the lower id is first; 4 then 3: 0.16.
    assert.equal(hypotheses(result), { isDone: false, hypotheses: [["0.1800", 2, 0]] });
    assert.equal([...result.tokens], [0, 0, 2, 4, 4, 3, 0, 0]);
    assert.equal([...result.parents], [0, 0, 0, 0, 0, 1, 0, 0]);
    assertClose(
      result.sums.slice(4, 12),
      [0.6, 0.6, 0.2, 0.2, 0.18, 0.18, 0.16, 0.16].map(Math.log),
    );
    assert.equal([...result.ancestors], [0, 0, 0, 0, 0, 1, 1, 1]);

    result = await step([0.6, 0.1, 0.1, 0.1, 0.1], [0.05, 0.05, 0.05, 0.05, 0.8]);
    // The best is 4 3 4 of the second beam, then 2 4 0 of the first.
    assert.equal([...result.tokens], [0, 0, 2, 4, 4, 3, 4, 0]);
    assert.equal([...result.parents].slice(6), [1, 0]);
    assert.equal([...result.ancestors], [0, 1, 1, 0, 0, 0, 0, 1]);
    assert.equal(await step(any, any), result, "nothing beyond the maximum length");
  });

  test(`${name}: an end token behind the beams is ignored, a better hypothesis takes the worst's place`, async () => {
    const step = await search(gpu, 1);
    await step([0, 0.05, 0.5, 0.4, 0.05], [1, 1, 1, 1, 1]); // the end is third
    let result = await step([0, 0.4, 0.3, 0.3, 0], [0, 0.7, 0.3, 0, 0]);
    assert.equal(hypotheses(result).hypotheses, [["0.2800", 2, 1], ["0.2000", 2, 0]]);
    assert.equal(hypotheses(result).isDone, false, "0.28 in two tokens is not yet the best of all");
    result = await step([0, 0.65, 0.2, 0.15, 0], [0, 0.01, 0.495, 0.495, 0]);
    // 0.15 · 0.65 in three tokens is better than 0.2 in two, and the best that there is by now.
    assert.equal(hypotheses(result).hypotheses, [["0.2800", 2, 1], ["0.0975", 3, 0]]);
    assert.ok(hypotheses(result).isDone);
  });

  test(`${name}: rows are done one by one, and then are left alone`, async () => {
    const step = await search(gpu, 2, { length: 5 });
    const start = [0, 0.3, 0.6, 0.1, 0], ends = [0, 0.98, 0.01, 0.01, 0];
    const goes = [0, 0.001, 0.5, 0.499, 0];
    await step(start, start, start, start);
    await step(ends, ends, goes, goes);
    let result = await step(ends, ends, goes, goes);
    assert.equal([0, 1].map((row) => hypotheses(result, row).isDone), [true, false]);
    const before = hypotheses(result, 0);
    result = await step(ends, ends, goes, goes);
    assert.equal(hypotheses(result, 0), before);
    assert.equal([...result.tokens.slice(8, 10)], [0, 0]);
    assert.equal(result.tokens[18], 2);
  });

  test(`${name}: an end token too early has no probability, the others keep theirs`, async () => {
    const step = await search(gpu, 1, { minLength: 2 });
    const result = await step([0.01, 0.9, 0.02, 0.03, 0.04], [1, 1, 1, 1, 1]);
    assert.equal(hypotheses(result).hypotheses, []);
    assert.equal([...result.tokens.slice(2, 4)], [4, 3]);
    assertClose(result.sums.slice(4, 8), [0.04, 0.04, 0.03, 0.03].map(Math.log));
  });
}

test("operands that do not fit are named", () => {
  const state = {
    tokens: input("tokens", [2, 4, 3], "i32"),
    parents: input("parents", [2, 4, 3], "i32"),
    sums: input("sums", [2, 4, 3, 2]),
    ancestors: input("ancestors", [2, 3, 4], "u32"),
    hypotheses: input("hypotheses", [2, 17]),
  };
  const logits = input("logits", [6, 9]), position = input("position", [1], "u32");
  const divisors = input("divisors", [5]);
  const refused = (changes: Record<string, unknown>, message: RegExp) =>
    assert.throws(
      () => {
        const given = { ...state, logits, position, divisors, ...changes };
        beamStep(given.logits, given, given.position, given.divisors, options);
      },
      (e: Error) => e instanceof ShapeError && message.test(e.message),
    );
  refused({ tokens: input("tokens", [2, 4], "i32") }, /tokens/);
  refused({ parents: input("parents", [2, 4, 3]) }, /parents/);
  refused({ sums: input("sums", [2, 4, 3]) }, /sums/);
  refused({ ancestors: input("ancestors", [2, 4, 3], "u32") }, /ancestors/);
  refused({ hypotheses: input("hypotheses", [2, 16]) }, /hypotheses/);
  refused({ logits: input("logits", [2, 9]) }, /logits/);
  refused({ divisors: input("divisors", [4]) }, /divisors/);
});

test.run();
