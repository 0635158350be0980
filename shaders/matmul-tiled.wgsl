// Matrix product in workgroup tiles: result[z] = epilogue(alpha · op(a[z]) · op(b[z])), z the batch.
//
//   a         [m, k], or [k, m] when transpose_a
//   b         [k, n], or [n, k] when transpose_b
//   bias      [n]
//   residual  as result
//   result    [batch, m, n]; with splits > 1, partial sums [splits, batch, m, n]
//
// Matrices lie where the strides of Params say, such as the heads in [batch, length, heads · head_size]; partial
// sums are contiguous.
//
// For GPUs. 8×8 invocations make a tile of 32×32, 4×4 each, in steps of 16 along k: the shape that does well
// from small mobile GPUs (few registers, 4 KiB of workgroup memory) to large ones. The first half of the
// invocations fetch a 4×4 block of a, the others one of b, so that a block is turned in registers as the layouts
// ask and workgroup memory is always read as vec4 along the tile. The blocks of the next step are
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
  // Length of k that one split sums, a multiple of 16.
  split_length: u32,
  // Sum of BIAS, RELU and RESIDUAL: a uniform, so that one pipeline serves every epilogue.
  epilogue: u32,
  alpha: f32,
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
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read> residual: array<f32>;
@group(0) @binding(7) var<storage, read_write> result: array<f32>;

override transpose_a: bool = false;
override transpose_b: bool = false;
override vector_a: bool = false;
override vector_b: bool = false;
// Whether the product is added to what the result holds: as one more flag it would cost every product 6 %.
override accumulate: bool = false;

// Side of a tile, and its step along k.
const tile_size = 32u;
const tile_step = 16u;
// Blocks of 4 along the side and along the step.
const side_blocks = 8u;
const step_blocks = 4u;

// op(a) and op(b) of one step: [tile_step, side_blocks], vec4s along the side.
var<workgroup> tile_a: array<vec4f, 128>;
var<workgroup> tile_b: array<vec4f, 128>;

const BIAS = 1u;
const RELU = 2u;
const RESIDUAL = 4u;

// The value to store at `index` of the result, in its column `column`, from its finished sum.
fn epilogue(sum: f32, index: u32, column: u32) -> f32 {
  var value = params.alpha * sum;
  if ((params.epilogue & BIAS) != 0u) { value += bias[column]; }
  if ((params.epilogue & RELU) != 0u) { value = select(value, 0.0, value < 0.0); }
  if ((params.epilogue & RESIDUAL) != 0u) { value += residual[index]; }
  if (accumulate) { value += result[index]; }
  return value;
}

// All reads of a and b: where one is stored in halves, the host writes its binding and its read anew.
fn a_at(i: u32) -> f32 { return a[i]; }
fn a_vec4_at(i: u32) -> vec4f { return a_vec4[i]; }
fn b_at(i: u32) -> f32 { return b[i]; }
fn b_vec4_at(i: u32) -> vec4f { return b_vec4[i]; }

// k … k + 3 of the row of op(a) that starts at `row`, zero beyond the last k.
fn four_of_a(row: u32, k: u32) -> vec4f {
  if (vector_a) {
    return select(vec4f(), a_vec4_at((row + min(k, params.k - 4)) / 4), k < params.k);
  }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = row + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(a_at(i.x), a_at(i.y), a_at(i.z), a_at(i.w)), steps < vec4u(params.k));
}

fn four_of_b(column: u32, k: u32) -> vec4f {
  if (vector_b) {
    return select(vec4f(), b_vec4_at((column + min(k, params.k - 4)) / 4), k < params.k);
  }
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

fn store_row(values: vec4f, offset: u32, row: u32, column: u32) {
  if (row >= params.m) { return; }
  let index = offset + row * params.result_row_stride + column;
  for (var i = 0u; i < 4 && column + i < params.n; i++) {
    result[index + i] = epilogue(values[i], index + i, column + i);
  }
}

@compute @workgroup_size(64)
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
  let first_row = number / tiles_across % tiles_down * tile_size;
  let first_column = number % tiles_across * tile_size;

  // The block that this invocation fetches; neighbours fetch along what is contiguous in memory.
  let fetches_a = local < 32;
  let along_step = select(transpose_b, !transpose_a, fetches_a);
  let part = local % 32;
  let side = select(part % side_blocks, part / step_blocks, along_step);
  let step = select(part / side_blocks, part % step_blocks, along_step);
  let rows = rows_from(a_offset, first_row + side * 4);
  let columns = columns_from(b_offset, first_column + side * 4);
  let place = step * 4 * side_blocks + side;

  let down = local / side_blocks;
  let across = local % side_blocks;
  var sums = mat4x4f();
  let start = slice / params.batch * params.split_length;
  let end = min(params.k, start + params.split_length);
  var fetched: mat4x4f;
  if (fetches_a) { fetched = block_of_a(rows, start + step * 4); }
  else { fetched = block_of_b(columns, start + step * 4); }
  for (var k = start; k < end; k += tile_step) {
    workgroupBarrier();
    if (fetches_a) {
      tile_a[place] = fetched[0];
      tile_a[place + side_blocks] = fetched[1];
      tile_a[place + 2 * side_blocks] = fetched[2];
      tile_a[place + 3 * side_blocks] = fetched[3];
    } else {
      tile_b[place] = fetched[0];
      tile_b[place + side_blocks] = fetched[1];
      tile_b[place + 2 * side_blocks] = fetched[2];
      tile_b[place + 3 * side_blocks] = fetched[3];
    }
    workgroupBarrier();
    let next = k + tile_step + step * 4;
    if (fetches_a) { fetched = block_of_a(rows, next); }
    else { fetched = block_of_b(columns, next); }
    for (var i = 0u; i < tile_step; i++) {
      let x = tile_a[i * side_blocks + down];
      let y = tile_b[i * side_blocks + across];
      sums += mat4x4f(x.x * y, x.y * y, x.z * y, x.w * y);
    }
  }

  let row = first_row + down * 4;
  let column = first_column + across * 4;
  store_row(sums[0], result_offset, row, column);
  store_row(sums[1], result_offset, row + 1, column);
  store_row(sums[2], result_offset, row + 2, column);
  store_row(sums[3], result_offset, row + 3, column);
}
