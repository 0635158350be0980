// Matrix product by register blocking within subgroups: result[z] = epilogue(alpha · op(a[z]) · op(b[z])).
//
//   a         [m, k], or [k, m] when transpose_a
//   b         [k, n], or [n, k] when transpose_b
//   result    [batch, m, n], or [batch, n, m] when transpose_result; with splits > 1, partial sums
//             [splits, batch, m, n] or [splits, batch, n, m]
//
// Matrices lie where the strides of Params say, such as the heads in [batch, length, heads · head_size]; partial
// sums are contiguous.
//
// Continued by matmul-epilogue.wgsl or, as part of an RMS norm, matmul-norm.wgsl or matmul-norm-gradient.wgsl.
//
// For CPU adapters with subgroups of 8, one to a workgroup. It owns up to 32 rows by 8 lanes × 8 columns. Each
// lane loads its own columns of b and a different row of a, which subgroupBroadcast hands to the others: a load
// is a gather there and costs more than ten multiply-adds, a broadcast is one shuffle. Lanes lie along n, so
// a result of few columns is computed as its transpose op(b)ᵀ · op(a)ᵀ, a and b exchanged, with transpose_result.
//
// The loader puts `enable subgroups;` before this file where the implementation wants that line (Chromium,
// Dawn); Deno (wgpu) refuses it.
//
// The block is 4×4 matrices in result order: column i of one is four columns of the result's row i. A block
// of fewer rows or columns than the largest stores fewer of them, and the compiler drops what nobody stores.
//
// Invariant: every load is clamped into its matrix and every store is guarded, so m, n and k are free, and
// no branch before the stores differs between lanes, as every broadcast needs all of them. a_vec4 and b_vec4 are
// a and b once more, for four-wide loads; they are read only under vector_a and vector_b, for which row length,
// strides and offset are multiples of 4.

struct Params {
  batch: u32,
  m: u32,
  n: u32,
  k: u32,
  // Elements from one group of matrices to the next; 0 shares one group among the whole batch.
  a_stride: u32,
  b_stride: u32,
  splits: u32,
  // Length of k that one split sums, a multiple of 4.
  split_length: u32,
  alpha: f32,
  // Elements from one batch element's bias to the next one's; 0 shares one.
  bias_stride: u32,
  // Of dropout.wgsl.
  dropout_site: u32,
  dropout_rate: f32,
  kept_scale: f32,
  result_stride: u32,
  // Matrices in a group, and elements from one of them to the next.
  heads: u32,
  a_head_stride: u32,
  b_head_stride: u32,
  result_head_stride: u32,
  // Elements from one row in memory to the next.
  a_row_stride: u32,
  b_row_stride: u32,
  result_row_stride: u32,
  // Where the first matrix begins.
  a_offset: u32,
  b_offset: u32,
  result_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> a_vec4: array<vec4f>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> b_vec4: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> result: array<f32>;
@group(0) @binding(8) var<storage, read_write> result_vec4: array<vec4f>;

// Rows of a subgroup's block: 1, 2, 4, 8, 16 or 32; at least 4 with transpose_result.
override block_rows: u32 = 32;
// Columns of a lane's block: 4 or 8.
override block_columns: u32 = 8;
override transpose_result: bool = false;
override transpose_a: bool = false;
override transpose_b: bool = false;
override vector_a: bool = false;
override vector_b: bool = false;
override vector_result: bool = false;
// Blocks cover the result exactly, so that no store needs a guard.
override whole: bool = false;

const lanes = 8u;

// All reads of a and b: where one is stored in halves, the host writes its binding and its read anew.
fn a_at(i: u32) -> f32 { return a[i]; }
fn a_vec4_at(i: u32) -> vec4f { return a_vec4[i]; }
fn b_at(i: u32) -> f32 { return b[i]; }
fn b_vec4_at(i: u32) -> vec4f { return b_vec4[i]; }

// k … k + 3 of the row of op(a) that starts at `row`, zero beyond the last k.
fn four_of_a(row: u32, k: u32) -> vec4f {
  if (vector_a && !transpose_a) { return a_vec4_at((row + k) / 4); }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = row + min(steps, vec4u(params.k - 1)) * select(1, params.a_row_stride, transpose_a);
  return select(vec4f(), vec4f(a_at(i.x), a_at(i.y), a_at(i.z), a_at(i.w)), steps < vec4u(params.k));
}

fn four_of_b(column: u32, k: u32) -> vec4f {
  if (vector_b) { return b_vec4_at((column + k) / 4); }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = column + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(b_at(i.x), b_at(i.y), b_at(i.z), b_at(i.w)), steps < vec4u(params.k));
}

