// Around a matrix product: the RMS norm of its left operand (Zhang & Sennrich 2019, eq. 4), so that
// result = rmsNorm(a) · op(b) and no normalized rows are ever in memory.
//
//   scale  [k], of the norm
//   rstd   [m], 1 / sqrt(mean of a's row squared + epsilon), kept for the gradient
//
// A row's factor rstd comes after the sum over k, so what is summed is a · scale · op(b), and the squares of a are
// summed while it is read. Every block of columns does so for itself; those of the first column store rstd.
//
// Continues matmul-tiled.wgsl or matmul-subgroup.wgsl, for one batch element, a [m, k] in whole vec4s and a k that is
// not split.

@group(0) @binding(5) var<storage, read> scale: array<f32>;
@group(0) @binding(6) var<storage, read_write> rstd: array<f32>;

override epsilon: f32 = 0.000001;

const sums_squares = true;
const sums_products = false;

fn scale_at(k: u32) -> f32 { return scale[k]; }
fn partner_vec4(i: u32) -> vec4f { return vec4f(); }
fn row_statistics(sums: vec4f) -> vec4f { return inverseSqrt(sums / f32(params.k) + epsilon); }

fn prepare_epilogue() {}

fn epilogue(sums: vec4f, row_rstd: f32, row: u32, i: vec4u, column: vec4u) -> vec4f {
  if (column.x == 0) { rstd[row] = row_rstd; }
  return row_rstd * sums;
}
