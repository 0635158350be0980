// Matrix product by register blocking: result[z] = epilogue(alpha · op(a[z]) · op(b[z])), z the batch.
//
//   a         [m, k], or [k, m] when transpose_a
//   b         [k, n], or [n, k] when transpose_b
//   result    [batch, m, n]; with splits > 1, partial sums [splits, batch, m, n]
//
// Matrices lie where the strides of Params say, such as the heads in [batch, length, heads · head_size]; partial
// sums are contiguous.
//
// Continued by matmul-epilogue.wgsl.
//
// For CPU adapters. Each invocation owns a block of the result, up to 16×16, and shares nothing: on a CPU a
// barrier costs more than the loads it saves, a load costs as much as some seven multiply-adds and a spilled
// register next to nothing, so the largest block that the result fills is best. Blocks are numbered through
// the whole batch, so narrow results and small batched products leave no lane idle.
//
// The block is 4×4 matrices in result order: column i of one is four columns of the result's row i. A block
// of fewer than 16 rows or columns stores fewer of them, and the compiler drops what nobody stores.
//
// Invariant: every load is clamped into its matrix and every store is guarded, so m, n and k are free and
// the loop over k has no branch. a_vec4 and b_vec4 are a and b once more, for four-wide loads; they are read
// only under vector_a and vector_b, for which row length, strides and offset are multiples of 4.

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

// 1, 2, 4, 8 or 16.
override block_rows: u32 = 16;
// 4, 8 or 16.
override block_columns: u32 = 16;
override transpose_a: bool = false;
override transpose_b: bool = false;
override vector_a: bool = false;
override vector_b: bool = false;
override vector_result: bool = false;
// Blocks cover the result exactly, so that no store needs a guard.
override whole: bool = false;

// One vector of a CPU adapter's lanes.
const group_size = 8u;

// All reads of a and b: where one is stored in halves, the host writes its binding and its read anew.
fn a_at(i: u32) -> f32 { return a[i]; }
fn a_vec4_at(i: u32) -> vec4f { return a_vec4[i]; }
fn b_at(i: u32) -> f32 { return b[i]; }
fn b_vec4_at(i: u32) -> vec4f { return b_vec4[i]; }

// k … k + 3 of the row of op(a) that starts at `row`, zero beyond the last k.
fn four_of_a(row: u32, k: u32) -> vec4f {
  if (vector_a) { return a_vec4_at((row + k) / 4); }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = row + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(a_at(i.x), a_at(i.y), a_at(i.z), a_at(i.w)), steps < vec4u(params.k));
}

fn four_of_b(column: u32, k: u32) -> vec4f {
  if (vector_b) { return b_vec4_at((column + k) / 4); }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = column + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(b_at(i.x), b_at(i.y), b_at(i.z), b_at(i.w)), steps < vec4u(params.k));
}

// One k of the four rows of op(a) that start at `rows`, zero beyond the last k.
fn slice_of_a(rows: vec4u, k: u32) -> vec4f {
  let i = rows + min(k, params.k - 1) * params.a_row_stride;
  if (vector_a) { return select(vec4f(), a_vec4_at(i.x / 4), k < params.k); }
  return select(vec4f(), vec4f(a_at(i.x), a_at(i.y), a_at(i.z), a_at(i.w)), k < params.k);
}

fn slice_of_b(columns: vec4u, k: u32) -> vec4f {
  let i = columns + min(k, params.k - 1) * params.b_row_stride;
  if (vector_b) { return select(vec4f(), b_vec4_at(i.x / 4), k < params.k); }
  return select(vec4f(), vec4f(b_at(i.x), b_at(i.y), b_at(i.z), b_at(i.w)), k < params.k);
}