// One k of the four columns of op(b) that start at `columns`, zero beyond the last k.
fn slice_of_b(columns: vec4u, k: u32) -> vec4f {
  let i = columns + min(k, params.k - 1) * params.b_row_stride;
  if (vector_b) { return select(vec4f(), b_vec4_at(i.x / 4), k < params.k); }
  return select(vec4f(), vec4f(b_at(i.x), b_at(i.y), b_at(i.z), b_at(i.w)), k < params.k);
}

// k … k + 3 by four columns of op(b); a matrix column for each k.
fn block_of_b(columns: vec4u, k: u32) -> mat4x4f {
  if (transpose_b) {
    return transpose(mat4x4f(
      four_of_b(columns.x, k), four_of_b(columns.y, k), four_of_b(columns.z, k), four_of_b(columns.w, k)
    ));
  }
  return mat4x4f(
    slice_of_b(columns, k), slice_of_b(columns, k + 1), slice_of_b(columns, k + 2), slice_of_b(columns, k + 3)
  );
}

// The same of what a's rows are multiplied with, which lies like a.
fn four_of_partner(row: u32, k: u32) -> vec4f { return partner_vec4((row + k) / 4); }

// The scales of k … k + 3.
fn four_scales(k: u32) -> vec4f {
  return vec4f(scale_at(k), scale_at(k + 1), scale_at(k + 2), scale_at(k + 3));
}

// A lane's sum over k of its row, by four parts; `sums` is what it was before k … k + 3 of the row in a.
fn with_four(sums: vec4f, mine: vec4f, row: u32, k: u32) -> vec4f {
  if (sums_squares) { return fma(mine, mine, sums); }
  if (sums_products) { return fma(mine, four_of_partner(row, k), sums); }
  return sums;
}

// Offset at k = 0 of a row of op(a), clamped to its last.
fn row_from(offset: u32, row: u32) -> u32 {
  return offset + min(row, params.m - 1) * select(params.a_row_stride, 1, transpose_a);
}

// Offsets at k = 0 of four columns of op(b), clamped to its last.
fn columns_from(offset: u32, column: u32) -> vec4u {
  let last = select(vec4u(params.n - 1), params.n - vec4u(4, 3, 2, 1), !transpose_b && vector_b);
  let columns = min(column + vec4u(0, 1, 2, 3), last);
  return offset + columns * select(1, params.b_row_stride, transpose_b);
}

