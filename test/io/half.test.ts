import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from "../../src/io/half.ts";

const test = suite("half");

const everyPattern = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
const isNaN16 = (bits: number) => (bits & 0x7fff) > 0x7c00;
const isNaNBrain = (bits: number) => (bits & 0x7fff) > 0x7f80;

test("every float16 survives widening and narrowing", () => {
  const back = float32ToFloat16(float16ToFloat32(everyPattern));
  for (const bits of everyPattern) {
    if (isNaN16(bits)) assert.ok(isNaN16(back[bits]), `NaN ${bits}`);
    else assert.is(back[bits], bits);
  }
});

test("every bfloat16 survives widening and narrowing", () => {
  const back = float32ToBfloat16(bfloat16ToFloat32(everyPattern));
  for (const bits of everyPattern) {
    if (isNaNBrain(bits)) assert.ok(isNaNBrain(back[bits]), `NaN ${bits}`);
    else assert.is(back[bits], bits);
  }
});

test("float16 values are those of the standard", () => {
  const bits = Uint16Array.of(0x0001, 0x03ff, 0x0400, 0x3555, 0x7bff, 0x8000, 0xfc00);
  const values = [2 ** -24, 1023 * 2 ** -24, 2 ** -14, 0.333251953125, 65504, -0, -Infinity];
  assert.equal([...float16ToFloat32(bits)], values);
});

/** Narrowing by definition: the nearest finite pattern, the even one of two equally near. */
function nearestPattern(value: number, finite: Float32Array): number {
  let best = 0;
  for (let bits = 1; bits < finite.length; bits++) {
    const gain = Math.abs(finite[best] - value) - Math.abs(finite[bits] - value);
    if (gain > 0 || (gain === 0 && bits % 2 === 0)) best = bits;
  }
  return best;
}

test("narrowing rounds to nearest, ties to even", () => {
  const formats = [
    { narrow: float32ToFloat16, widen: float16ToFloat32, infinity: 0x7c00 },
    { narrow: float32ToBfloat16, widen: bfloat16ToFloat32, infinity: 0x7f80 },
  ];
  for (const { narrow, widen, infinity } of formats) {
    const finite = widen(everyPattern.subarray(0, infinity));
    const at = [0, 1, 2, 0x3ff, 0x400, 0x3c00, 0x3c01, infinity - 3, infinity - 2];
    const between = at.flatMap((bits) => {
      const middle = (finite[bits] + finite[bits + 1]) / 2;
      const quarter = (finite[bits + 1] - finite[bits]) / 4;
      return [middle, middle - quarter, middle + quarter];
    });
    const values = new Float32Array(between);
    const expected = Array.from(values, (value) => nearestPattern(value, finite));
    assert.equal([...narrow(values)], expected);
  }
});

test("what is too large becomes infinite, and NaN stays NaN", () => {
  const float16 = float32ToFloat16(Float32Array.of(65519, 65520, -1e30, NaN, 2 ** -26));
  assert.equal([...float16.subarray(0, 3)], [0x7bff, 0x7c00, 0xfc00]);
  assert.ok(isNaN16(float16[3]));
  assert.is(float16[4], 0);

  const nanWithLowPayload = new Float32Array(Uint32Array.of(0x7f800001, 0xffffffff).buffer);
  const bfloat16 = float32ToBfloat16(nanWithLowPayload);
  assert.ok(isNaNBrain(bfloat16[0]) && isNaNBrain(bfloat16[1]));
  assert.is(float32ToBfloat16(Float32Array.of(3.4028234e38))[0], 0x7f80);
});

test("a view into a larger buffer converts its own part alone", () => {
  const values = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
  assert.equal([...float32ToFloat16(values)], [0x3c00, 0x4000]);
  assert.equal([...float32ToBfloat16(values)], [0x3f80, 0x4000]);
});

test.run();
