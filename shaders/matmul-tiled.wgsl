// Matrix product in workgroup tiles: result[z] = epilogue(alpha · op(a[z]) · op(b[z])), z the batch.
//
//   a         [m, k], or [k, m] when transpose_a
//   b         [k, n], or [n, k] when transpose_b
//   result    [batch, m, n]; with splits > 1, partial sums [splits, batch, m, n]
//
// Matrices lie where the strides of Params say, such as the heads in [batch, length, heads · head_size]; partial
// sums are contiguous.
//
// Continued by matmul-epilogue.wgsl or, as part of an RMS norm, matmul-norm.wgsl or matmul-norm-gradient.wgsl.
//
// For GPUs. Each invocation has one block of 4×4, or four of them a quarter of the tile apart; the default, 8×8
// invocations on a tile of 32×32, does well from small mobile GPUs (few registers, 4 KiB of workgroup memory)
// upwards, the others on large ones. The step along k is such that the first half of the
// invocations fetch a 4×4 block of a each, the others one of b, so that a block is turned in registers as the
// layouts ask and workgroup memory is always read as vec4 along the tile. The blocks of the next step are
// fetched before the products of this one, which hide their latency.
//
// Invariant: every load is clamped into its matrix (beyond the last k it gives zero) and every store is
// guarded, so m, n and k are free and no barrier is in divergent flow. a_vec4 and b_vec4 are a and b once more, for
// four-wide loads; they are read only under vector_a and vector_b, for which row length, strides and
// offset are multiples of 4.

struct Params {
  batch: u32,
  m: u32,
  n: u32,
  k: u32,
  // Elements from one group of matrices to the next; 0 shares one group among the whole batch.
  a_stride: u32,
  b_stride: u32,
  splits: u32,
  // Length of k that one split sums, a multiple of tile_step.
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

override transpose_a: bool = false;
override transpose_b: bool = false;
override vector_a: bool = false;
override vector_b: bool = false;
override vector_result: bool = false;
// Blocks cover the result exactly, so that no store needs a guard.
override whole: bool = false;
// k is of whole steps of a tile, so that no read needs to be zeroed.
override whole_steps: bool = false;

// The loader writes other values here (see docs/kernels.md): the side of a tile, and how many blocks of 4×4
// each invocation has along a side.
const tile_size = 32u;
const thread_blocks = 1u;

// Blocks of 4 along the side; invocations along it; blocks along a step of k.
const side_blocks = tile_size / 4u;
const threads = side_blocks / thread_blocks;
const group_size = threads * threads;
const step_blocks = group_size / (2u * side_blocks);
const tile_step = 4u * step_blocks;

// op(a) and op(b) of one step: [step_blocks, 4, side_blocks], vec4s along the side. Nested arrays, because WebGPU
// clamps every index that is not a constant: here one per block of four k and one along the side, not one per read.
var<workgroup> tile_a: array<array<array<vec4f, side_blocks>, 4>, step_blocks>;
var<workgroup> tile_b: array<array<array<vec4f, side_blocks>, 4>, step_blocks>;

// All reads of a and b: where one is stored in halves, the host writes its binding and its read anew.
fn a_at(i: u32) -> f32 { return a[i]; }
fn a_vec4_at(i: u32) -> vec4f { return a_vec4[i]; }
fn b_at(i: u32) -> f32 { return b[i]; }
fn b_vec4_at(i: u32) -> vec4f { return b_vec4[i]; }

// What was read at k, or zero beyond the last k.
fn before_end(values: vec4f, k: u32) -> vec4f {
  if (whole_steps) { return values; }
  return select(vec4f(), values, k < params.k);
}

// k … k + 3 of the row of op(a) that starts at `row`, zero beyond the last k.
fn four_of_a(row: u32, k: u32) -> vec4f {
  if (vector_a) {
    return before_end(a_vec4_at((row + min(k, params.k - 4)) / 4), k);
  }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = row + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(a_at(i.x), a_at(i.y), a_at(i.z), a_at(i.w)), steps < vec4u(params.k));
}

fn four_of_b(column: u32, k: u32) -> vec4f {
  if (vector_b) {
    return before_end(b_vec4_at((column + min(k, params.k - 4)) / 4), k);
  }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = column + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(b_at(i.x), b_at(i.y), b_at(i.z), b_at(i.w)), steps < vec4u(params.k));
}

