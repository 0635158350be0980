// Matrix product of few rows by a large matrix: result[z] = epilogue(alpha · a[z] · b[z]ᵀ), z the batch.
//
//   a         [m, k]
//   b         [n, k]: the layout of a Linear layer's weight
//   bias      [n] for all, or [batch, n]
//   seed      [2], of dropout; not together with a bias
//   residual  as result: added to it, or what gates it, or x of a GELU gate (gelu-gate.wgsl)
//   result    [batch, m, n]; with splits > 1, partial sums [splits, batch, m, n]
//
// Matrices lie where the strides of Params say; partial sums are contiguous.
//
// Continued by matmul-scalar-epilogue.wgsl.
//
// For GPUs, where a step of decoding waits for its weights: each is read once for up to eight rows. A workgroup
// has four columns of the result; sixteen neighbours read one row of b together, 256 bytes at a time, and
// the rows of a from the cache. Their sums meet in workgroup memory and are added in a fixed order.
//
// Invariant: every load is clamped into its matrix and every store is guarded, so m, n and k are free and the
// barrier is in uniform flow. a_vec4 and b_vec4 are a and b once more, for four-wide loads; they are read only
// under vector_a and vector_b, for which row length, strides and offset are multiples of 4.

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
// The bias as bits of f32, or the seed of dropout: a stage may bind only eight.
@group(0) @binding(5) var<storage, read> bias_or_seed: array<u32>;
@group(0) @binding(6) var<storage, read> residual: array<f32>;
@group(0) @binding(7) var<storage, read_write> result: array<f32>;

// 1, 2, 4 or 8.
override block_rows: u32 = 8;
override vector_a: bool = false;
override vector_b: bool = false;
// Added to what the result holds.
override accumulate: bool = false;

// Columns of a workgroup, and invocations for each.
const columns = 4u;
const lanes = 16u;

// Of every invocation: rows 0 … 3, and rows 4 … 7.
var<workgroup> partials: array<vec4f, 128>;

// The value to store at `i` of the result from its finished sum; the bias to add lies at `bias_i`.
fn finished(sum: f32, i: u32, bias_i: u32) -> f32 {
  // Without a bias, bias_i is the column: rows of a gate's result are half as long as those of its x.
  var value = epilogue(sum, i, bias_i, select(i, (i + bias_i) / 2, has_gate_gradient));
  if (has_gate_gradient) {
    // That of b, half a row further on, is stored here.
    let b_i = i + params.result_row_stride / 2;
    let gradients = gate_gradients(value, residual[i], residual[b_i]);
    result[b_i] = gradients.y;
    value = gradients.x;
  }
  if (accumulate) { value += result[i]; }
  return value;
}

// All reads of a and b: where one is stored in halves, the host writes its binding and its read anew.
fn a_at(i: u32) -> f32 { return a[i]; }
fn a_vec4_at(i: u32) -> vec4f { return a_vec4[i]; }
fn b_at(i: u32) -> f32 { return b[i]; }
fn b_vec4_at(i: u32) -> vec4f { return b_vec4[i]; }

// k … k + 3 of the row of a that starts at `row`, zero beyond the last k.
fn four_of_a(row: u32, k: u32) -> vec4f {
  if (vector_a) { return a_vec4_at((row + k) / 4); }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = row + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(a_at(i.x), a_at(i.y), a_at(i.z), a_at(i.w)), steps < vec4u(params.k));
}

fn four_of_b(row: u32, k: u32) -> vec4f {
  if (vector_b) { return b_vec4_at((row + k) / 4); }
  let steps = k + vec4u(0, 1, 2, 3);
  let i = row + min(steps, vec4u(params.k - 1));
  return select(vec4f(), vec4f(b_at(i.x), b_at(i.y), b_at(i.z), b_at(i.w)), steps < vec4u(params.k));
}

// Offset at k = 0 of a row of a, clamped to its last.
fn row_from(offset: u32, row: u32) -> u32 {
  return offset + min(row, params.m - 1) * params.a_row_stride;
}

@compute @workgroup_size(64)
fn matmul(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let number = group.y * workgroups.x + group.x;
  let blocks_across = (params.n + columns - 1) / columns;
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
  let first_row = number / blocks_across % blocks_down * block_rows;
  let first_column = number % blocks_across * columns;

  let row_of_b = b_offset + min(first_column + local / lanes, params.n - 1) * params.b_row_stride;
  let start = slice / params.batch * params.split_length;
  let end = min(params.k, start + params.split_length);
  var sum0 = 0.0; var sum1 = 0.0; var sum2 = 0.0; var sum3 = 0.0;
  var sum4 = 0.0; var sum5 = 0.0; var sum6 = 0.0; var sum7 = 0.0;
  for (var k = start + local % lanes * 4; k < end; k += lanes * 4) {
    let weights = four_of_b(row_of_b, k);
    sum0 += dot(four_of_a(row_from(a_offset, first_row), k), weights);
    if (block_rows > 1) { sum1 += dot(four_of_a(row_from(a_offset, first_row + 1), k), weights); }
    if (block_rows > 2) {
      sum2 += dot(four_of_a(row_from(a_offset, first_row + 2), k), weights);
      sum3 += dot(four_of_a(row_from(a_offset, first_row + 3), k), weights);
    }
    if (block_rows > 4) {
      sum4 += dot(four_of_a(row_from(a_offset, first_row + 4), k), weights);
      sum5 += dot(four_of_a(row_from(a_offset, first_row + 5), k), weights);
      sum6 += dot(four_of_a(row_from(a_offset, first_row + 6), k), weights);
      sum7 += dot(four_of_a(row_from(a_offset, first_row + 7), k), weights);
    }
  }
  partials[local * 2] = vec4f(sum0, sum1, sum2, sum3);
  partials[local * 2 + 1] = vec4f(sum4, sum5, sum6, sum7);
  workgroupBarrier();

  // One invocation for every output of the workgroup.
  let row = first_row + local / columns;
  let column = first_column + local % columns;
  if (local >= columns * block_rows || row >= params.m || column >= params.n) { return; }
  let part = local / columns;
  var sum = 0.0;
  for (var lane = 0u; lane < lanes; lane++) {
    sum += partials[(local % columns * lanes + lane) * 2 + part / 4][part % 4];
  }
  let i = result_offset + row * params.result_row_stride + column;
  result[i] = finished(sum, i, batch * params.bias_stride + column);
}