// Four rows of op(a) by k … k + 3; a matrix column for each row.
fn block_of_a(rows: vec4u, k: u32) -> mat4x4f {
  if (transpose_a) {
    return transpose(mat4x4f(
      slice_of_a(rows, k), slice_of_a(rows, k + 1), slice_of_a(rows, k + 2), slice_of_a(rows, k + 3)
    ));
  }
  return mat4x4f(four_of_a(rows.x, k), four_of_a(rows.y, k), four_of_a(rows.z, k), four_of_a(rows.w, k));
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

// Offsets at k = 0 of four rows of op(a), clamped to its last.
fn rows_from(offset: u32, row: u32) -> vec4u {
  // Rows that share a vec4 stay together: m is then a multiple of 4, and so is row.
  let last = select(vec4u(params.m - 1), params.m - vec4u(4, 3, 2, 1), transpose_a && vector_a);
  let rows = min(row + vec4u(0, 1, 2, 3), last);
  return offset + rows * select(params.a_row_stride, 1, transpose_a);
}

// Offsets at k = 0 of four columns of op(b), clamped to its last.
fn columns_from(offset: u32, column: u32) -> vec4u {
  let last = select(vec4u(params.n - 1), params.n - vec4u(4, 3, 2, 1), !transpose_b && vector_b);
  let columns = min(column + vec4u(0, 1, 2, 3), last);
  return offset + columns * select(1, params.b_row_stride, transpose_b);
}

fn store_four(values: vec4f, start: u32, count: u32) {
  for (var i = 0u; i < count; i++) { result[start + i] = values[i]; }
}

// Four neighbours in a row of the result. `bias_row` is where the batch element's bias begins.
fn store_row(values: vec4f, offset: u32, bias_row: u32, row: u32, column: u32) {
  if (!whole && (row >= params.m || column >= params.n)) { return; }
  let start = offset + row * params.result_row_stride + column;
  let steps = select(min(vec4u(0, 1, 2, 3), vec4u(params.n - 1 - column)), vec4u(0, 1, 2, 3), vector_result);
  let finished = epilogue(values, 0, row, start + steps, bias_row + column + steps);
  if (vector_result) { result_vec4[start / 4] = finished; }
  if (!vector_result) { store_four(finished, start, min(4, params.n - column)); }
}

// Stores the 4×4 part of the block at (down, across).
fn store(values: mat4x4f, offset: u32, bias_row: u32, row: u32, column: u32, down: u32, across: u32) {
  if (down >= block_rows || across >= block_columns) { return; }
  store_row(values[0], offset, bias_row, row + down, column + across);
  if (block_rows > 1) { store_row(values[1], offset, bias_row, row + down + 1, column + across); }
  if (block_rows > 2) {
    store_row(values[2], offset, bias_row, row + down + 2, column + across);
    store_row(values[3], offset, bias_row, row + down + 3, column + across);
  }
}

@compute @workgroup_size(group_size)
fn matmul(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let number = id.y * workgroups.x * group_size + id.x;
  let blocks_across = (params.n + block_columns - 1) / block_columns;
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
  let column = number % blocks_across * block_columns;
  let rows0 = rows_from(a_offset, row);
  let rows1 = rows_from(a_offset, row + 4);
  let rows2 = rows_from(a_offset, row + 8);
  let rows3 = rows_from(a_offset, row + 12);
  let columns0 = columns_from(b_offset, column);
  let columns1 = columns_from(b_offset, column + 4);
  let columns2 = columns_from(b_offset, column + 8);
  let columns3 = columns_from(b_offset, column + 12);

  var c00 = mat4x4f(); var c01 = mat4x4f(); var c02 = mat4x4f(); var c03 = mat4x4f();
  var c10 = mat4x4f(); var c11 = mat4x4f(); var c12 = mat4x4f(); var c13 = mat4x4f();
  var c20 = mat4x4f(); var c21 = mat4x4f(); var c22 = mat4x4f(); var c23 = mat4x4f();
  var c30 = mat4x4f(); var c31 = mat4x4f(); var c32 = mat4x4f(); var c33 = mat4x4f();
  var k = slice / params.batch * params.split_length;
  let end = min(params.k, k + params.split_length);
  for (; k < end; k += 4) {
    let a0 = block_of_a(rows0, k);
    let a1 = block_of_a(rows1, k);
    let a2 = block_of_a(rows2, k);
    let a3 = block_of_a(rows3, k);
    let b0 = block_of_b(columns0, k);
    let b1 = block_of_b(columns1, k);
    let b2 = block_of_b(columns2, k);
    let b3 = block_of_b(columns3, k);
    c00 += b0 * a0; c01 += b1 * a0; c02 += b2 * a0; c03 += b3 * a0;
    c10 += b0 * a1; c11 += b1 * a1; c12 += b2 * a1; c13 += b3 * a1;
    c20 += b0 * a2; c21 += b1 * a2; c22 += b2 * a2; c23 += b3 * a2;
    c30 += b0 * a3; c31 += b1 * a3; c32 += b2 * a3; c33 += b3 * a3;
  }

  prepare_epilogue();
  store(c00, result_offset, bias_row, row, column, 0, 0);
  store(c01, result_offset, bias_row, row, column, 0, 4);
  store(c02, result_offset, bias_row, row, column, 0, 8);
  store(c03, result_offset, bias_row, row, column, 0, 12);
  store(c10, result_offset, bias_row, row, column, 4, 0);
  store(c11, result_offset, bias_row, row, column, 4, 4);
  store(c12, result_offset, bias_row, row, column, 4, 8);
  store(c13, result_offset, bias_row, row, column, 4, 12);
  store(c20, result_offset, bias_row, row, column, 8, 0);
  store(c21, result_offset, bias_row, row, column, 8, 4);
  store(c22, result_offset, bias_row, row, column, 8, 8);
  store(c23, result_offset, bias_row, row, column, 8, 12);
  store(c30, result_offset, bias_row, row, column, 12, 0);
  store(c31, result_offset, bias_row, row, column, 12, 4);
  store(c32, result_offset, bias_row, row, column, 12, 8);
  store(c33, result_offset, bias_row, row, column, 12, 12);
}