// One k of the four rows of op(a) that start at `rows`, zero beyond the last k.
fn slice_of_a(rows: vec4u, k: u32) -> vec4f {
  let i = rows + min(k, params.k - 1) * params.a_row_stride;
  if (vector_a) { return before_end(a_vec4_at(i.x / 4), k); }
  return before_end(vec4f(a_at(i.x), a_at(i.y), a_at(i.z), a_at(i.w)), k);
}

fn slice_of_b(columns: vec4u, k: u32) -> vec4f {
  let i = columns + min(k, params.k - 1) * params.b_row_stride;
  if (vector_b) { return before_end(b_vec4_at(i.x / 4), k); }
  return before_end(vec4f(b_at(i.x), b_at(i.y), b_at(i.z), b_at(i.w)), k);
}

// Four rows of op(a) by k … k + 3; a matrix column for each k.
fn block_of_a(rows: vec4u, k: u32) -> mat4x4f {
  if (!transpose_a) {
    return transpose(mat4x4f(
      four_of_a(rows.x, k), four_of_a(rows.y, k), four_of_a(rows.z, k), four_of_a(rows.w, k)
    ));
  }
  return mat4x4f(
    slice_of_a(rows, k), slice_of_a(rows, k + 1), slice_of_a(rows, k + 2), slice_of_a(rows, k + 3)
  );
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
fn four_of_partner(row: u32, k: u32) -> vec4f {
  return before_end(partner_vec4((row + min(k, params.k - 4)) / 4), k);
}

fn block_of_partner(rows: vec4u, k: u32) -> mat4x4f {
  return transpose(mat4x4f(
    four_of_partner(rows.x, k), four_of_partner(rows.y, k), four_of_partner(rows.z, k), four_of_partner(rows.w, k)
  ));
}

// Sums over four k, for the four rows of a block.
fn sums_of_products(x: mat4x4f, y: mat4x4f) -> vec4f {
  return fma(x[3], y[3], fma(x[2], y[2], fma(x[1], y[1], x[0] * y[0])));
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
fn store_row(values: vec4f, statistic: f32, offset: u32, bias_row: u32, row: u32, column: u32) {
  if (!whole && (row >= params.m || column >= params.n)) { return; }
  let start = offset + row * params.result_row_stride + column;
  let steps = select(min(vec4u(0, 1, 2, 3), vec4u(params.n - 1 - column)), vec4u(0, 1, 2, 3), vector_result);
  let finished = epilogue(values, statistic, row, start + steps, bias_row + column + steps);
  if (vector_result) { result_vec4[start / 4] = finished; }
  if (!vector_result) { store_four(finished, start, min(4, params.n - column)); }
}

// Stores a 4×4 part of the tile.
fn store(values: mat4x4f, statistics: vec4f, offset: u32, bias_row: u32, row: u32, column: u32) {
  store_row(values[0], statistics[0], offset, bias_row, row, column);
  store_row(values[1], statistics[1], offset, bias_row, row + 1, column);
  store_row(values[2], statistics[2], offset, bias_row, row + 2, column);
  store_row(values[3], statistics[3], offset, bias_row, row + 3, column);
}

// A matrix column for each of x: a row of the result.
fn rank_one(x: vec4f, y: vec4f) -> mat4x4f { return mat4x4f(x.x * y, x.y * y, x.z * y, x.w * y); }

// Adds to each block of sums the products of one k: `j` of the four of block `i`.
fn multiply(i: u32, j: u32, down: u32, across: u32, sums: ptr<function, array<mat4x4f, 4>>) {
  let x0 = tile_a[i][j][down];
  let y0 = tile_b[i][j][across];
  (*sums)[0] += rank_one(x0, y0);
  if (thread_blocks > 1) {
    let x1 = tile_a[i][j][down + threads];
    let y1 = tile_b[i][j][across + threads];
    (*sums)[1] += rank_one(x0, y1);
    (*sums)[2] += rank_one(x1, y0);
    (*sums)[3] += rank_one(x1, y1);
  }
}

@compute @workgroup_size(group_size)
fn matmul(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let number = group.y * workgroups.x + group.x;
  let tiles_across = (params.n + tile_size - 1) / tile_size;
  let tiles_down = (params.m + tile_size - 1) / tile_size;
  // A slice is one split of one batch element.
  let slice = number / (tiles_across * tiles_down);
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
  let first_row = number / tiles_across % tiles_down * tile_size;
  let first_column = number % tiles_across * tile_size;

  // The block that this invocation fetches; neighbours fetch along what is contiguous in memory.
  let fetches_a = local < group_size / 2;
  let along_step = select(transpose_b, !transpose_a, fetches_a);
  let part = local % (group_size / 2);
  let side = select(part % side_blocks, part / step_blocks, along_step);
  let step = select(part / side_blocks, part % step_blocks, along_step);
  let rows = rows_from(a_offset, first_row + side * 4);
  let columns = columns_from(b_offset, first_column + side * 4);

  // 32 neighbours have blocks of 4 rows by 8 columns: the fewest different vec4s for a subgroup to read.
  let down = local / 32 / (threads / 8) * 4 + local / 8 % 4;
  let across = local / 32 % (threads / 8) * 8 + local % 8;
  var sums: array<mat4x4f, 4>;
  let start = slice / params.batch * params.split_length;
  let end = min(params.k, start + params.split_length);
  var fetched: mat4x4f;
  var partner: mat4x4f;
  var row_sums = vec4f();
  if (fetches_a) { fetched = block_of_a(rows, start + step * 4); }
  else { fetched = block_of_b(columns, start + step * 4); }
  if (sums_products && fetches_a) { partner = block_of_partner(rows, start + step * 4); }
  for (var k = start; k < end; k += tile_step) {
    workgroupBarrier();
    if (fetches_a) {
      if (sums_squares) { row_sums += sums_of_products(fetched, fetched); }
      if (sums_products) { row_sums += sums_of_products(fetched, partner); }
      tile_a[step][0][side] = fetched[0] * scale_at(k + step * 4);
      tile_a[step][1][side] = fetched[1] * scale_at(k + step * 4 + 1);
      tile_a[step][2][side] = fetched[2] * scale_at(k + step * 4 + 2);
      tile_a[step][3][side] = fetched[3] * scale_at(k + step * 4 + 3);
    } else {
      tile_b[step][0][side] = fetched[0];
      tile_b[step][1][side] = fetched[1];
      tile_b[step][2][side] = fetched[2];
      tile_b[step][3][side] = fetched[3];
    }
    workgroupBarrier();
    let next = k + tile_step + step * 4;
    if (fetches_a) { fetched = block_of_a(rows, next); }
    else { fetched = block_of_b(columns, next); }
    if (sums_products && fetches_a) { partner = block_of_partner(rows, next); }
    // Not a loop over the four: its guard against running forever would stand between the reads of one k and the next.
    for (var i = 0u; i < step_blocks; i++) {
      multiply(i, 0, down, across, &sums);
      multiply(i, 1, down, across, &sums);
      multiply(i, 2, down, across, &sums);
      multiply(i, 3, down, across, &sums);
    }
  }

  // Every row's sums are those of the invocations that fetched it, in the order of their steps.
  var sums0 = vec4f();
  var sums1 = vec4f();
  if (sums_squares || sums_products) {
    workgroupBarrier();
    if (fetches_a) { tile_a[step][0][side] = row_sums; }
    workgroupBarrier();
    for (var i = 0u; i < step_blocks; i++) {
      sums0 += tile_a[i][0][down];
      if (thread_blocks > 1) { sums1 += tile_a[i][0][down + threads]; }
    }
  }

  prepare_epilogue();
  let row = first_row + down * 4;
  let column = first_column + across * 4;
  let statistics0 = row_statistics(sums0);
  store(sums[0], statistics0, result_offset, bias_row, row, column);
  if (thread_blocks > 1) {
    let statistics1 = row_statistics(sums1);
    store(sums[1], statistics0, result_offset, bias_row, row, column + threads * 4);
    store(sums[2], statistics1, result_offset, bias_row, row + threads * 4, column);
    store(sums[3], statistics1, result_offset, bias_row, row + threads * 4, column + threads * 4);
  }
}
