import { suite } from "uvu";
import * as assert from "uvu/assert";
import { raceCheck } from "./race.ts";

const test = suite("race detection");

/** Sums 8 numbers by halving, in workgroup memory. */
const sum = `
  @group(0) @binding(0) var<storage, read> x: array<f32>;
  @group(0) @binding(1) var<storage, read_write> result: array<f32>;
  override scale: f32 = 1.0;
  var<workgroup> partial: array<f32, 8>;
  @compute @workgroup_size(8)
  fn main(@builtin(local_invocation_index) lane: u32) {
    partial[lane] = x[lane];
    for (var half = 4u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) { partial[lane] += partial[lane + half]; }
    }
    if (lane == 0u) { result[0] = scale * partial[0]; }
  }`;

function run(source: string): { problems: string[]; result: number } {
  const x = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer);
  const result = new Float32Array(1);
  const bindings = { x, result: new Uint8Array(result.buffer) };
  const workgroups = [1, 1, 1] as const;
  const problems = raceCheck({
    source,
    entry: "main",
    constants: { scale: 2 },
    workgroups,
    bindings,
  });
  return { problems, result: result[0] };
}

test("a sound reduction has no race and the right result", () => {
  const { problems, result } = run(sum);
  assert.equal(problems, []);
  assert.is(result, 72);
});

test("a missing barrier is found", () => {
  const { problems } = run(sum.replace("workgroupBarrier();", ""));
  assert.ok(problems.length > 0);
});

test("a barrier that only some invocations reach is found", () => {
  const { problems } = run(
    sum.replace("workgroupBarrier();", "if (lane < 4u) { workgroupBarrier(); }"),
  );
  assert.ok(problems.length > 0);
});

test.run();
