// Linear layers of a step of decoding, with the RMS norm before them and the gate or residual after them.
//
//   x         [rows, depth]
//   scale     [depth], of the norm                            read only if has_norm
//   w0 … w2   [columns, depth], a Linear layer's weights: the first `parts` are read
//   residual  [rows, columns]                                 read only if has_residual
//   result    [rows, parts · columns], or [rows, columns] if has_gate
//
//   y_p = norm(x) · w_pᵀ;  result = y_0 | y_1 | y_2,  or gelu(y_0) · y_1,  or y_0 + residual
//
// For CPU adapters with subgroups of 8, one to a workgroup, where a load is a gather that costs more than ten
// multiply-adds. A lane has four columns of every part, so that x is read once for all parts. Of a single row each lane
// loads a different vector, of more rows a different row; subgroupBroadcast hands them round. Only the loop over a single
// row is unrolled: with more, its code would not fit into the CPU's cache. Every subgroup sums up the squares that the
// norm needs as they come by: 1 / rms is a factor of finished sums.
//
// The loader puts `enable subgroups;` before this file where the implementation wants that line.
//
// Invariant: depth and columns are multiples of 4. Loads are clamped into their tensor, stores are guarded, and no
// branch before the stores differs between lanes, as every broadcast needs all of them.

struct Params {
  rows: u32,
  columns: u32,
  // Vectors of four in a row of x.
  vectors: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> scale: array<vec4f>;
@group(0) @binding(3) var<storage, read> w0: array<vec4f>;
@group(0) @binding(4) var<storage, read> w1: array<vec4f>;
@group(0) @binding(5) var<storage, read> w2: array<vec4f>;
@group(0) @binding(6) var<storage, read> residual: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> result: array<vec4f>;

override parts: u32 = 1;
// Rows of a workgroup: 1, 4, 8 or 16.
override block_rows: u32 = 16;
// Of a single part without gate and residual: a lane has four more columns, those of the lane 8 on. Columns are then a
// multiple of 64.
override wide: bool = false;
override has_norm: bool = false;
override has_gate: bool = false;
override has_residual: bool = false;

const lanes = 8u;

// Finished sums of each part. Of one row: four columns. Of more: 4×4 matrices, a matrix column for each row.
var<private> row_sums: array<vec4f, 3>;
var<private> sums0: array<mat4x4f, 4>;
var<private> sums1: array<mat4x4f, 4>;
var<private> sums2: array<mat4x4f, 4>;
// Of the rows that this lane loads.
var<private> squares: vec2f;

// All reads of weights: where one is stored in halves, the host writes its binding and its read anew.
fn w0_at(i: u32) -> vec4f { return w0[i]; }
fn w1_at(i: u32) -> vec4f { return w1[i]; }
fn w2_at(i: u32) -> vec4f { return w2[i]; }

// Vector `k` of four columns of a part, a matrix column for each; the second part of a wide one are its other columns.
fn block0(columns: vec4u, k: u32) -> mat4x4f {
  return mat4x4f(w0_at(columns.x + k), w0_at(columns.y + k), w0_at(columns.z + k), w0_at(columns.w + k));
}

fn block1(columns: vec4u, k: u32) -> mat4x4f {
  if (wide) { return block0(columns + 4 * lanes * params.vectors, k); }
  return mat4x4f(w1_at(columns.x + k), w1_at(columns.y + k), w1_at(columns.z + k), w1_at(columns.w + k));
}

fn block2(columns: vec4u, k: u32) -> mat4x4f {
  return mat4x4f(w2_at(columns.x + k), w2_at(columns.y + k), w2_at(columns.z + k), w2_at(columns.w + k));
}

// Adds vector `step` of the only row, which is zero past its end.
fn add_row(columns: vec4u, step: u32, values: vec4f) {
  let k = min(step, params.vectors - 1);
  row_sums[0] += values * block0(columns, k);
  if (parts > 1 || wide) { row_sums[1] += values * block1(columns, k); }
  if (parts > 2) { row_sums[2] += values * block2(columns, k); }
}

// What the lanes from `0` or `4` on have; a matrix column for each.
fn lower_four(mine: vec4f) -> mat4x4f {
  return mat4x4f(
    subgroupBroadcast(mine, 0u), subgroupBroadcast(mine, 1u), subgroupBroadcast(mine, 2u), subgroupBroadcast(mine, 3u)
  );
}

fn upper_four(mine: vec4f) -> mat4x4f {
  return mat4x4f(
    subgroupBroadcast(mine, 4u), subgroupBroadcast(mine, 5u), subgroupBroadcast(mine, 6u), subgroupBroadcast(mine, 7u)
  );
}

// One column of sums, and of m · x. As multiply-adds: of `sums += m · x` compilers make sums of their own first.
fn plus_column(sum: vec4f, m: mat4x4f, x: vec4f) -> vec4f {
  return fma(m[3], vec4f(x.w), fma(m[2], vec4f(x.z), fma(m[1], vec4f(x.y), fma(m[0], vec4f(x.x), sum))));
}

fn plus_product(sums: mat4x4f, m: mat4x4f, x: mat4x4f) -> mat4x4f {
  return mat4x4f(
    plus_column(sums[0], m, x[0]), plus_column(sums[1], m, x[1]),
    plus_column(sums[2], m, x[2]), plus_column(sums[3], m, x[3])
  );
}

// Adds vector `k` of up to sixteen rows, of which this lane loads two.
fn add_rows(columns: vec4u, k: u32, rows: vec2u, scales: vec4f) {
  let mine = x[rows.x + k];
  squares.x += dot(mine, mine);
  let b0 = transpose(block0(columns, k));
  var b1 = mat4x4f();
  var b2 = mat4x4f();
  if (parts > 1 || wide) { b1 = transpose(block1(columns, k)); }
  if (parts > 2) { b2 = transpose(block2(columns, k)); }
  let scaled = mine * scales;
  let a0 = lower_four(scaled);
  sums0[0] = plus_product(sums0[0], b0, a0);
  if (parts > 1 || wide) { sums1[0] = plus_product(sums1[0], b1, a0); }
  if (parts > 2) { sums2[0] = plus_product(sums2[0], b2, a0); }
  if (block_rows > 4) {
    let a1 = upper_four(scaled);
    sums0[1] = plus_product(sums0[1], b0, a1);
    if (parts > 1 || wide) { sums1[1] = plus_product(sums1[1], b1, a1); }
    if (parts > 2) { sums2[1] = plus_product(sums2[1], b2, a1); }
  }
  if (block_rows > 8) {
    let more = x[rows.y + k];
    squares.y += dot(more, more);
    let scaled_more = more * scales;
    let a2 = lower_four(scaled_more);
    let a3 = upper_four(scaled_more);
    sums0[2] = plus_product(sums0[2], b0, a2);
    sums0[3] = plus_product(sums0[3], b0, a3);
    if (parts > 1 || wide) {
      sums1[2] = plus_product(sums1[2], b1, a2);
      sums1[3] = plus_product(sums1[3], b1, a3);
    }
    if (parts > 2) {
      sums2[2] = plus_product(sums2[2], b2, a2);
      sums2[3] = plus_product(sums2[3], b2, a3);
    }
  }
}

// gelu(x), the tanh form (Hendrycks & Gimpel 2016), as in gelu-gate.wgsl.
fn gelu(x: vec4f) -> vec4f {
  let clamped = clamp(x, vec4f(-10.0), vec4f(10.0));
  return x * (1.0 / (1.0 + exp(-1.5957691216057308 * clamped * (1.0 + 0.044715 * clamped * clamped))));
}

// Stores four columns of a row, of each part.
fn store(row: u32, column: u32, y0: vec4f, y1: vec4f, y2: vec4f) {
  if (row >= params.rows || column >= params.columns) { return; }
  let width = params.columns / 4;
  let i = row * width + column / 4;
  if (has_gate) { result[i] = gelu(y0) * y1; }
  if (has_residual) { result[i] = y0 + residual[i]; }
  if (!has_gate && !has_residual) {
    let start = row * parts * width + column / 4;
    result[start] = y0;
    if (parts > 1) { result[start + width] = y1; }
    if (wide) { result[start + lanes] = y1; }
    if (parts > 2) { result[start + 2 * width] = y2; }
  }
}

// Stores four rows, whose norms' factors are given.
fn store_rows(row: u32, column: u32, y0: mat4x4f, y1: mat4x4f, y2: mat4x4f, factors: vec4f) {
  store(row, column, y0[0] * factors.x, y1[0] * factors.x, y2[0] * factors.x);
  store(row + 1, column, y0[1] * factors.y, y1[1] * factors.y, y2[1] * factors.y);
  store(row + 2, column, y0[2] * factors.z, y1[2] * factors.z, y2[2] * factors.z);
  store(row + 3, column, y0[3] * factors.w, y1[3] * factors.w, y2[3] * factors.w);
}

// 1 / rms of rows whose squares sum up to this, or 1 where there is no norm.
fn factor(sum: vec2f) -> vec2f {
  return select(vec2f(1.0), inverseSqrt(sum / f32(4 * params.vectors) + params.epsilon), vec2<bool>(has_norm));
}

@compute @workgroup_size(lanes)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let number = group.y * workgroups.x + group.x;
  let span = select(4 * lanes, 8 * lanes, wide);
  let blocks_across = (params.columns + span - 1) / span;
  let row = number / blocks_across * block_rows;
  if (row >= params.rows) { return; }
  let column = number % blocks_across * span + lane * 4;
  let columns = min(column + vec4u(0, 1, 2, 3), vec4u(params.columns - 1)) * params.vectors;
  let rows = min(row + vec2u(lane, 8 + lane), vec2u(params.rows - 1)) * params.vectors;