// The rows of op(a) that lanes 0 … 3, or 4 … 7, have loaded; a matrix column for each.
fn hand_round(mine: vec4f, upper: bool) -> mat4x4f {
  if (upper) {
    return mat4x4f(
      subgroupBroadcast(mine, 4u), subgroupBroadcast(mine, 5u),
      subgroupBroadcast(mine, 6u), subgroupBroadcast(mine, 7u)
    );
  }
  return mat4x4f(
    subgroupBroadcast(mine, 0u), subgroupBroadcast(mine, 1u),
    subgroupBroadcast(mine, 2u), subgroupBroadcast(mine, 3u)
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

// The statistics of the rows whose sums lanes 0 … 3, or 4 … 7, have.
fn statistics_of(sums: vec4f, upper: bool) -> vec4f {
  if (!sums_squares && !sums_products) { return vec4f(); }
  let own = vec4f(dot(sums, vec4f(1)));
  let all = hand_round(own, upper);
  return row_statistics(vec4f(all[0].x, all[1].x, all[2].x, all[3].x));
}

fn store_four(values: vec4f, start: u32, count: u32) {
  for (var i = 0u; i < count; i++) { result[start + i] = values[i]; }
}

// Four neighbours in a row of the result. `bias_row` is where the batch element's bias begins.
fn store_row(values: vec4f, statistic: f32, offset: u32, bias_row: u32, row: u32, column: u32) {
  let rows = select(params.m, params.n, transpose_result);
  let columns = select(params.n, params.m, transpose_result);
  if (!whole && (row >= rows || column >= columns)) { return; }
  let start = offset + row * params.result_row_stride + column;
  let steps = select(min(vec4u(0, 1, 2, 3), vec4u(columns - 1 - column)), vec4u(0, 1, 2, 3), vector_result);
  let finished = epilogue(values, statistic, row, start + steps, bias_row + column + steps);
  if (vector_result) { result_vec4[start / 4] = finished; }
  if (!vector_result) { store_four(finished, start, min(4, columns - column)); }
}

// Stores the 4×4 part of the lane's block at (down, across), with the statistics of its rows.
fn store(
  values: mat4x4f, statistics: vec4f, offset: u32, bias_row: u32, row: u32, column: u32, down: u32, across: u32
) {
  if (down >= block_rows || across >= block_columns) { return; }
  if (transpose_result) {
    let turned = transpose(values);
    store_row(turned[0], 0, offset, bias_row, column + across, row + down);
    store_row(turned[1], 0, offset, bias_row, column + across + 1, row + down);
    store_row(turned[2], 0, offset, bias_row, column + across + 2, row + down);
    store_row(turned[3], 0, offset, bias_row, column + across + 3, row + down);
    return;
  }
  store_row(values[0], statistics[0], offset, bias_row, row + down, column + across);
  if (block_rows > 1) { store_row(values[1], statistics[1], offset, bias_row, row + down + 1, column + across); }
  if (block_rows > 2) {
    store_row(values[2], statistics[2], offset, bias_row, row + down + 2, column + across);
    store_row(values[3], statistics[3], offset, bias_row, row + down + 3, column + across);
  }
}

@compute @workgroup_size(lanes)
fn matmul(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let number = group.y * workgroups.x + group.x;
  let blocks_across = (params.n + lanes * block_columns - 1) / (lanes * block_columns);
  let blocks_down = (params.m + block_rows - 1) / block_rows;
  // A slice is one split of one batch element.
  let slice = number / (blocks_across * blocks_down);
  if (slice >= params.splits * params.batch) { return; }
  let batch = slice % params.batch;
  let outer = batch / params.heads;
  let head = batch % params.heads;
  let a_offset = params.a_offset + outer * params.a_stride + head * params.a_head_stride;
  let b_offset = params.b_offset + outer * params.b_stride + head * params.b_head_stride;
  // Only a contiguous result is split, so that what follows it is the next split.
  let result_offset =
    params.result_offset + slice / params.heads * params.result_stride + head * params.result_head_stride;
  let bias_row = batch * params.bias_stride;
  let row = number / blocks_across % blocks_down * block_rows;
  let column = (number % blocks_across * lanes + lane) * block_columns;
  let rows0 = row_from(a_offset, row + lane);
  let rows1 = row_from(a_offset, row + 8 + lane);
  let rows2 = row_from(a_offset, row + 16 + lane);
  let rows3 = row_from(a_offset, row + 24 + lane);
  let columns0 = columns_from(b_offset, column);
  let columns1 = columns_from(b_offset, column + 4);

  var c00 = mat4x4f(); var c01 = mat4x4f();
  var c10 = mat4x4f(); var c11 = mat4x4f();
  var c20 = mat4x4f(); var c21 = mat4x4f();
  var c30 = mat4x4f(); var c31 = mat4x4f();
  var c40 = mat4x4f(); var c41 = mat4x4f();
  var c50 = mat4x4f(); var c51 = mat4x4f();
  var c60 = mat4x4f(); var c61 = mat4x4f();
  var c70 = mat4x4f(); var c71 = mat4x4f();
  var sums0 = vec4f(); var sums1 = vec4f(); var sums2 = vec4f(); var sums3 = vec4f();
  var k = slice / params.batch * params.split_length;
  let end = min(params.k, k + params.split_length);
  for (; k < end; k += 4) {
    let b0 = block_of_b(columns0, k);
    let b1 = block_of_b(columns1, k);
    let scales = four_scales(k);
    let mine0 = four_of_a(rows0, k);
    sums0 = with_four(sums0, mine0, rows0, k);
    let a0 = hand_round(scales * mine0, false);
    let a1 = hand_round(scales * mine0, true);
    c00 = plus_product(c00, b0, a0); c01 = plus_product(c01, b1, a0);
    c10 = plus_product(c10, b0, a1); c11 = plus_product(c11, b1, a1);
    if (block_rows > 8) {
      let mine1 = four_of_a(rows1, k);
      sums1 = with_four(sums1, mine1, rows1, k);
      let a2 = hand_round(scales * mine1, false);
      let a3 = hand_round(scales * mine1, true);
      c20 = plus_product(c20, b0, a2); c21 = plus_product(c21, b1, a2);
      c30 = plus_product(c30, b0, a3); c31 = plus_product(c31, b1, a3);
    }
    if (block_rows > 16) {
      let mine2 = four_of_a(rows2, k);
      let mine3 = four_of_a(rows3, k);
      sums2 = with_four(sums2, mine2, rows2, k);
      sums3 = with_four(sums3, mine3, rows3, k);
      let a4 = hand_round(scales * mine2, false);
      let a5 = hand_round(scales * mine2, true);
      let a6 = hand_round(scales * mine3, false);
      let a7 = hand_round(scales * mine3, true);
      c40 = plus_product(c40, b0, a4); c41 = plus_product(c41, b1, a4);
      c50 = plus_product(c50, b0, a5); c51 = plus_product(c51, b1, a5);
      c60 = plus_product(c60, b0, a6); c61 = plus_product(c61, b1, a6);
      c70 = plus_product(c70, b0, a7); c71 = plus_product(c71, b1, a7);
    }
  }

  prepare_epilogue();
  let s0 = statistics_of(sums0, false); let s1 = statistics_of(sums0, true);
  let s2 = statistics_of(sums1, false); let s3 = statistics_of(sums1, true);
  let s4 = statistics_of(sums2, false); let s5 = statistics_of(sums2, true);
  let s6 = statistics_of(sums3, false); let s7 = statistics_of(sums3, true);
  store(c00, s0, result_offset, bias_row, row, column, 0, 0);
  store(c01, s0, result_offset, bias_row, row, column, 0, 4);
  store(c10, s1, result_offset, bias_row, row, column, 4, 0);
  store(c11, s1, result_offset, bias_row, row, column, 4, 4);
  store(c20, s2, result_offset, bias_row, row, column, 8, 0);
  store(c21, s2, result_offset, bias_row, row, column, 8, 4);
  store(c30, s3, result_offset, bias_row, row, column, 12, 0);
  store(c31, s3, result_offset, bias_row, row, column, 12, 4);
  store(c40, s4, result_offset, bias_row, row, column, 16, 0);
  store(c41, s4, result_offset, bias_row, row, column, 16, 4);
  store(c50, s5, result_offset, bias_row, row, column, 20, 0);
  store(c51, s5, result_offset, bias_row, row, column, 20, 4);
  store(c60, s6, result_offset, bias_row, row, column, 24, 0);
  store(c61, s6, result_offset, bias_row, row, column, 24, 4);
  store(c70, s7, result_offset, bias_row, row, column, 28, 0);
  store(c71, s7, result_offset, bias_row, row, column, 28, 4);
}
