/**
 * Sixteen-bit floating point in and out of float32, over whole arrays.
 *
 * Narrowing always rounds to nearest, ties to even, as hardware and PyTorch do, so that a file written
 * here holds the same bits as one written there. Infinities and the sign of zero survive; a NaN stays a
 * NaN. `Float16Array` exists wherever WebGPU does; bfloat16 has no such array and is done on the bits.
 */

/** IEEE binary16 bit patterns of `values`. Beyond ±65,504 (after rounding) the result is infinite. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  return new Uint16Array(new Float16Array(values).buffer);
}

/** The exact float32 values of IEEE binary16 bit patterns. */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  return new Float32Array(new Float16Array(bits.buffer, bits.byteOffset, bits.length));
}

/** bfloat16 bit patterns (the upper half of a float32) of `values`. */
export function float32ToBfloat16(values: Float32Array): Uint16Array {
  const wide = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(wide, (bits) => {
    const isNaN = (bits & 0x7fffffff) > 0x7f800000;
    // Rounding could carry a NaN's payload away and leave an infinity: keep it, and make it quiet.
    if (isNaN) return (bits >>> 16) | 0x40;
    const ties = (bits >>> 16) & 1;
    return (bits + 0x7fff + ties) >>> 16;
  });
}

/** The exact float32 values of bfloat16 bit patterns. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const wide = Uint32Array.from(bits, (half) => half << 16);
  return new Float32Array(wide.buffer);
}