  if (block_rows > 1) {
    for (var k = 0u; k < params.vectors; k++) {
      var scales = vec4f(1.0);
      if (has_norm) { scales = scale[k]; }
      add_rows(columns, k, rows, scales);
    }
    let mine = factor(squares);
    // Columns: rows from 0 on, and rows from 8 on.
    let lower = transpose(lower_four(vec4f(mine, 0.0, 0.0)));
    let upper = transpose(upper_four(vec4f(mine, 0.0, 0.0)));
    store_rows(row, column, sums0[0], sums1[0], sums2[0], lower[0]);
    if (block_rows > 4) { store_rows(row + 4, column, sums0[1], sums1[1], sums2[1], upper[0]); }
    if (block_rows > 8) {
      store_rows(row + 8, column, sums0[2], sums1[2], sums2[2], lower[1]);
      store_rows(row + 12, column, sums0[3], sums1[3], sums2[3], upper[1]);
    }
    return;
  }

  for (var k = 0u; k < params.vectors; k += lanes) {
    let own = min(k + lane, params.vectors - 1);
    let mine = select(vec4f(), x[row * params.vectors + own], k + lane < params.vectors);
    squares.x += dot(mine, mine);
    var scaled = mine;
    if (has_norm) { scaled *= scale[own]; }
    add_row(columns, k, subgroupBroadcast(scaled, 0u));
    add_row(columns, k + 1, subgroupBroadcast(scaled, 1u));
    add_row(columns, k + 2, subgroupBroadcast(scaled, 2u));
    add_row(columns, k + 3, subgroupBroadcast(scaled, 3u));
    add_row(columns, k + 4, subgroupBroadcast(scaled, 4u));
    add_row(columns, k + 5, subgroupBroadcast(scaled, 5u));
    add_row(columns, k + 6, subgroupBroadcast(scaled, 6u));
    add_row(columns, k + 7, subgroupBroadcast(scaled, 7u));
  }
  let f = factor(vec2f(subgroupAdd(squares.x))).x;
  store(row, column, f * row_sums[0], f * row_sums[1], f * row_sums[2]);
}
